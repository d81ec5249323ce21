//! What was tried before, and what follows from it: a change that is under way or takes effect is waited for, one that
//! Azure refused is not simply repeated.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::decide::rights::{missing_for, role_for};
use crate::domain::gates::Situation;
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::plan::{Decision, NeedsPerson, Plan};
use crate::domain::remedy::Remedy;

/// How long a grant may take to work, and to show in what is read.
pub(super) const PROPAGATION: SignedDuration = SignedDuration::from_mins(15);
/// The longest that a long-running operation of a repair is waited for without an outcome.
const LONGEST_OPERATION: SignedDuration = SignedDuration::from_hours(2);
/// When a situation that differed from the plan is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(2);
/// A refused write is tried again only after this: somebody may have given the right, removed the lock.
const REFUSED: SignedDuration = SignedDuration::from_mins(60);

/// Error codes by which Azure says that we may not write.
const RIGHT_MISSING: [&str; 6] = [
    "AuthorizationFailed",
    "LinkedAuthorizationFailed",
    "Forbidden",
    "ForbiddenByPolicy",
    "ForbiddenByRbac",
    "AccessDenied",
];
/// Error codes of locks.
const LOCKED: [&str; 2] = ["ScopeLocked", "ResourceLocked"];
/// Error codes that no repetition changes: our own network path to the vault, an Azure Policy, a name taken by another.
const HOPELESS: [&str; 4] =
    ["ForbiddenByFirewall", "ForbiddenByConnection", "RequestDisallowedByPolicy", "RoleAssignmentUpdateNotPermitted"];

/// What the latest attempt at any of the plan's changes means for it now; none if it may go ahead.
pub(super) fn standing(plan: &Plan, situation: &Situation<'_>) -> Option<Decision> {
    let subjects: Vec<String> = plan.changes.iter().flat_map(crate::domain::remedy::Change::subjects).collect();
    let latest = |subject: &String| {
        let of = |attempt: &&Attempt| attempt.change.subjects().contains(subject);
        situation.incident.attempts.iter().filter(of).max_by_key(|attempt| attempt.number)
    };
    let mut attempts: Vec<&Attempt> = subjects.iter().filter_map(latest).collect();
    attempts.sort_by_key(|attempt| attempt.number);
    attempts.dedup_by_key(|attempt| attempt.number);
    let mut decisions: Vec<Decision> =
        attempts.into_iter().filter_map(|attempt| after(attempt, plan, situation)).collect();
    // Whatever needs a person is said before anything is waited for.
    decisions.sort_by_key(|decision| !matches!(decision, Decision::Escalate { .. }));
    decisions.into_iter().next()
}

fn after(attempt: &Attempt, plan: &Plan, situation: &Situation<'_>) -> Option<Decision> {
    let wait = |until: Timestamp, why: &str| {
        (situation.now < until)
            .then(|| Decision::Wait { why: format!("{}: {why}", attempt.change.remedy()), until: Some(until) })
    };
    match &attempt.outcome {
        None if attempt.operation.is_some() => {
            wait(add(attempt.intended_at, LONGEST_OPERATION), "Azure is carrying it out")
        }
        None => None,
        Some(AttemptOutcome::Made { at }) if plan.remedy != Remedy::Revalidate => {
            wait(add(*at, PROPAGATION), "made; it may take 10 minutes to work and to be seen")
        }
        Some(AttemptOutcome::Made { .. }) => None,
        Some(AttemptOutcome::AlreadyThere { at }) => {
            wait(add(*at, PROPAGATION), "was there already; what was read may be old")
        }
        Some(AttemptOutcome::NotApplicable { at, why }) => wait(add(*at, LOOK_AGAIN), why),
        Some(AttemptOutcome::Failed { at, code, why }) => failed(attempt, *at, code, why, plan, situation),
    }
}

fn failed(
    attempt: &Attempt,
    at: Timestamp,
    code: &str,
    why: &str,
    plan: &Plan,
    situation: &Situation<'_>,
) -> Option<Decision> {
    let is = |codes: &[&str]| codes.iter().any(|known| known.eq_ignore_ascii_case(code));
    let approved_since = situation.incident.approval.as_ref().and_then(|approval| approval.decision.as_ref());
    let told_to = approved_since.is_some_and(|decision| decision.approved && decision.at > at);
    let standing = situation.now < add(at, REFUSED) && !told_to;
    let target = attempt.change.target();
    let escalate = |reason, why| Some(Decision::Escalate { reason, why, plan: Some(plan.clone()) });
    if is(&RIGHT_MISSING) {
        let needed = missing_for(&attempt.change);
        let said = format!(
            "Azure refused {} on {target}: {why} ({code}). The responder needs {} there, for instance by {}. It \
             is tried again an hour after the refusal.",
            attempt.change.remedy(),
            needed,
            role_for(needed),
        );
        return if standing { escalate(NeedsPerson::MissingRight, said) } else { None };
    }
    if is(&LOCKED) {
        let said = format!(
            "A lock stops {} on {target}: {why} ({code}). Keymend never removes a lock: remove it or make the \
             change by hand.",
            attempt.change.remedy()
        );
        return if standing { escalate(NeedsPerson::Gate, said) } else { None };
    }
    if is(&HOPELESS) {
        let said = format!(
            "Azure refused {} on {target}: {why} ({code}). Trying again would not help.",
            attempt.change.remedy()
        );
        return if standing { escalate(NeedsPerson::Failed, said) } else { None };
    }
    let failures = situation.incident.failures();
    if failures >= usize::try_from(situation.policy.gates.failures_per_incident).unwrap_or(usize::MAX) {
        return None;
    }
    // 2, 4, 8 and then 15 minutes: longer than Azure's own retries, shorter than the window.
    let minutes = 1_i64.checked_shl(u32::try_from(failures).unwrap_or(4).min(4)).unwrap_or(15).clamp(1, 15);
    let until = add(at, SignedDuration::from_mins(minutes));
    (situation.now < until).then(|| Decision::Wait {
        why: format!("{} on {target} failed ({code}): {why}. It is tried again", attempt.change.remedy()),
        until: Some(until),
    })
}
