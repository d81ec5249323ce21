//! A key and its versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fact;
use crate::domain::key_uri::KeyUri;

/// One key that a server depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvidence {
    /// The key, with the version if the protector or link names one.
    pub uri: KeyUri,
    /// The version in question (for a versionless URI: the version in use or the newest).
    pub version: Fact<KeyVersion>,
    /// Whether the key exists under any version.
    pub exists: Fact<bool>,
    /// Every version's id and creation time, where read.
    pub versions: Vec<(String, Option<Timestamp>)>,
    /// Its soft-deleted remains.
    pub deleted: Fact<DeletedKey>,
}

/// A key version's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersion {
    /// 32 hex digits.
    pub version: String,
    /// Enabled.
    pub enabled: bool,
    /// Not before.
    pub not_before: Option<Timestamp>,
    /// Expires at.
    pub expires: Option<Timestamp>,
    /// When made.
    pub created: Option<Timestamp>,
    /// When last changed.
    pub updated: Option<Timestamp>,
    /// `RSA`, `RSA-HSM` …
    pub kind: Option<String>,
    /// Bits.
    pub size: Option<u32>,
    /// Allowed operations in lower case; empty means not said.
    pub operations: Vec<String>,
    /// Its tags: from the Resource Manager, and for a version that is disabled or not valid now also from the vault itself.
    pub tags: BTreeMap<String, String>,
}

/// A soft-deleted key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedKey {
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it is gone for good.
    pub purge_at: Option<Timestamp>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}
