//! From diagnosis to decision: what this pass does. Pure.

use crate::domain::gates::Situation;
use crate::domain::plan::{Decision, GateHit};

/// What to do now, and the gates that were hit on the way.
#[must_use]
pub fn decide(_situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    (Decision::Wait { why: "not decided".to_owned(), until: None }, Vec::new())
}
