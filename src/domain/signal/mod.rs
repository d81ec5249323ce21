//! What somebody told us: a body became zero or more [`Signal`]s. A signal names a resource and never carries authority.

mod clean;
mod common;
mod event;
mod event_grid;
mod json;
mod operation;
mod outcome;
#[cfg(test)]
mod properties;
mod read;
mod target;
mod tde;
mod test_action;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::resource_id::ResourceId;

pub use clean::words;
pub use event_grid::validation_code;
pub use operation::watched_operations;
pub use read::read;

/// What a signal is about. The JSON names are part of the public interface (`keymend replay --json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// `MakeDatabaseInaccessible` / Started: the database has lost its key and is going down.
    AccessLost,
    /// The 2019 `InProgress` event: waiting for access to come back ("within 8 hours").
    WaitingForAccess,
    /// `MakeDatabaseInaccessible` / Succeeded: the worst state; only re-validation brings it back.
    SelfHealEnded,
    /// `MakeDatabaseAccessible` / Started.
    RestoreStarted,
    /// `MakeDatabaseAccessible` / Succeeded: online again.
    RestoreSucceeded,
    /// `MakeDatabaseAccessible` / Failed.
    RestoreFailed,
    /// A key vault was deleted or purged.
    VaultDeleted,
    /// A key vault was written: firewall, permission model or policies may have changed.
    VaultChanged,
    /// An access policy of a vault changed.
    AccessPolicyChanged,
    /// A role assignment was made or removed.
    RoleAssignmentChanged,
    /// A SQL server or instance was written or deleted: its identity may have changed.
    ServerChanged,
    /// An encryption protector was set or re-validated.
    ProtectorChanged,
    /// A key was linked to or unlinked from a server.
    ServerKeyChanged,
    /// A user-assigned identity was deleted.
    IdentityDeleted,
    /// A management lock was made or removed.
    LockChanged,
    /// Event Grid: a key expires within 30 days.
    KeyNearExpiry,
    /// Event Grid: a key has expired.
    KeyExpired,
    /// Event Grid: a key has a new version.
    KeyRotated,
    /// Resource Health of a database, server or vault changed.
    HealthChanged,
    /// A database was written and no event name was found: to be confirmed through ARM.
    DatabaseChanged,
    /// The patrol saw that a key cannot be used, or soon cannot be.
    FoundBroken,
    /// The patrol saw an inaccessible database that no event told of.
    FoundInaccessible,
}

/// One thing that was told. Everything in it may be forged or wrong; it only decides where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What it is about.
    pub kind: SignalKind,
    /// The resource named, as a full ARM id.
    pub target: ResourceId,
    /// When it happened by the sender's account, if it says.
    pub occurred_at: Option<Timestamp>,
    /// Who did it by the sender's account: UPN, object id or service name.
    pub caller: Option<String>,
    /// The event's own id: the same event delivered twice carries the same one.
    pub event_id: Option<String>,
    /// Azure's correlation id.
    pub correlation_id: Option<String>,
    /// The length of the self-heal window if the text itself names one (the 2019 text says 8 hours), in minutes.
    pub window_minutes: Option<u32>,
    /// Azure's own words about the event, cut to 1,000 characters. Untrusted text.
    pub text: Option<String>,
}

impl SignalKind {
    /// The JSON name, such as `access_lost`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessLost => "access_lost",
            Self::WaitingForAccess => "waiting_for_access",
            Self::SelfHealEnded => "self_heal_ended",
            Self::RestoreStarted => "restore_started",
            Self::RestoreSucceeded => "restore_succeeded",
            Self::RestoreFailed => "restore_failed",
            Self::VaultDeleted => "vault_deleted",
            Self::VaultChanged => "vault_changed",
            Self::AccessPolicyChanged => "access_policy_changed",
            Self::RoleAssignmentChanged => "role_assignment_changed",
            Self::ServerChanged => "server_changed",
            Self::ProtectorChanged => "protector_changed",
            Self::ServerKeyChanged => "server_key_changed",
            Self::IdentityDeleted => "identity_deleted",
            Self::LockChanged => "lock_changed",
            Self::KeyNearExpiry => "key_near_expiry",
            Self::KeyExpired => "key_expired",
            Self::KeyRotated => "key_rotated",
            Self::HealthChanged => "health_changed",
            Self::DatabaseChanged => "database_changed",
            Self::FoundBroken => "found_broken",
            Self::FoundInaccessible => "found_inaccessible",
        }
    }
}

impl Signal {
    /// What we saw ourselves at a time, without anybody telling.
    #[must_use]
    pub fn seen_by_us(kind: SignalKind, target: ResourceId, text: String, at: Timestamp) -> Self {
        Self {
            kind,
            target,
            occurred_at: Some(at),
            caller: None,
            event_id: None,
            correlation_id: None,
            window_minutes: None,
            text: Some(text),
        }
    }

    /// What the search for an incident is keyed by: what holds the databases for anything at or below it,
    /// the vault for anything at or below a vault, otherwise the target itself.
    #[must_use]
    pub fn subject(&self) -> ResourceId {
        let target = &self.target;
        target.database_host().or_else(|| target.key_vault()).unwrap_or_else(|| target.clone())
    }

    /// What makes two deliveries the same signal: a stable text of 64 hex digits.
    ///
    /// With an event id it is made of that id, the kind and the subject (one Azure event may name several resources);
    /// without one, of kind, target, time and text.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.fingerprint_about(&self.subject())
    }

    /// The same where the subject is known already.
    #[must_use]
    pub fn fingerprint_about(&self, subject: &ResourceId) -> String {
        let mut digest = Sha256::new();
        let mut field = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        };
        field(self.kind.name());
        match &self.event_id {
            Some(id) => {
                field("event");
                field(&id.to_ascii_lowercase());
                field(subject.key());
            }
            None => {
                field("content");
                field(self.target.key());
                field(&self.occurred_at.map(|at| at.to_string()).unwrap_or_default());
                field(self.text.as_deref().unwrap_or_default());
            }
        }
        hex::encode(digest.finalize())
    }
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It names resources that concern us.
    Signals(Vec<Signal>),
    /// It is well-formed and not for us; the reason is one of the short phrases people see in `{"ignored": …}`.
    Ignored(String),
    /// It is no JSON object or array, or carries nothing that could be understood.
    Malformed(String),
}
