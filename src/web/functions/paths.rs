//! Paths of HTTP functions, as the host compares them.

/// Where alerts are taken.
pub(super) const ALERTS: &str = "/api/alerts";

/// A path as the host compares it: in any case, with or without a last slash.
pub(super) fn called(path: &str) -> String {
    path.strip_suffix('/').unwrap_or(path).to_ascii_lowercase()
}
