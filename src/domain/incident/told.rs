//! What an incident remembers of a message to people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::diagnosis::Cause;
use crate::domain::plan::NeedsPerson;
use crate::domain::situation::Situation;

/// What an incident remembers of a notice: enough to know what was said, and where the whole of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The notice's id.
    pub id: String,
    /// Its number within the incident.
    pub sequence: u32,
    /// What kind of message.
    pub situation: Situation,
    /// When it was written.
    pub at: Timestamp,
    /// The cause it told.
    pub cause: Option<Cause>,
    /// Why it called a person.
    pub needs_person: Option<NeedsPerson>,
    /// The plan it spoke of.
    pub plan_hash: Option<String>,
    /// The plan that the last change belonged to that it told of.
    pub made_hash: Option<String>,
    /// The key that the whole notice is kept under.
    pub kept: String,
}
