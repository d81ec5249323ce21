//! The message that calls a person: why automation stopped, what was tried, what to do by hand.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::MissingRight;
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::notice::Notice;
use crate::domain::plan::NeedsPerson;
use crate::notify::texts::clocks::{clock, next_message, restore_before};
use crate::notify::texts::gates::person_advice;
use crate::notify::texts::mending::attempts;
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::opening::{by_hand_parts, cause, gates, reason};
use crate::notify::texts::rights::{right_for, right_sentence, role_for};
use crate::notify::texts::words::Line;

/// The rights that are missing: those that reading lacked, those of refused changes, else those of the plan.
#[must_use]
pub fn missing_rights(notice: &Notice) -> Vec<MissingRight> {
    let refused = |attempt: &&Attempt| match &attempt.outcome {
        Some(AttemptOutcome::Failed { code, .. }) => {
            ["AuthorizationFailed", "LinkedAuthorizationFailed", "Forbidden"].iter().any(|it| code.starts_with(it))
        }
        _ => false,
    };
    let mut rights: Vec<MissingRight> =
        notice.attempts.iter().filter(refused).map(|attempt| right_for(&attempt.change)).collect();
    rights.extend(notice.diagnosis.iter().flat_map(|diagnosis| diagnosis.missing_rights.clone()));
    if rights.is_empty() && notice.needs_person == Some(NeedsPerson::MissingRight) {
        rights.extend(notice.plan.iter().flat_map(|plan| plan.changes.iter().map(right_for)));
    }
    let mut seen = std::collections::HashSet::new();
    rights.retain(|right| seen.insert(right.clone()));
    rights
}

/// The missing rights, and how to grant the first.
fn rights(notice: &Notice) -> Option<Section> {
    const SHOWN: usize = 5;
    let rights = missing_rights(notice);
    let concerned = matches!(notice.needs_person, Some(NeedsPerson::MissingRight | NeedsPerson::Undetermined));
    if rights.is_empty() || !concerned {
        return None;
    }
    let mut parts: Vec<Part> = rights.iter().take(SHOWN).map(|right| Part::Text(right_sentence(right))).collect();
    if rights.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more", rights.len() - SHOWN))));
    }
    let grant = rights.first().and_then(|right| {
        let role = role_for(&right.action).filter(|_| right.scope.starts_with('/'))?;
        Some(format!(
            "az role assignment create --assignee-object-id <object id of Keymend's identity> \
             --assignee-principal-type ServicePrincipal --role '{role}' --scope '{}'",
            right.scope.replace('\'', "'\\''")
        ))
    });
    parts.extend(grant.map(|command| Part::Command(Line::default().code(command))));
    Some(Section::titled("Keymend lacks", parts))
}

fn unknowns(notice: &Notice) -> Option<Section> {
    let unknown = notice.diagnosis.as_ref().map_or(&[][..], |diagnosis| &diagnosis.unknowns);
    let parts: Vec<Part> = unknown.iter().take(5).map(|text| Part::Text(Line::default().quote(text))).collect();
    (!parts.is_empty() && notice.cause == Some(Cause::Undetermined))
        .then(|| Section::titled("What could not be told", parts))
}

fn rejected(notice: &Notice) -> Option<Part> {
    let decision = notice.approval.as_ref()?.decision.as_ref().filter(|decision| !decision.approved)?;
    let line = Line::default().name(&decision.by).say(format!(" at {}", clock(decision.at, notice.at)));
    Some(Part::Fact("Rejected by", line))
}

pub(super) fn escalated(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts: Vec<Part> = reason("Why automation stopped", notice).into_iter().collect();
    facts.extend(rejected(notice));
    facts.extend(cause(notice));
    facts.push(Part::Fact("Restore key access before", restore_before(notice)));
    let mut sections = vec![Section::untitled(facts)];
    sections.extend((!notice.gates.is_empty()).then(|| gates(notice)));
    sections.extend(unknowns(notice));
    sections.extend(rights(notice));
    let tried: Vec<&Attempt> = notice.attempts.iter().collect();
    if !tried.is_empty() {
        sections.push(Section::titled("Tried", attempts(&tried, notice)));
    }
    let advice = notice.needs_person.map_or("", person_advice);
    let mut todo = vec![Part::Text(Line::of(advice))];
    todo.extend(by_hand_parts(notice));
    sections.push(Section::titled("Do this", todo));
    let close = format!("keymend incidents close {}", notice.incident);
    let next = Line::of("Keymend goes on watching: when the cause is gone it goes on by itself and reports. If it is to stay as it is, run ")
        .code(close)
        .say(". ")
        .join(next_message(notice));
    (sections, next)
}
