//! From diagnosis to decision: what this pass does. Pure.
//!
//! Findings are taken in the order of the decision table. The first one decides, except that a repair of servers that
//! no earlier finding concerns need not wait until a person has dealt with that one: one server without an identity
//! must not keep forty others waiting. A repair is only ever decided by [`permit`], behind all the gates.

mod advice;
mod attempts;
mod by_hand;
mod healing;
mod patience;
mod permit;
pub mod restoring;
mod rights;
mod split;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::domain::diagnosis::{Cause, Finding};
use crate::domain::gates::Situation;
use crate::domain::plan::{Decision, Gate, GateHit, NeedsPerson, Plan};
use crate::domain::resource_id::ResourceId;

/// What to do now, and the gates that were hit on the way.
#[must_use]
pub fn decide(situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    let (decision, hits) = by_findings(situation);
    match (decision, &situation.incident.hold) {
        // Whoever is called anyway hears first that somebody has it in hand.
        (Decision::Escalate { reason, why, plan }, Some(hold)) if reason != NeedsPerson::Held => {
            let why = format!("{}. {why}", permit::hold_in_words(hold));
            (Decision::Escalate { reason: NeedsPerson::Held, why, plan }, hits)
        }
        (decision, _) => (decision, hits),
    }
}

fn by_findings(situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    let mut earlier = BTreeSet::new();
    let mut chosen: Option<(Decision, Vec<GateHit>)> = None;
    for finding in &situation.diagnosis.findings {
        let decided =
            if earlier.is_empty() { Some(about(finding, situation)) } else { apart(finding, &earlier, situation) };
        if let Some(decided) = decided {
            if matches!(decided.0, Decision::Repair { .. }) {
                return decided;
            }
            let waits = |decision: &Decision| matches!(decision, Decision::Wait { .. } | Decision::Close { .. });
            if chosen.as_ref().is_none_or(|(first, _)| waits(first) && !waits(&decided.0)) {
                chosen = Some(decided);
            }
        }
        earlier.extend(finding.servers.iter().cloned());
    }
    chosen.unwrap_or_else(|| (Decision::Wait { why: "nothing was found yet".to_owned(), until: None }, Vec::new()))
}

/// What to do about a later finding, as far as it concerns servers that no earlier one does.
fn apart(
    finding: &Finding,
    earlier: &BTreeSet<ResourceId>,
    situation: &Situation<'_>,
) -> Option<(Decision, Vec<GateHit>)> {
    if finding.servers.iter().all(|server| !earlier.contains(server)) {
        return (!finding.servers.is_empty()).then(|| about(finding, situation));
    }
    let plan = plan_of(finding)?;
    let groups = split::groups(&plan, situation).into_iter().filter(|group| group.is_disjoint(earlier));
    let part = split::part(&plan, &groups.flatten().collect())?;
    Some(permit::permit(part, situation))
}

fn about(finding: &Finding, situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    let plain = |decision| (decision, Vec::new());
    match finding.cause {
        Cause::Healthy => plain(healing::healthy(situation)),
        Cause::TargetGone => {
            plain(Decision::Close { why: "the servers or their databases do not exist any more".to_owned() })
        }
        Cause::ServiceManaged => plain(Decision::Close {
            why: "the servers' protector is Microsoft's own key: no access to be lost".to_owned(),
        }),
        Cause::StillInaccessible => healing::still_inaccessible(finding, situation),
        Cause::VaultUnreachable => plain(healing::unreachable(finding, situation)),
        Cause::Undetermined => plain(healing::undetermined(finding, situation)),
        _ => match plan_of(finding) {
            Some(plan) => permit::permit(plan, situation),
            None => no_remedy(finding, situation),
        },
    }
}

/// The plan that mends a finding; none where only a person can.
fn plan_of(finding: &Finding) -> Option<Plan> {
    let remedy = finding.changes.first()?.remedy();
    Some(Plan { cause: finding.cause, remedy, changes: finding.changes.clone(), servers: finding.servers.clone() })
}

/// Causes that only a person can mend. A variant that we cannot look into is nobody's alarm while nothing is lost.
fn no_remedy(finding: &Finding, situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    if matches!(finding.cause, Cause::ManagedHsm | Cause::CrossTenant)
        && let Some(decision) = healing::nothing_is_lost(finding, situation)
    {
        return (decision, Vec::new());
    }
    let gate = match finding.cause {
        Cause::KeyReplaced => Some(Gate::KeyReplaced),
        Cause::DenyAssignment => Some(Gate::DenyAssignment),
        Cause::CrossTenant => Some(Gate::CrossTenant),
        Cause::ManagedHsm => Some(Gate::ManagedHsm),
        _ => None,
    };
    let said = finding.proof.first().map(|proof| proof.said.clone()).unwrap_or_default();
    let hits = gate.map(|gate| GateHit { gate, why: said, hard: true }).into_iter().collect();
    let why = advice::no_remedy(finding, situation);
    (Decision::Escalate { reason: NeedsPerson::NoRemedy, why, plan: None }, hits)
}
