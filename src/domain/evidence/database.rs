//! A database: its status, its settings, and why it is inaccessible where Azure says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::key_uri::KeyUri;

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// `Online`, `Inaccessible` …
    pub status: String,
    /// Its own key if it has database-level encryption.
    pub own_protector: Option<KeyUri>,
    /// What Azure drops after the self-heal window, as name → value in words.
    pub settings: BTreeMap<String, String>,
    /// Why it is inaccessible, where Azure says (managed instances alone).
    #[serde(default)]
    pub reason: Option<Inaccessibility>,
}

/// Why a database is inaccessible, in Azure's own words: `extendedAccessibilityInfo` of a managed instance's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inaccessibility {
    /// `TransparentDataEncryption`, `DatabaseReplication`, `Unknown`.
    pub kind: String,
    /// Azure's error code.
    pub code: String,
    /// The cause and what to do, in Azure's words.
    pub description: String,
    /// The key, if the cause is one.
    pub key: Option<KeyUri>,
}

impl Inaccessibility {
    /// Whether Azure blames the key.
    #[must_use]
    pub fn is_of_the_key(&self) -> bool {
        self.kind.eq_ignore_ascii_case("TransparentDataEncryption")
    }
}

/// The setting that says a database is a secondary, and of which kind: `Geo`, `Standby` or `Named`
/// (`secondaryType`, REST reference 2025-01-01). A primary and a database that stands alone have none.
pub const SECONDARY_TYPE: &str = "secondary type";

/// Whether a database of these settings is a geo-secondary. Named replicas share their primary's storage: they have nothing
/// of their own to lose.
#[must_use]
pub fn is_geo_secondary(settings: &BTreeMap<String, String>) -> bool {
    settings.get(SECONDARY_TYPE).is_some_and(|kind| !kind.eq_ignore_ascii_case("Named"))
}

impl Database {
    /// Whether Azure SQL calls it inaccessible.
    #[must_use]
    pub fn is_inaccessible(&self) -> bool {
        self.status.eq_ignore_ascii_case("Inaccessible")
    }

    /// Whether Azure says that it is inaccessible for another reason than its key.
    #[must_use]
    pub fn is_down_for_another_reason(&self) -> bool {
        self.is_inaccessible() && self.reason.as_ref().is_some_and(|reason| !reason.is_of_the_key())
    }

    /// Whether it is back in service: online, or deliberately paused.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        ["online", "paused", "pausing", "resuming", "scaling", "autoclosed"]
            .contains(&self.status.to_ascii_lowercase().as_str())
    }
}
