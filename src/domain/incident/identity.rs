//! What an incident is called, and what makes two losses one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;

/// `km-` with the date, the time and four letters or digits, all lower case: safe in a ServiceNow query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub String);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes two losses one incident: the vault's host, or the server's id where the vault can't be told yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentKey(pub String);

impl IncidentKey {
    /// The key of everything that is lost through one vault.
    #[must_use]
    pub fn vault(host: &VaultHost) -> Self {
        Self(format!("vault:{host}"))
    }

    /// The key of a server whose vault can't be told yet.
    #[must_use]
    pub fn server(server: &ResourceId) -> Self {
        Self(format!("server:{}", server.key()))
    }
}
