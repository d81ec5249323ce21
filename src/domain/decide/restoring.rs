//! Whether settings may be put back now. Pure.
//!
//! The databases are in service: nothing is urgent, and whoever does not want it must be able to say so. The gates of place,
//! of volume and of intent apply as to every write; those about the key itself do not, for nobody gains access.

use jiff::SignedDuration;

use crate::clock::add;
use crate::domain::gates::{self, Situation};
use crate::domain::incident::{Approval, Attempt, AttemptOutcome};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::policy::{Mode, Policy, Preset};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;

/// Begins the reason of a change that was put off without being sent.
pub const NOT_SENT: &str = "not sent: ";
/// Begins the reason of a change whose answer was lost, and of which Azure shows nothing.
pub const ANSWER_LOST: &str = "the answer was lost";

/// After so many tries a setting is left to a person.
const TRIES: usize = 6;
/// What could not even be sent is tried again at once so many times, and then after a pause, up to so many times.
const SOON: usize = 2;
const PUT_OFF: usize = 24;
const PAUSE: SignedDuration = SignedDuration::from_mins(4);
/// How long Azure may take to show what it has done.
const SHOWS_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// What to do about settings that are to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restoring {
    /// Put them back.
    Go,
    /// A person must approve first.
    Ask {
        /// Why.
        why: String,
    },
    /// They stay as they are.
    Leave {
        /// Why.
        why: String,
    },
    /// Not now.
    Wait {
        /// Why.
        why: String,
    },
}

/// Whether policy lets settings be put back at all: why not, if not.
#[must_use]
pub fn forbidden(policy: &Policy) -> Option<String> {
    if policy.preset == Preset::Observe {
        return Some("the preset observe writes nothing".to_owned());
    }
    if policy.dry_run {
        return Some("dry run: it would be put back, and nothing is sent".to_owned());
    }
    (policy.mode(Remedy::RestoreSettings) == Mode::Off).then(|| "policy switched restore_settings off".to_owned())
}

/// What stands in the way of putting settings of one server back, if anything: it is left as it is then, or, where something
/// could not be read, looked at again.
#[must_use]
pub fn held(plan: &Plan, situation: &Situation<'_>) -> Option<(Restoring, Vec<GateHit>)> {
    let hits: Vec<GateHit> = gates::hits(plan, situation).into_iter().filter(applies).collect();
    let hard = |gate: &dyn Fn(Gate) -> bool| {
        let said: Vec<&str> = hits.iter().filter(|hit| gate(hit.gate)).map(|hit| hit.why.as_str()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    };
    let passing = |gate| matches!(gate, Gate::CannotTell | Gate::WriteBudget);
    let decided = match (hard(&|gate| !passing(gate)), hard(&passing)) {
        (Some(why), _) => Restoring::Leave { why },
        (None, Some(why)) => Restoring::Wait { why },
        (None, None) => return None,
    };
    Some((decided, hits))
}

/// Gates about the key and who may use it say nothing about a database's settings.
fn applies(hit: &GateHit) -> bool {
    hit.hard
        && !matches!(
            hit.gate,
            Gate::DenyAssignment
                | Gate::KeyReplaced
                | Gate::PurgeNear
                | Gate::CrossTenant
                | Gate::ManagedHsm
                | Gate::Undone
                | Gate::NewerKeyVersion
                | Gate::ExpiryLimit
                | Gate::ExtendedBefore
                | Gate::MadeByPerson
        )
}

/// What the mode and people say to the whole plan.
#[must_use]
pub fn by_mode(plan: &Plan, situation: &Situation<'_>) -> Restoring {
    if situation.policy.mode(Remedy::RestoreSettings) == Mode::Auto {
        return Restoring::Go;
    }
    let asked = situation.incident.approval.as_ref().filter(|asked| asked.plan.remedy == Remedy::RestoreSettings);
    let Some(asked) = asked.filter(|asked| plan.changes.iter().all(|change| is_in(change, asked))) else {
        return Restoring::Ask { why: format!("policy asks before {}", Remedy::RestoreSettings) };
    };
    match &asked.decision {
        Some(decision) if decision.approved => Restoring::Go,
        Some(decision) => Restoring::Leave { why: format!("{} does not want it put back", decision.by) },
        None if situation.now > asked.answer_by => Restoring::Leave { why: "nobody answered in time".to_owned() },
        None => Restoring::Wait { why: "a person is asked".to_owned() },
    }
}

fn is_in(change: &Change, asked: &Approval) -> bool {
    let Change::RestoreSetting { database, setting } = change else { return false };
    asked.plan.changes.iter().any(|other| match other {
        Change::RestoreSetting { database: of, setting: whole } => of == database && setting.is_part_of(whole),
        _ => false,
    })
}

/// What the tries so far mean for one change: nothing, if it may be made now.
#[must_use]
pub fn tried(change: &Change, situation: &Situation<'_>) -> Option<Restoring> {
    let subjects = change.subjects();
    let of = |attempt: &&Attempt| attempt.change.subjects() == subjects;
    let attempts = || situation.incident.attempts.iter().filter(of);
    let last = attempts().max_by_key(|attempt| attempt.number)?;
    let put_off = attempts().filter(|attempt| was_not_sent(attempt)).count();
    match &last.outcome {
        Some(AttemptOutcome::NotApplicable { at, why }) if was_not_sent(last) && put_off >= SOON => {
            if put_off >= PUT_OFF {
                return Some(Restoring::Leave { why: format!("it was put off {put_off} times; the last time {why}") });
            }
            (situation.now < add(*at, PAUSE)).then(|| Restoring::Wait { why: why.clone() })
        }
        Some(AttemptOutcome::Failed { code, why, .. }) => {
            Some(Restoring::Leave { why: format!("Azure refused: {why} ({code})") })
        }
        Some(AttemptOutcome::NotApplicable { why, .. }) if !is_put_off(why) => {
            Some(Restoring::Leave { why: why.clone() })
        }
        Some(AttemptOutcome::Made { at } | AttemptOutcome::AlreadyThere { at })
            if situation.now < add(*at, SHOWS_WITHIN) =>
        {
            Some(Restoring::Wait { why: "Azure does not show it yet".to_owned() })
        }
        None => Some(Restoring::Wait { why: "Azure is carrying it out".to_owned() }),
        _ if attempts().count() - put_off >= TRIES => {
            Some(Restoring::Leave { why: format!("it was tried {TRIES} times, and Azure does not show it") })
        }
        _ => None,
    }
}

fn was_not_sent(attempt: &Attempt) -> bool {
    matches!(&attempt.outcome, Some(AttemptOutcome::NotApplicable { why, .. }) if why.starts_with(NOT_SENT))
}

/// Whether nothing was sent, or its answer was lost, so that it may be tried again.
fn is_put_off(why: &str) -> bool {
    [NOT_SENT, ANSWER_LOST].iter().any(|begins| why.starts_with(begins))
}

/// The part of a plan that is for the databases of one server.
#[must_use]
pub fn part_for(plan: &Plan, server: &ResourceId) -> Plan {
    let changes = plan.changes.iter().filter(|change| match change {
        Change::RestoreSetting { database, .. } => server.contains(database),
        _ => false,
    });
    Plan { changes: changes.cloned().collect(), servers: vec![server.clone()], ..plan.clone() }
}
