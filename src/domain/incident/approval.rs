//! A question put to people, and the answer.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::add;
use crate::domain::plan::Plan;

/// A question put to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The plan.
    pub plan: Plan,
    /// Its hash: the decision counts for this plan alone.
    pub plan_hash: String,
    /// Why we ask.
    pub why: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it becomes too late to matter for the window; asked again afterwards.
    pub answer_by: Timestamp,
    /// How often people were reminded that nobody has answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reminders: u32,
    /// The answer.
    pub decision: Option<ApprovalDecision>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Approval {
    /// When people are reminded next that nobody has answered: at half of the time that is left for an answer, when that is
    /// the self-heal window; where a question stays open for long, after 1, 4 and 12 hours.
    #[must_use]
    pub fn remind_at(&self) -> Option<Timestamp> {
        let open = self.answer_by.duration_since(self.asked_at);
        let after = match self.reminders {
            0 => Some((open / 2).min(SignedDuration::from_hours(1))),
            1 => Some(SignedDuration::from_hours(4)),
            2 => Some(SignedDuration::from_hours(12)),
            _ => None,
        };
        let at = add(self.asked_at, after?);
        // The last minutes have a warning of their own.
        (self.decision.is_none() && add(at, SignedDuration::from_mins(2)) < self.answer_by).then_some(at)
    }
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    /// Approved or rejected.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
