//! Changes that were made, or at least begun, and how they went.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::remedy::Change;

/// One change that was made, or at least begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unique within the incident, in order.
    pub number: u32,
    /// What.
    pub change: Change,
    /// The hash of the plan it belongs to.
    pub plan_hash: String,
    /// The intent was written before the change was sent.
    pub intended_at: Timestamp,
    /// How it went; `None` while unknown (also after a crash between sending and recording).
    pub outcome: Option<AttemptOutcome>,
    /// The long-running operation to be followed, as a validated URL.
    pub operation: Option<String>,
    /// The correlation or request id by which Azure's logs know the write.
    pub correlation_id: Option<String>,
    /// What was there before and after, in words, as `(property, before, after)`.
    pub before_after: Vec<(String, String, String)>,
}

impl Attempt {
    /// The last change that was made, or if none was, the last one begun.
    #[must_use]
    pub fn last_made(attempts: &[Self]) -> Option<&Self> {
        let made = attempts.iter().rev().find(|it| matches!(it.outcome, Some(AttemptOutcome::Made { .. })));
        made.or(attempts.last())
    }
}

/// How a change went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It was made and read back.
    Made {
        /// When.
        at: Timestamp,
    },
    /// It was there already: nothing was sent.
    AlreadyThere {
        /// When that was seen.
        at: Timestamp,
    },
    /// The situation was another than planned for: nothing was sent.
    NotApplicable {
        /// When.
        at: Timestamp,
        /// What was different.
        why: String,
    },
    /// Azure refused it, or it failed later.
    Failed {
        /// When.
        at: Timestamp,
        /// Azure's error code.
        code: String,
        /// Azure's words or ours.
        why: String,
    },
}
