//! What the probes saw in Azure at one moment: the whole chain from server identity to database, each link with how
//! sure we are of it.
//!
//! | file | job |
//! |---|---|
//! | `server` | a server, its identities, protector, linked keys, geo-replication |
//! | `database` | a database, its status and settings |
//! | `vault` | a vault, its network and permissions |
//! | `key` | a key and its versions |
//! | `change` | locks, and changes in the Activity Log |

mod change;
mod database;
mod key;
mod server;
mod vault;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use change::{CallerKind, Change, Lock};
pub use database::{Database, Inaccessibility, SECONDARY_TYPE, is_geo_secondary};
pub use key::{DeletedKey, KeyEvidence, KeyVersion};
pub use server::{
    EffectiveIdentity, Identity, LinkedKey, Protector, ReplicationLink, Server, ServerEvidence, UserAssignedIdentity,
};
pub use vault::{AccessPolicy, DeletedVault, Denial, Grant, KeyRights, Vault, VaultEvidence, VaultNetwork};

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", content = "value", rename_all = "snake_case")]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// Azure says that it does not exist.
    Absent,
    /// We may not read it: the right that is missing, as Azure named it.
    Denied(MissingRight),
    /// It could not be read, or was not asked for: why.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, if it was read.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Whether Azure said that it does not exist.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self::Unknown("not asked".to_owned())
    }
}

/// A right that Azure says the responder lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MissingRight {
    /// The action, such as `Microsoft.KeyVault/vaults/read`, or the data-plane permission.
    pub action: String,
    /// On what: a resource id or a vault's host.
    pub scope: String,
}

/// Everything seen in one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the observation began.
    pub taken_at: Timestamp,
    /// How many waves of requests it took (never more than three).
    pub waves: u8,
    /// The vault, if any protector named one.
    pub vault: Option<VaultEvidence>,
    /// Every distinct key (and version) of that vault that a server in question depends on.
    pub keys: Vec<KeyEvidence>,
    /// The servers in question.
    pub servers: Vec<ServerEvidence>,
    /// Servers that hold geo-secondaries of theirs, and are not themselves in question: of each the server itself, or why
    /// nothing can be said of it.
    #[serde(default)]
    pub partners: Vec<ServerEvidence>,
    /// All management locks of the subscriptions in question, at any level.
    pub locks: Fact<Vec<Lock>>,
    /// Changes found in the Activity Log (and resource changes), newest first. Never complete: the log lags 3–20 min.
    pub changes: Vec<Change>,
    /// Whether the logs could be read.
    pub changes_read: Fact<()>,
}
