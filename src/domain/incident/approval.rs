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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnosis::Cause;
    use crate::domain::remedy::Remedy;

    fn asked(minutes: i64, reminders: u32) -> Approval {
        let asked_at = Timestamp::UNIX_EPOCH;
        Approval {
            plan: Plan {
                cause: Cause::VaultDeleted,
                remedy: Remedy::RecoverVault,
                changes: Vec::new(),
                servers: Vec::new(),
            },
            plan_hash: String::new(),
            why: String::new(),
            asked_at,
            answer_by: add(asked_at, SignedDuration::from_mins(minutes)),
            reminders,
            decision: None,
        }
    }

    fn minutes(approval: &Approval) -> Option<i64> {
        approval.remind_at().map(|at| at.as_second() / 60)
    }

    #[test]
    fn people_are_reminded_while_it_helps() {
        assert_eq!(minutes(&asked(26, 0)), Some(13), "half of what is left of the window");
        assert_eq!(minutes(&asked(26, 1)), None, "the window's end has a warning of its own");
        assert_eq!(minutes(&asked(3, 0)), None, "too short for a reminder");
        let day: Vec<Option<i64>> = (0..4).map(|reminders| minutes(&asked(24 * 60, reminders))).collect();
        assert_eq!(day, [Some(60), Some(240), Some(720), None]);
        let mut decided = asked(26, 0);
        decided.decision = Some(ApprovalDecision { approved: false, by: "ada".to_owned(), at: Timestamp::UNIX_EPOCH });
        assert_eq!(minutes(&decided), None);
    }
}
