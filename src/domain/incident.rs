//! The incident document: what cannot be observed in Azure (who was told what, who approved what, what was tried,
//! when it began).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

/// One loss of key access through one vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name everywhere.
    pub id: IncidentId,
    /// What it is about.
    pub key: IncidentKey,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended; `None` while it is open.
    pub ended_at: Option<Timestamp>,
}
