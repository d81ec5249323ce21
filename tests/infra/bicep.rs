//! A Bicep file, read with tree-sitter: what it declares, and what its expressions name.

use std::path::{Path, PathBuf};

use tree_sitter::{Node, Parser, Tree};

/// A file and its syntax tree.
pub struct Bicep {
    pub path: PathBuf,
    source: String,
    pub(super) tree: Tree,
}

/// A parameter.
pub struct Parameter {
    pub name: String,
    pub has_default: bool,
    /// The names of its decorators.
    pub decorators: Vec<String>,
}

/// A `resource` or a `module`.
pub struct Declared<'t> {
    pub symbol: String,
    /// `type@version` of a resource, the path of a module.
    pub what: String,
    pub existing: bool,
    pub body: Option<Node<'t>>,
}

impl Bicep {
    /// Reads a file from disk.
    pub fn read(path: &Path) -> Self {
        let source = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(path, source)
    }

    /// Reads `source` as if it stood at `path`.
    pub fn parse(path: &Path, source: String) -> Self {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_bicep::LANGUAGE.into()).expect("the grammar fits this tree-sitter");
        let tree = parser.parse(&source, None).expect("a tree comes back, with error nodes if need be");
        Self { path: path.to_owned(), source, tree }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn text(&self, node: Node<'_>) -> &str {
        &self.source[node.byte_range()]
    }

    /// `path:line` of a node.
    pub fn place(&self, node: Node<'_>) -> String {
        format!("{}:{}", self.path.display(), node.start_position().row + 1)
    }

    /// Where the grammar was broken.
    pub fn syntax_errors(&self) -> Vec<String> {
        self.all_nodes()
            .into_iter()
            .filter(|node| node.is_error() || node.is_missing())
            .map(|node| format!("{}: not understood", self.place(node)))
            .collect()
    }

    /// `subscription` or `resourceGroup`.
    pub fn target_scope(&self) -> String {
        self.top("target_scope_assignment")
            .first()
            .and_then(|node| self.strings_below(*node).into_iter().next())
            .unwrap_or_else(|| "resourceGroup".to_owned())
    }

    pub fn parameters(&self) -> Vec<Parameter> {
        self.top("parameter_declaration")
            .into_iter()
            .map(|node| Parameter {
                name: self.symbol(node),
                has_default: named_children(node).len() > 2,
                decorators: self.decorators(node),
            })
            .collect()
    }

    pub fn outputs(&self) -> Vec<String> {
        self.top("output_declaration").into_iter().map(|node| self.symbol(node)).collect()
    }

    /// The value of an output.
    pub fn output_value(&self, name: &str) -> String {
        let node = self.top("output_declaration").into_iter().find(|node| self.symbol(*node) == name);
        node.and_then(|node| named_children(node).last().copied())
            .map(|value| self.text(value).to_owned())
            .unwrap_or_default()
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<Node<'_>> {
        let node = self.top("variable_declaration").into_iter().find(|node| self.symbol(*node) == name)?;
        named_children(node).last().copied()
    }

    pub fn resources(&self) -> Vec<Declared<'_>> {
        self.declared("resource_declaration")
    }

    pub fn modules(&self) -> Vec<Declared<'_>> {
        self.declared("module_declaration")
    }

    fn declared(&self, kind: &str) -> Vec<Declared<'_>> {
        self.top(kind)
            .into_iter()
            .map(|node| Declared {
                symbol: self.symbol(node),
                what: named_children(node).get(1).map(|what| self.literal(*what)).unwrap_or_default(),
                existing: children(node).iter().any(|child| self.text(*child) == "existing"),
                body: named_children(node).last().and_then(|value| object_in(*value)),
            })
            .collect()
    }

    /// The properties of an object: name and value.
    pub fn properties<'t>(&self, object: Node<'t>) -> Vec<(String, Node<'t>)> {
        named_children(object)
            .into_iter()
            .filter(|child| child.kind() == "object_property")
            .filter_map(|property| {
                let parts = named_children(property);
                let (key, value) = (parts.first()?, parts.last()?);
                let name = if key.kind() == "string" { self.literal(*key) } else { self.text(*key).to_owned() };
                (parts.len() > 1).then_some((name, *value))
            })
            .collect()
    }

    /// The value at a path of properties.
    pub fn at<'t>(&self, object: Node<'t>, path: &[&str]) -> Option<Node<'t>> {
        path.iter().try_fold(object, |object, name| {
            self.properties(object).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        })
    }

    /// What stands between the quotes of a string, as written.
    pub fn literal(&self, string: Node<'_>) -> String {
        self.text(string).trim_matches('\'').to_owned()
    }

    /// Every string without interpolation at or below a node.
    pub fn strings_below(&self, node: Node<'_>) -> Vec<String> {
        let mut found = Vec::new();
        walk(node, &mut |node| {
            if node.kind() == "string" && !named_children(node).iter().any(|part| part.kind() == "interpolation") {
                found.push(self.literal(node));
            }
        });
        found
    }

    /// Each `SYMBOL.outputs.NAME` in the file.
    pub fn outputs_read(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        walk(self.tree.root_node(), &mut |node| {
            let text = self.text(node);
            if node.kind() == "member_expression"
                && let Some((symbol, name)) = text.split_once(".outputs.")
                && !name.contains(|c: char| !c.is_alphanumeric() && c != '_')
                && !symbol.contains(|c: char| !c.is_alphanumeric())
            {
                found.push((self.place(node), symbol.to_owned(), name.to_owned()));
            }
        });
        found
    }

    pub(super) fn top(&self, kind: &str) -> Vec<Node<'_>> {
        named_children(self.tree.root_node()).into_iter().filter(|node| node.kind() == kind).collect()
    }

    pub(super) fn symbol(&self, declaration: Node<'_>) -> String {
        named_children(declaration).first().map(|name| self.text(*name).to_owned()).unwrap_or_default()
    }

    fn decorators(&self, declaration: Node<'_>) -> Vec<String> {
        let before = declaration.prev_named_sibling().filter(|node| node.kind() == "decorators");
        let Some(decorators) = before else { return Vec::new() };
        let name =
            |decorator: &Node<'_>| self.text(*decorator).trim_start_matches('@').split('(').next().map(str::to_owned);
        named_children(decorators).iter().filter_map(name).collect()
    }

    fn all_nodes(&self) -> Vec<Node<'_>> {
        let mut nodes = Vec::new();
        walk(self.tree.root_node(), &mut |node| nodes.push(node));
        nodes
    }
}

/// The object that a declaration's value is, or that its loop or condition holds.
fn object_in(value: Node<'_>) -> Option<Node<'_>> {
    match value.kind() {
        "object" => Some(value),
        "for_statement" | "if_statement" => named_children(value).last().copied().and_then(object_in),
        _ => None,
    }
}

/// All children of a node.
fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

/// A node's named children, comments apart.
pub fn named_children(node: Node<'_>) -> Vec<Node<'_>> {
    children(node).into_iter().filter(|child| child.is_named() && child.kind() != "comment").collect()
}

/// Calls `see` with a node and all below it.
pub fn walk<'t>(node: Node<'t>, see: &mut impl FnMut(Node<'t>)) {
    see(node);
    for child in children(node) {
        walk(child, see);
    }
}
