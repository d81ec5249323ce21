//! Jobs that failed too often and were set aside.

use serde_json::{Value, json};

use super::layout::Layout;
use crate::cli::output::plain;

/// All of them as JSON.
pub(super) fn json(aside: &[(String, String)]) -> Value {
    aside.iter().map(|(key, error)| json!({ "job": key, "error": error })).collect()
}

/// All of them for people.
pub(super) fn table(aside: &[(String, String)]) -> String {
    if aside.is_empty() {
        return "No job was set aside.".to_owned();
    }
    let mut page = Layout::new();
    page.section("SET ASIDE");
    for (key, error) in aside {
        page.as_is(key);
        page.item("last error", error);
    }
    page.text("Let one be tried again: keymend incidents jobs --retry KEY");
    page.finish()
}

/// What is said when one was put back.
pub(super) fn put_back(key: &str) -> String {
    format!("{} is tried again now.", plain(key))
}
