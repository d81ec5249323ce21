//! A question put to people, and the answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// The answer.
    pub decision: Option<ApprovalDecision>,
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
