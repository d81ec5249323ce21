//! Which properties a resource type has, in the Markdown form of Azure's published Bicep types, and whether a file keeps to it.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::bicep::{Bicep, named_children};

/// The types of some resource providers, by heading: `Microsoft.KeyVault/vaults@2026-02-01`, `VaultProperties` …
#[derive(Default)]
pub struct Shapes {
    types: BTreeMap<String, Shape>,
}

#[derive(Default)]
struct Shape {
    /// Property and the types that it may have, by heading.
    properties: BTreeMap<String, Property>,
    /// Any other name may be used as well.
    open: bool,
}

struct Property {
    types: Vec<String>,
    required: bool,
    read_only: bool,
}

impl Shapes {
    /// Adds the types of one document. Headings of different providers may collide, so each document gets shapes of its own.
    pub fn read(markdown: &str) -> Self {
        let mut shapes = Self::default();
        let mut heading = String::new();
        for line in markdown.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                let title = title.strip_prefix("Resource ").unwrap_or(title);
                heading = title.split(" (").next().unwrap_or(title).to_owned();
                shapes.types.entry(heading.clone()).or_default();
            } else if line.starts_with("### Additional Properties") {
                shapes.types.entry(heading.clone()).or_default().open = true;
            } else if let Some((name, rest)) = line.strip_prefix("* **").and_then(|line| line.split_once("**: ")) {
                let property = Property {
                    types: linked(rest),
                    required: rest.contains("(Required"),
                    read_only: rest.contains("(ReadOnly"),
                };
                shapes.types.entry(heading.clone()).or_default().properties.insert(name.to_owned(), property);
            }
        }
        shapes
    }

    /// Whether this document has the provider of a type.
    pub fn knows_provider(&self, what: &str) -> bool {
        let provider = what.split('/').next().unwrap_or_default().to_ascii_lowercase();
        self.types.keys().any(|heading| heading.to_ascii_lowercase().starts_with(&format!("{provider}/")))
    }

    /// What is wrong with a resource's body.
    pub fn wrong(&self, file: &Bicep, what: &str, body: Node<'_>) -> Vec<String> {
        if !self.types.contains_key(what) {
            return vec![format!("{}: there is no {what}", file.place(body))];
        }
        let mut wrong = Vec::new();
        self.compare(file, what, body, true, &mut wrong);
        wrong
    }

    fn compare(&self, file: &Bicep, heading: &str, object: Node<'_>, top: bool, wrong: &mut Vec<String>) {
        let Some(shape) = self.types.get(heading) else { return };
        // Bicep's own words, which stand beside a resource's properties.
        let ours = |name: &str| top && matches!(name, "parent" | "scope" | "dependsOn");
        let given = file.properties(object);
        for (name, value) in &given {
            match shape.properties.get(name) {
                _ if ours(name) => {}
                None if shape.open => {}
                None => wrong.push(format!("{}: {heading} has no property `{name}`", file.place(*value))),
                Some(property) if property.read_only => {
                    wrong.push(format!("{}: `{name}` of {heading} cannot be written", file.place(*value)));
                }
                Some(property) => {
                    for object in objects(*value) {
                        if let [only] = property.types.as_slice() {
                            self.compare(file, only, object, false, wrong);
                        }
                    }
                }
            }
        }
        let parent = given.iter().any(|(name, _)| name == "parent");
        for (name, property) in &shape.properties {
            if property.required && !property.read_only && !parent && !given.iter().any(|(given, _)| given == name) {
                wrong.push(format!("{}: {heading} needs `{name}`", file.place(object)));
            }
        }
    }
}

/// The headings that a property's type is linked to: `[VaultProperties](#vaultproperties)` gives `VaultProperties`.
fn linked(rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = rest;
    while let Some(at) = rest.find("](#") {
        if let Some(open) = rest[..at].rfind('[') {
            found.push(rest[open + 1..at].to_owned());
        }
        rest = &rest[at + 3..];
    }
    found
}

/// The objects that a value is made of: itself, or the elements of an array.
fn objects(value: Node<'_>) -> Vec<Node<'_>> {
    match value.kind() {
        "object" => vec![value],
        "array" => named_children(value).into_iter().filter(|child| child.kind() == "object").collect(),
        _ => Vec::new(),
    }
}
