//! The gates: reasons not to repair, whatever the mode. Pure.

use jiff::Timestamp;

use crate::domain::diagnosis::Diagnosis;
use crate::domain::evidence::Evidence;
use crate::domain::incident::Incident;
use crate::domain::plan::{GateHit, Memory, Plan};
use crate::domain::policy::Policy;

/// Everything that a gate may look at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What was seen.
    pub evidence: &'a Evidence,
    /// What it means.
    pub diagnosis: &'a Diagnosis,
    /// What is remembered of this incident.
    pub incident: &'a Incident,
    /// What is remembered over all incidents.
    pub memory: &'a Memory,
    /// What is allowed.
    pub policy: &'a Policy,
    /// The present.
    pub now: Timestamp,
}

/// The gates that stand in the plan's way, hard ones first.
#[must_use]
pub fn hits(_plan: &Plan, _situation: &Situation<'_>) -> Vec<GateHit> {
    Vec::new()
}
