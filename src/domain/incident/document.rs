//! An incident as JSON: what is stored, and what follows from it and the time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Approval, Incident, Member};
use crate::domain::diagnosis::{Cause, Diagnosis};

/// What people compare before they answer: the beginning of the plan's hash.
fn code(approval: &Approval) -> String {
    approval.plan_hash.chars().take(8).collect()
}

impl Incident {
    /// The whole incident: the stored document, and under `now`, `loss`, `restore_before`, `window_over` and
    /// `approval_code` what follows from it.
    #[must_use]
    pub fn document(&self, now: Timestamp) -> Value {
        // A document of strings, times and lists always serializes.
        let mut document = serde_json::to_value(self).unwrap_or_default();
        document["now"] = json!(now);
        document["loss"] = json!(self.loss());
        document["restore_before"] = json!(self.restore_before());
        document["window_over"] = json!(self.window_is_over(now));
        document["approval_code"] = json!(self.approval.as_ref().map(code));
        document
    }

    /// The incident in a list.
    #[must_use]
    pub fn summary(&self, now: Timestamp) -> Value {
        let (down, all) = self.down_of_all();
        json!({
            "id": self.id,
            "key": self.key,
            "phase": self.phase,
            "opened_at": self.opened_at,
            "ended_at": self.ended_at,
            "end": self.end,
            "vault": self.vault,
            "cause": self.cause_in_short(),
            "servers": self.members.len(),
            "databases": all,
            "inaccessible": down,
            "restore_before": self.restore_before(),
            "window_over": self.window_is_over(now),
            "approval": self.approval.as_ref().map(|approval| json!({
                "code": code(approval),
                "answer_by": approval.answer_by,
                "decision": approval.decision,
            })),
        })
    }

    /// The cause that it is remembered by, else the one found last.
    #[must_use]
    pub fn cause_in_short(&self) -> Option<Cause> {
        self.root_cause.or_else(|| self.diagnosis.as_ref().map(Diagnosis::cause))
    }

    /// How many databases were down when last looked at, and how many were named or seen down at any time.
    #[must_use]
    pub fn down_of_all(&self) -> (usize, usize) {
        let of = |member: &Member| (member.inaccessible.len(), member.databases.union(&member.inaccessible).count());
        self.members.values().map(of).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}
