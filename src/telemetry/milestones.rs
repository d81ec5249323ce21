//! What is to be counted of an incident when a new state of it has been saved. Pure but for [`count`].
//!
//! A save is conditional on the version it was made from, so of all processes and passes exactly one stores a given
//! change, and that one counts it. A process that is killed between the save and the count loses a count; nothing is ever
//! counted twice.

use jiff::{SignedDuration, Timestamp};

use super::count;
use crate::domain::diagnosis::Cause;
use crate::domain::incident::{AttemptOutcome, Incident, Phase};
use crate::domain::remedy::Remedy;

/// Something that happens to an incident, to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// It was opened.
    Opened,
    /// It came into a phase.
    Phase(Phase),
    /// Its first real cause was found, so long after the loss.
    Diagnosed(Cause, SignedDuration),
    /// A change came to an outcome.
    Write(Remedy, &'static str),
    /// The first change was made, so long after the loss.
    Repaired(SignedDuration),
    /// It ended.
    Ended(Phase),
    /// Databases had been down and are all back, so long after the loss; whether a change of ours was made before.
    Online(SignedDuration, bool),
}

/// What happened between two saved states, `now` being the time of the second. `before` is `None` for a new incident.
#[must_use]
pub fn between(before: Option<&Incident>, after: &Incident, now: Timestamp) -> Vec<Milestone> {
    let mut passed = Vec::new();
    if before.is_none() {
        passed.push(Milestone::Opened);
    }
    if before.map(|before| before.phase) != Some(after.phase) {
        passed.push(Milestone::Phase(after.phase));
    }
    if let (None, Some(cause)) = (before.and_then(|before| before.root_cause), after.root_cause) {
        passed.push(Milestone::Diagnosed(cause, now.duration_since(after.loss())));
    }
    passed.extend(writes(before, after));
    let first_made = after.made().next().filter(|_| before.is_none_or(|before| before.made().next().is_none()));
    if let Some(AttemptOutcome::Made { at }) = first_made.and_then(|attempt| attempt.outcome.as_ref()) {
        passed.push(Milestone::Repaired(at.duration_since(after.loss())));
    }
    if let (None, Some(at)) = (before.and_then(|before| before.ended_at), after.ended_at) {
        passed.push(Milestone::Ended(after.phase));
        if after.phase == Phase::Healed && after.members.values().any(|member| member.was_down) {
            passed.push(Milestone::Online(at.duration_since(after.loss()), after.made().next().is_some()));
        }
    }
    passed
}

/// Changes that were begun, and changes whose outcome became known.
fn writes(before: Option<&Incident>, after: &Incident) -> Vec<Milestone> {
    let known = |number: u32| {
        let attempts = before.map(|before| before.attempts.as_slice()).unwrap_or_default();
        attempts.iter().find(|attempt| attempt.number == number)
    };
    let mut writes = Vec::new();
    for attempt in &after.attempts {
        let (was, remedy) = (known(attempt.number), attempt.change.remedy());
        if was.is_none() {
            writes.push(Milestone::Write(remedy, "intended"));
        }
        if let (None, Some(outcome)) = (was.and_then(|was| was.outcome.as_ref()), &attempt.outcome) {
            writes.push(Milestone::Write(remedy, outcome_name(outcome)));
        }
    }
    writes
}

const fn outcome_name(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Made { .. } => "made",
        AttemptOutcome::AlreadyThere { .. } => "already_there",
        AttemptOutcome::NotApplicable { .. } => "not_applicable",
        AttemptOutcome::Failed { .. } => "failed",
    }
}

