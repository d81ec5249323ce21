//! Gates of volume: how many servers, how many writes, how many failures, and never twice what somebody undid.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnose::unread;
use crate::domain::gates::{Situation, hard, is_safe, servers};
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::words::utc;

pub(super) fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let gates = &situation.policy.gates;
    let mut hits = Vec::new();
    if !is_safe(plan) {
        hits.extend(blast_radius(plan, situation));
        hits.extend(undone(plan, situation));
    }
    let writes = u32::try_from(plan.changes.len()).unwrap_or(u32::MAX);
    if situation.memory.writes_last_hour.saturating_add(writes) > gates.writes_per_hour {
        let why = format!(
            "{} write(s) on top of {} within the last hour would be more than the {} allowed",
            writes, situation.memory.writes_last_hour, gates.writes_per_hour
        );
        hits.push(hard(Gate::WriteBudget, why));
    }
    let failures = situation.incident.failures();
    if failures >= usize::try_from(gates.failures_per_incident).unwrap_or(usize::MAX) {
        let why = format!("{failures} change(s) of this incident failed, {} are allowed", gates.failures_per_incident);
        hits.push(hard(Gate::CircuitBreaker, why));
    }
    hits
}

/// Every server that needs this kind of repair counts, also one that is left out of this plan; and so does every server
/// that could not be read, for it may need it too.
fn blast_radius(plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let mut all: BTreeSet<_> = servers(plan);
    let findings = &situation.diagnosis.findings;
    let alike = findings.iter().filter(|f| f.changes.first().is_some_and(|change| change.remedy() == plan.remedy));
    all.extend(alike.flat_map(|finding| finding.servers.iter().cloned()));
    all.extend(unread(situation.evidence, situation.incident, situation.policy).into_keys());
    let limit = situation.policy.gates.max_servers;
    (all.len() > usize::try_from(limit).unwrap_or(usize::MAX))
        .then(|| hard(Gate::BlastRadius, format!("{} servers are affected, more than the {limit} allowed", all.len())))
}

/// The same repair was made in this incident, or lately, and here is the same fault again: somebody undid it.
fn undone(plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let hours = situation.policy.gates.repeat_within_hours;
    let (made, subject) = plan
        .changes
        .iter()
        .flat_map(crate::domain::remedy::Change::subjects)
        .filter_map(|subject| was_made_before(&subject, situation).map(|made| (made, subject)))
        .max()?;
    let what = subject.split('|').next().unwrap_or_default();
    Some(hard(
        Gate::Undone,
        format!(
            "{what} was made at {} and undone since; it is not made again in the same incident, nor within {hours} hours",
            utc(made)
        ),
    ))
}

/// When the repair of `subject` was last made and took effect: in this incident, however long ago, for an incident may stay
/// open for days, and our clock may be put right meanwhile; or within the policy's hours. What this incident merely began, or
/// what Azure refused, does not count.
fn was_made_before(subject: &str, situation: &Situation<'_>) -> Option<Timestamp> {
    let since = add(situation.now, -SignedDuration::from_hours(i64::from(situation.policy.gates.repeat_within_hours)));
    let attempts: Vec<&Attempt> =
        situation.incident.attempts.iter().filter(|a| a.change.subjects().iter().any(|s| s == subject)).collect();
    let ineffective = |at: Timestamp| {
        attempts.iter().any(|attempt| match &attempt.outcome {
            Some(AttemptOutcome::Made { .. }) => false,
            Some(
                AttemptOutcome::AlreadyThere { at: ended }
                | AttemptOutcome::NotApplicable { at: ended, .. }
                | AttemptOutcome::Failed { at: ended, .. },
            ) => at >= attempt.intended_at && at <= *ended,
            None => at == attempt.intended_at,
        })
    };
    let remembered = situation.memory.repairs.iter().filter(|(known, at)| known == subject && !ineffective(*at));
    let lately = remembered.map(|(_, at)| *at).filter(|at| *at >= since);
    let own = attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Some(AttemptOutcome::Made { at }) => Some(*at),
        _ => None,
    });
    lately.chain(own).max()
}
