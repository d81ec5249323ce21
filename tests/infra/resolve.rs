//! Whether every name in a Bicep file's expressions is declared, and every declared one is used.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::bicep::{Bicep, named_children, walk};

impl Bicep {
    /// What is wrong with the names in this file's expressions: nothing declares them, or nothing uses what was declared.
    pub fn unresolved(&self) -> Vec<String> {
        let kinds = ["parameter_declaration", "variable_declaration", "resource_declaration", "module_declaration"];
        let declared: BTreeSet<String> =
            kinds.iter().flat_map(|kind| self.top(kind)).map(|node| self.symbol(node)).collect();
        let mut used = BTreeSet::new();
        let mut wrong = Vec::new();
        for statement in named_children(self.tree.root_node()) {
            let local = self.local_names(statement);
            walk(statement, &mut |node| {
                if node.kind() != "identifier" || !self.is_use(node, statement) {
                    return;
                }
                let name = self.text(node).to_owned();
                if is_function(node) {
                    if !FUNCTIONS.contains(&name.as_str()) {
                        wrong.push(format!("{}: no function `{name}` is known", self.place(node)));
                    }
                } else if !local.contains(&name) && !declared.contains(&name) {
                    wrong.push(format!("{}: nothing declares `{name}`", self.place(node)));
                }
                used.insert(name);
            });
        }
        let may_stay_unused: BTreeSet<String> = ["resource_declaration", "module_declaration"]
            .iter()
            .flat_map(|kind| self.top(kind))
            .map(|node| self.symbol(node))
            .collect();
        for name in declared.difference(&used).filter(|name| !may_stay_unused.contains(*name)) {
            wrong.push(format!("{}: `{name}` is declared and never used", self.path.display()));
        }
        wrong
    }

    /// What loops and lambdas of a statement call their elements.
    fn local_names(&self, statement: Node<'_>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        walk(statement, &mut |node| match node.kind() {
            "loop_variable" | "loop_enumerator" => {
                names.insert(self.text(node).to_owned());
            }
            "for_statement" | "lambda_expression" => {
                if let Some(first) = named_children(node).first().filter(|first| first.kind() == "identifier") {
                    names.insert(self.text(*first).to_owned());
                }
            }
            _ => {}
        });
        names
    }

    /// Whether an identifier is a use of a name: not a property's key, nor the name that a statement declares.
    fn is_use(&self, node: Node<'_>, statement: Node<'_>) -> bool {
        let Some(parent) = node.parent() else { return false };
        let first = named_children(parent).first() == Some(&node);
        let is_key = parent.kind() == "object_property" && first && named_children(parent).len() > 1;
        let declares = parent == statement && first && statement.kind().ends_with("_declaration");
        !is_key && !declares && statement.kind() != "decorators"
    }
}

/// The functions that our files use; a misspelt one is not among them.
const FUNCTIONS: [&str; 24] = [
    "concat",
    "contains",
    "empty",
    "environment",
    "filter",
    "format",
    "guid",
    "items",
    "join",
    "last",
    "length",
    "listKeys",
    "loadJsonContent",
    "loadTextContent",
    "replace",
    "resourceGroup",
    "split",
    "string",
    "subscription",
    "subscriptionResourceId",
    "toLower",
    "trim",
    "union",
    "uniqueString",
];

fn is_function(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        parent.kind() == "call_expression" && parent.child_by_field_name("function").is_some_and(|name| name == node)
    })
}
