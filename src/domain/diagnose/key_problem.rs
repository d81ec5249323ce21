//! What can be wrong with a key, and what keys are called.

use jiff::Timestamp;

use crate::domain::diagnosis::Cause;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;

/// Something wrong with one key or key version.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) cause: Cause,
    pub(super) said: String,
    pub(super) probe: &'static str,
    pub(super) resource: String,
    pub(super) change: Option<Change>,
    pub(super) since: Option<Timestamp>,
    pub(super) purge_at: Option<Timestamp>,
}

/// `key tde-key`, with the first digits of its version.
pub(super) fn in_words(uri: &KeyUri) -> String {
    match &uri.version {
        Some(version) => format!("key {} version {}", uri.key, version.get(..8).unwrap_or(version)),
        None => format!("key {}", uri.key),
    }
}
