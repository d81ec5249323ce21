//! The only way to a repair: past attempts, gates, mode, approval.

use std::collections::BTreeSet;

use crate::domain::decide::{advice, attempts, patience, split};
use crate::domain::gates::{Situation, approved_plan_has_run, hits};
use crate::domain::incident::{Approval, Hold};
use crate::domain::plan::{Decision, Gate, GateHit, NeedsPerson, Plan};
use crate::domain::policy::{Mode, Preset};
use crate::domain::words::utc;

/// What becomes of a plan now.
pub(super) fn permit(plan: Plan, situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    if let Some(hold) = &situation.incident.hold {
        return held(plan, hold);
    }
    let Some(reason) = stopped(&plan, situation) else { return by_mode(plan, situation) };
    match free_part(&plan, situation) {
        Some(part) => by_mode(part, situation),
        None => reason,
    }
}

/// A person's word goes before everything, in every mode.
fn held(plan: Plan, hold: &Hold) -> (Decision, Vec<GateHit>) {
    let why = hold_in_words(hold);
    let hit = GateHit { gate: Gate::Held, why: why.clone(), hard: true };
    (Decision::Escalate { reason: NeedsPerson::Held, why, plan: Some(plan) }, vec![hit])
}

/// Who holds the incident, since when and why.
pub(super) fn hold_in_words(hold: &Hold) -> String {
    let what = if hold.taken_over { "has taken this incident over" } else { "holds this incident" };
    let mut why = format!("{} {what} since {}", hold.by, utc(hold.at));
    if let Some(said) = hold.why.as_ref().filter(|said| !said.is_empty()) {
        why = format!("{why}: {said}");
    }
    why
}

/// What stops a plan in every mode: an earlier attempt, or a hard gate.
fn stopped(plan: &Plan, situation: &Situation<'_>) -> Option<(Decision, Vec<GateHit>)> {
    if let Some(decision) = attempts::standing(plan, situation) {
        return Some((decision, Vec::new()));
    }
    let hits = hits(plan, situation);
    let hard: Vec<&GateHit> = hits.iter().filter(|hit| hit.hard).collect();
    if hard.is_empty() {
        return None;
    }
    let decision = at_the_gate(plan, &hard, situation);
    Some((decision, hits))
}

/// The part of the plan for servers that nothing stands in the way of.
fn free_part(plan: &Plan, situation: &Situation<'_>) -> Option<Plan> {
    let groups = split::groups(plan, situation);
    if groups.len() < 2 {
        return None;
    }
    let free = |group: &BTreeSet<_>| split::part(plan, group).is_some_and(|part| stopped(&part, situation).is_none());
    let servers: BTreeSet<_> = groups.into_iter().filter(|group| free(group)).flatten().collect();
    split::part(plan, &servers).filter(|part| stopped(part, situation).is_none())
}

fn at_the_gate(plan: &Plan, hard: &[&GateHit], situation: &Situation<'_>) -> Decision {
    let only = |gate: Gate| hard.iter().all(|hit| hit.gate == gate);
    let escalate = |reason| {
        let why = advice::gates(plan, hard, reason, situation);
        Decision::Escalate { reason, why, plan: Some(plan.clone()) }
    };
    if only(Gate::CircuitBreaker) {
        return escalate(NeedsPerson::Failed);
    }
    if only(Gate::CannotTell) {
        if patience::a_right_is_missing(situation) {
            return escalate(NeedsPerson::MissingRight);
        }
        if !patience::patience_is_over(situation) {
            let why = hard.iter().map(|hit| hit.why.as_str()).collect::<Vec<_>>().join("; ");
            return Decision::Wait {
                why: format!("not all that a repair depends on could be read: {why}"),
                until: None,
            };
        }
    }
    escalate(NeedsPerson::Gate)
}

/// No hard gate and no earlier attempt stands in the way.
fn by_mode(plan: Plan, situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    let soft = hits(&plan, situation);
    let policy = situation.policy;
    let mode = policy.mode(plan.remedy);
    if policy.preset != Preset::Observe && mode == Mode::Off {
        let why = advice::off(&plan, situation);
        return (Decision::Escalate { reason: NeedsPerson::Off, why, plan: Some(plan) }, soft);
    }
    if let Some(approval) = &situation.incident.approval
        && is_rejected(&plan, approval)
    {
        let why = advice::rejected(&plan, approval, situation);
        return (Decision::Escalate { reason: NeedsPerson::NotApproved, why, plan: Some(plan) }, soft);
    }
    if policy.preset == Preset::Observe || policy.dry_run {
        let why = if policy.dry_run { "dry run: nothing is sent" } else { "the preset observe writes nothing" };
        return (Decision::Observe { plan, why: why.to_owned() }, soft);
    }
    if mode == Mode::Auto && soft.is_empty() {
        return (Decision::Repair { plan }, soft);
    }
    let why = asking(&plan, mode, &soft);
    match &situation.incident.approval {
        Some(approval) if is_approved(&plan, approval, situation) => (Decision::Repair { plan }, soft),
        Some(approval)
            if approval.decision.is_none()
                && approval.plan_hash == plan.hash()
                && situation.now > approval.answer_by =>
        {
            let why = advice::unanswered(&plan, approval, situation);
            (Decision::Escalate { reason: NeedsPerson::NotApproved, why, plan: Some(plan) }, soft)
        }
        _ => (Decision::Ask { plan, why }, soft),
    }
}

/// This very plan was approved; or it is what is left of an approved plan that has begun.
fn is_approved(plan: &Plan, approval: &Approval, situation: &Situation<'_>) -> bool {
    let approved = approval.decision.as_ref().is_some_and(|decision| decision.approved);
    let left_of_it = || {
        approval.plan.remedy == plan.remedy
            && approval.plan.cause == plan.cause
            && plan.changes.iter().all(|change| approval.plan.changes.contains(change))
            && plan.servers.iter().all(|server| approval.plan.servers.contains(server))
            && approved_plan_has_run(approval, situation)
    };
    approved && (approval.plan_hash == plan.hash() || left_of_it())
}

/// A person said no to this plan, or to one that did all of it.
fn is_rejected(plan: &Plan, approval: &Approval) -> bool {
    let rejected = approval.decision.as_ref().is_some_and(|decision| !decision.approved);
    let subjects = |plan: &Plan| -> BTreeSet<String> {
        plan.changes.iter().flat_map(crate::domain::remedy::Change::subjects).collect()
    };
    rejected && subjects(plan).is_subset(&subjects(&approval.plan))
}

fn asking(plan: &Plan, mode: Mode, soft: &[GateHit]) -> String {
    let mut reasons: Vec<String> = soft.iter().map(|hit| hit.why.clone()).collect();
    if mode == Mode::Approve {
        reasons.insert(0, format!("policy asks before {}", plan.remedy));
    }
    reasons.join("; ")
}
