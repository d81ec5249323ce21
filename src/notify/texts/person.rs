//! The message that calls a person: why automation stopped, what was tried, what to do by hand.

use crate::domain::evidence::MissingRight;
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::notice::Notice;
use crate::domain::plan::NeedsPerson;
use crate::notify::texts::by_hand;
use crate::notify::texts::clocks::{clock, next_message};
use crate::notify::texts::gates::{gate_advice, person_advice};
use crate::notify::texts::mending::attempts;
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::opening::{by_hand_parts, cause, deadline, gates, reason, unknowns};
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

/// The missing rights, where they are why a person is needed.
fn rights(notice: &Notice) -> Vec<MissingRight> {
    match notice.needs_person {
        Some(NeedsPerson::MissingRight | NeedsPerson::Undetermined) => missing_rights(notice),
        _ => Vec::new(),
    }
}

fn lacking(rights: &[MissingRight]) -> Vec<Part> {
    const SHOWN: usize = 5;
    let mut parts: Vec<Part> = rights.iter().take(SHOWN).map(|right| Part::Text(right_sentence(right))).collect();
    if rights.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more", rights.len() - SHOWN))));
    }
    parts
}

/// The command that grants the first missing right that a built-in role holds.
fn grant(rights: &[MissingRight]) -> Option<Part> {
    let command = rights.iter().find_map(|right| {
        let role = role_for(&right.action).filter(|_| right.scope.starts_with('/'))?;
        Some(format!(
            "az role assignment create --assignee-object-id <object id of Keymend's identity> \
             --assignee-principal-type ServicePrincipal --role '{role}' --scope {}",
            by_hand::quoted(&right.scope)
        ))
    });
    command.map(|command| Part::Command(Line::default().code(command)))
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
    facts.extend(deadline(notice));
    let rights = rights(notice);
    let mut todo: Vec<Part> = Vec::new();
    if let Some(command) = grant(&rights) {
        todo.push(Part::Step(1, Line::of("Grant what is lacking; Keymend then goes on by itself:")));
        todo.push(command);
        todo.push(Part::Text(Line::of("Or without Keymend:")));
        todo.extend(by_hand_parts(notice, 2));
    } else {
        todo.push(Part::Text(Line::of(advice(notice))));
        todo.extend(by_hand_parts(notice, 1));
    }
    let tried: Vec<&Attempt> = notice.attempts.iter().collect();
    let mut sections = vec![Section::untitled(facts)];
    sections.extend((!notice.gates.is_empty()).then(|| gates("In the way", notice)));
    sections.extend(unknowns(notice));
    sections.push(Section::titled("Keymend lacks", lacking(&rights)));
    sections.push(Section::titled("Do this", todo));
    sections.push(Section::titled("Tried", attempts(&tried, notice)));
    sections.retain(|section| !section.parts.is_empty());
    let next = Line::of(
        "Keymend keeps watching. When the cause is gone it goes on by itself and reports. To end this incident instead: ",
    );
    (sections, next.code(format!("keymend incidents close {}", notice.incident)).say(". ").join(next_message(notice)))
}

/// What to do about the reason, before the repair by hand.
fn advice(notice: &Notice) -> &'static str {
    let hard = notice.gates.iter().find(|hit| hit.hard).or(notice.gates.first());
    match (notice.needs_person, hard) {
        (Some(NeedsPerson::Gate), Some(hit)) => gate_advice(hit.gate),
        (Some(reason), _) => person_advice(reason),
        (None, _) => "Repair it by hand:",
    }
}