/// Counts what happened between two saved states. To be called by whoever saved the second, after it was stored.
pub fn count(before: Option<&Incident>, after: &Incident, now: Timestamp) {
    if !count::is_read() {
        return;
    }
    for milestone in between(before, after, now) {
        match milestone {
            Milestone::Opened => count::opened(),
            Milestone::Phase(phase) => count::phase(phase),
            Milestone::Diagnosed(cause, took) => count::diagnosed(cause, took),
            Milestone::Write(remedy, outcome) => count::write(remedy, outcome),
            Milestone::Repaired(took) => count::repaired(took),
            Milestone::Ended(phase) => count::ended(phase),
            Milestone::Online(took, by_us) => count::online(took, by_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::incident::{Attempt, IncidentId, IncidentKey};
    use crate::domain::remedy::Change;
    use crate::domain::resource_id::ResourceId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn server() -> ResourceId {
        ResourceId::parse("/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/a").unwrap()
    }

    fn new() -> Incident {
        let mut incident = Incident::open(IncidentId("km-x".into()), IncidentKey("vault:x".into()), 30, at(20));
        incident.add_member(&server(), None);
        incident
    }

    fn attempt(number: u32, outcome: Option<AttemptOutcome>) -> Attempt {
        Attempt {
            number,
            change: Change::Revalidate { server: server() },
            plan_hash: String::new(),
            intended_at: at(21),
            outcome,
            operation: None,
            correlation_id: None,
            before_after: Vec::new(),
        }
    }

    /// An incident's life, save by save.
    fn life() -> Vec<Incident> {
        let mut states = vec![new()];
        let mut next = |change: &dyn Fn(&mut Incident)| {
            let mut state = states.last().unwrap().clone();
            change(&mut state);
            states.push(state);
        };
        next(&|it| it.signals += 1);
        next(&|it| {
            it.lost_at = Some(at(10));
            it.root_cause = Some(Cause::RoleMissing);
            it.phase = Phase::Mending;
            it.attempts = vec![attempt(1, None), attempt(2, None)];
            it.members.values_mut().for_each(|member| member.was_down = true);
        });
        next(&|it| {
            it.attempts[0].outcome = Some(AttemptOutcome::Made { at: at(22) });
            it.attempts[1].outcome =
                Some(AttemptOutcome::Failed { at: at(22), code: "Locked".into(), why: "locked".into() });
        });
        next(&|it| it.phase = Phase::Propagating);
        next(&|it| it.attempts.push(attempt(3, None)));
        next(&|it| it.attempts[2].outcome = Some(AttemptOutcome::Made { at: at(40) }));
        next(&|it| it.finish(Phase::Healed, "healed", at(50)));
        next(&|it| it.passes += 1);
        states
    }

    fn whole_story(states: &[Incident]) -> Vec<Milestone> {
        let first = between(None, &states[0], at(20));
        let steps = states.windows(2).flat_map(|pair| between(Some(&pair[0]), &pair[1], at(23)));
        first.into_iter().chain(steps).collect()
    }

    #[test]
    fn each_step_of_a_life_is_counted_where_it_happens() {
        let minutes = SignedDuration::from_mins;
        let revalidate = |outcome| Milestone::Write(Remedy::Revalidate, outcome);
        assert_eq!(
            whole_story(&life()),
            [
                Milestone::Opened,
                Milestone::Phase(Phase::Opened),
                Milestone::Phase(Phase::Mending),
                Milestone::Diagnosed(Cause::RoleMissing, minutes(13)),
                revalidate("intended"),
                revalidate("intended"),
                revalidate("made"),
                revalidate("failed"),
                Milestone::Repaired(minutes(12)),
                Milestone::Phase(Phase::Propagating),
                revalidate("intended"),
                revalidate("made"),
                Milestone::Phase(Phase::Healed),
                Milestone::Ended(Phase::Healed),
                Milestone::Online(minutes(40), true),
            ]
        );
    }

    #[test]
    fn what_was_never_down_did_not_come_back_online() {
        let before = new();
        let mut after = before.clone();
        after.finish(Phase::Closed, "nothing was wrong", at(30));
        let passed = between(Some(&before), &after, at(30));
        assert_eq!(passed, [Milestone::Phase(Phase::Closed), Milestone::Ended(Phase::Closed)]);
    }

    proptest! {
        /// However the life is cut into saves (a process that was slow, one that was killed), all but the phases in between
        /// is counted once.
        #[test]
        fn nothing_is_counted_twice_or_lost_however_often_it_is_saved(kept in prop::collection::vec(any::<bool>(), 9)) {
            let all = life();
            let some: Vec<Incident> = all.iter().enumerate()
                .filter(|(at, _)| *at == 0 || *at == all.len() - 1 || kept[*at])
                .map(|(_, state)| state.clone()).collect();
            let kinds = |states: &[Incident]| {
                let mut kinds: Vec<String> = whole_story(states).into_iter()
                    .filter(|milestone| !matches!(milestone, Milestone::Phase(_)))
                    .map(|milestone| format!("{milestone:?}")).collect();
                kinds.sort();
                kinds
            };
            prop_assert_eq!(kinds(&all), kinds(&some));
        }
    }
}
