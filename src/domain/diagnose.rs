//! From evidence to diagnosis: the decision table. Pure.

use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::Evidence;
use crate::domain::incident::Incident;
use crate::domain::policy::Policy;

/// What the evidence says: the first match wins, in the order of the decision table.
#[must_use]
pub fn diagnose(evidence: &Evidence, _incident: &Incident, _policy: &Policy) -> Diagnosis {
    let _ = Cause::Undetermined;
    Diagnosis {
        at: evidence.taken_at,
        findings: Vec::new(),
        checks: Vec::new(),
        culprit: None,
        protective_changes: Vec::new(),
        unknowns: Vec::new(),
        missing_rights: Vec::new(),
        inaccessible: Vec::new(),
    }
}
