//! The lines of an incident's story.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What an entry of the timeline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Azure or a person told us.
    Noticed,
    /// We looked.
    Checked,
    /// We decided.
    Decided,
    /// We asked, or were answered.
    Approval,
    /// We changed something.
    Changed,
    /// We saw that a change works, or a database is back.
    Verified,
    /// The team was told, or could not be.
    Told,
    /// It ended.
    Ended,
}

/// One line of the incident's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: EntryKind,
    /// What happened.
    pub text: String,
}

impl EntryKind {
    /// In a word, as stories show it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::Checked => "checked",
            Self::Decided => "decided",
            Self::Approval => "approval",
            Self::Changed => "changed",
            Self::Verified => "verified",
            Self::Told => "told",
            Self::Ended => "ended",
        }
    }
}
