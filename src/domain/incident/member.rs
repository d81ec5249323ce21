//! A server of an incident, and what was seen of its databases.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::LostSetting;
use crate::domain::restoration::Snapshots;

/// A server whose protector lives in the incident's vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which.
    pub server: ResourceId,
    /// Its protector's key, once known.
    pub protector: Option<KeyUri>,
    /// Databases that signals named or that were seen inaccessible.
    pub databases: BTreeSet<String>,
    /// Those that were inaccessible when last looked at.
    pub inaccessible: BTreeSet<String>,
    /// Whether a database of it was seen inaccessible at any time of this incident.
    pub was_down: bool,
    /// When it was last read in full.
    pub observed_at: Option<Timestamp>,
    /// Settings per database as first seen: what Azure drops after the window.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// What its databases were like before the loss, as far as it is known: see [`crate::domain::restoration`].
    #[serde(default)]
    pub before: Snapshots,
    /// Databases that were seen inaccessible after the self-heal window: Azure has dropped settings of theirs.
    #[serde(default)]
    pub past_window: BTreeSet<String>,
    /// Settings that were other than that when last looked at.
    pub lost_settings: Vec<LostSetting>,
}
