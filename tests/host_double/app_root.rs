//! The app as it is deployed: `host.json`, the function folders and the executable, side by side.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::host_json::at;

/// A folder with a deployed app in it.
#[derive(Debug)]
pub struct AppRoot(TempDir);

impl AppRoot {
    /// This repository's app with `executable` under the name that its `host.json` gives it.
    pub fn of_repository(executable: &Path) -> Self {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let host_json = std::fs::read_to_string(source.join("host.json")).expect("the repository has a host.json");
        let host_json = serde_json::from_str(&host_json).expect("host.json is JSON");
        let folders = std::fs::read_dir(&source).unwrap().flatten().filter_map(|entry| {
            let json = std::fs::read_to_string(entry.path().join("function.json")).ok()?;
            Some((entry.file_name().into_string().ok()?, serde_json::from_str(&json).expect("function.json is JSON")))
        });
        Self::new(&host_json, &folders.collect::<Vec<_>>(), executable)
    }

    /// An app of these files.
    pub fn new(host_json: &Value, functions: &[(String, Value)], executable: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("host.json"), host_json.to_string()).unwrap();
        for (name, json) in functions {
            std::fs::create_dir(root.path().join(name)).unwrap();
            std::fs::write(root.path().join(name).join("function.json"), json.to_string()).unwrap();
        }
        let name = at(host_json, &["customHandler", "description", "defaultExecutablePath"]).as_str();
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let link = root.path().join(name);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink(executable, link).unwrap();
            #[cfg(not(unix))]
            std::fs::copy(executable, link).map(drop).unwrap();
        }
        Self(root)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
