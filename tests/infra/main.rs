//! What is deployed to Azure, held against itself and against the product: no live Azure is needed, and none was asked.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod azd;
mod bicep;
mod names;
mod resolve;
mod rights;
mod rules;
mod shapes;
mod structure;

use std::path::{Path, PathBuf};

use bicep::Bicep;

/// The project's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project, as text.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A JSON file of the project.
fn json(path: &str) -> serde_json::Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Bicep file.
fn bicep_files() -> Vec<Bicep> {
    let mut paths: Vec<PathBuf> = ["infra", "infra/modules"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).expect("infra is there"))
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bicep"))
        .collect();
    paths.sort();
    paths.iter().map(|path| Bicep::read(path)).collect()
}

/// One Bicep file.
fn bicep(path: &str) -> Bicep {
    Bicep::read(&root().join(path))
}
