//! What somebody told us: a body became zero or more [`Signal`]s. A signal names a resource and never carries authority.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::resource_id::ResourceId;

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
