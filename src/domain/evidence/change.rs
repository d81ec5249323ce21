//! What people did and what stops people: locks, and changes in the Activity Log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::resource_id::ResourceId;

/// A management lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// The resource, resource group or subscription it is on.
    pub scope: ResourceId,
    /// `ReadOnly` (stops our writes) as opposed to `CanNotDelete` (does not).
    pub read_only: bool,
}

/// Who made a change, as far as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// A person signed in (UPN, or user claims).
    Person,
    /// A service principal or managed identity.
    Application,
    /// Azure itself, or not told.
    Unknown,
}

/// One change in the Activity Log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was made.
    pub at: Timestamp,
    /// UPN, object id or name.
    pub caller: Option<String>,
    /// The caller's other ids (object id, application id, UPN), for lists that name those.
    pub caller_ids: Vec<String>,
    /// What kind of caller.
    pub caller_kind: CallerKind,
    /// The operation in lower case, such as `microsoft.keyvault/vaults/delete`.
    pub operation: String,
    /// What was changed.
    pub target: String,
    /// Azure's correlation id.
    pub correlation_id: Option<String>,
}
