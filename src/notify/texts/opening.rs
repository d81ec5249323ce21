//! The messages that tell what is wrong: first notice, cause, and what would be done.

use crate::domain::diagnosis::{Cause, Check, LinkState};
use crate::domain::incident::Phase;
use crate::domain::notice::{Notice, Situation};
use crate::domain::plan::Plan;
use crate::domain::remedy::Remedy;
use crate::notify::texts::causes::{cause_name, cause_of, finding_in_retrospect, finding_sentence};
use crate::notify::texts::changes::{before_after, change_sentence, plan_sentence};
use crate::notify::texts::clocks::{date_and_clock, next_message, outage_buffer, restore_before, since};
use crate::notify::texts::gates::gate_sentence;
use crate::notify::texts::message::{Mark, Part, Section};
use crate::notify::texts::who::changed_by;
use crate::notify::texts::words::Line;
use crate::notify::texts::{by_hand, link_name};

/// The two clocks.
pub(super) fn clocks(notice: &Notice) -> Vec<Part> {
    if notice.is_ahead() {
        return deadline(notice).into_iter().collect();
    }
    let mut parts = vec![Part::Fact("Key access lost", since(notice))];
    parts.extend(deadline(notice));
    parts
}

/// Until when what has to happen; nothing once the key can be used again.
#[must_use]
pub fn deadline(notice: &Notice) -> Option<Part> {
    match notice.cause {
        Some(Cause::StillInaccessible | Cause::Healthy) => None,
        Some(Cause::VaultUnreachable) if notice.down.is_empty() => {
            Some(Part::Fact("Azure SQL bears it until", outage_buffer(notice)))
        }
        Some(Cause::KeyExpiring) if notice.is_ahead() => {
            Some(Part::Fact("The key expires at", Line::of(date_and_clock(notice.lost_at))))
        }
        _ => Some(Part::Fact("Restore key access before", restore_before(notice))),
    }
}

/// The cause and who did it.
#[must_use]
pub fn cause(notice: &Notice) -> Vec<Part> {
    let wanted = notice.cause;
    let looks_back = matches!(
        notice.situation,
        Situation::ChangeMade
            | Situation::WindowOver
            | Situation::Resolved
            | Situation::RecoveredWithoutUs
            | Situation::SettingsRestored
    ) || notice.phase.is_end();
    let findings = notice.diagnosis.iter().flat_map(|diagnosis| &diagnosis.findings);
    let found = findings.clone().find(|finding| Some(finding.cause) == wanted);
    let words = match (found, wanted) {
        (_, Some(Cause::Undetermined)) => Some(Line::of("not clear: not enough could be read to tell")),
        (Some(finding), _) if looks_back => Some(finding_in_retrospect(finding, notice.at)),
        (Some(finding), _) => Some(finding_sentence(finding, notice.at)),
        (None, Some(cause)) if looks_back => Some(Line::of(cause_name(cause))),
        (None, Some(_)) => Some(cause_of(notice).capital().say(".")),
        (None, None) => None,
    };
    let mut parts: Vec<Part> = words.map(|words| Part::Fact("Cause", words)).into_iter().collect();
    if !looks_back {
        let others = findings.filter(|finding| Some(finding.cause) != wanted).take(2);
        parts.extend(others.map(|other| Part::Fact("Also found", finding_sentence(other, notice.at))));
    }
    parts.extend(changed_by(notice).map(|who| Part::Fact("Changed by", who)));
    parts
}

/// The reason in words, if one was given.
pub(super) fn reason(label: &'static str, notice: &Notice) -> Option<Part> {
    notice.reason.as_ref().map(|reason| Part::Fact(label, Line::default().quote(reason)))
}

fn checked(checks: &[Check]) -> Section {
    let part = |check: &Check| {
        let mark = match check.state {
            LinkState::Ok => Mark::Ok,
            LinkState::Broken => Mark::Fail,
            LinkState::Unknown => Mark::Unknown,
        };
        Part::Marked(mark, Line::default().strong(link_name(check.link)).say(": ").quote(&check.said))
    };
    Section::titled("Checked", checks.iter().map(part).collect())
}

/// What a plan does, step by step, to the end that matters: databases online.
pub(super) fn plan_steps(plan: &Plan, window_over: bool) -> Vec<Part> {
    let mut lines = vec![plan_sentence(plan)];
    lines.extend(by_hand::follow_up(plan.remedy).map(Line::of));
    if plan.remedy != Remedy::Revalidate {
        lines.push(Line::of("Wait for Azure to apply it, up to 10 minutes"));
        if window_over {
            lines.push(Line::of("Re-validate the key on every server"));
        }
    }
    lines.push(Line::of("Check that every database is online"));
    lines.into_iter().enumerate().map(|(place, line)| Part::Step(place + 1, line)).collect()
}

pub(super) fn first_notice(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = clocks(notice);
    facts.extend(reason("Noticed by", notice));
    let known = !matches!(notice.cause, None | Some(Cause::Undetermined | Cause::Healthy));
    let next = if known {
        facts.extend(cause(notice));
        "The repair is being worked out now. You do not have to do anything yet. "
    } else {
        "The cause is being looked for now. You do not have to do anything yet. "
    };
    (vec![Section::untitled(facts)], Line::of(next).join(next_message(notice)))
}

pub(super) fn diagnosed(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = cause(notice);
    facts.extend(deadline(notice));
    facts.extend(reason("Note", notice));
    let checks = notice.diagnosis.as_ref().map_or(&[][..], |diagnosis| &diagnosis.checks);
    let mut sections = vec![Section::untitled(facts), checked(checks)];
    sections.extend(unknowns(notice));
    let (title, next) = course(notice);
    if let Some(plan) = &notice.plan {
        sections.push(Section::titled(title, plan_steps(plan, notice.window_over)));
    }
    sections.extend((!notice.gates.is_empty()).then(|| gates("In the way", notice)));
    (sections, Line::of(next).say(" ").join(next_message(notice)))
}

/// What becomes of the plan, as the heading above it and a sentence.
fn course(notice: &Notice) -> (&'static str, &'static str) {
    let held = notice.phase == Phase::Escalated || notice.gates.iter().any(|hit| hit.hard);
    match (&notice.plan, notice.phase) {
        (Some(_), _) if held => (
            "What would repair it",
            "Keymend does not do this by itself; a message of its own says why and what to do.",
        ),
        (Some(_), Phase::AwaitingApproval) => {
            ("The repair, once it is approved", "A person is asked for approval in a message of its own.")
        }
        (Some(_), Phase::Mending | Phase::Propagating | Phase::Revalidating) => {
            ("What Keymend does now", "Policy lets Keymend do this without asking. You do not have to do anything.")
        }
        (Some(_), _) => (
            "The repair",
            "Where policy lets Keymend do this without asking, it does so now; otherwise it asks in a message of its own.",
        ),
        (None, _) if held => ("", "Only a person can repair this; a message of its own says what to do."),
        (None, _) if notice.cause == Some(Cause::StillInaccessible) && !notice.window_over => {
            ("", "Azure brings the databases back by itself, usually within an hour. Keymend watches.")
        }
        (None, _) if notice.cause == Some(Cause::VaultUnreachable) => {
            ("", "There is nothing to change: Azure SQL comes back by itself when the vault answers. Keymend watches.")
        }
        (None, _) => ("", "Keymend looks again."),
    }
}

/// What could not be told, where that is why the cause is not clear.
pub(super) fn unknowns(notice: &Notice) -> Option<Section> {
    let unknown = notice.diagnosis.as_ref().map_or(&[][..], |diagnosis| &diagnosis.unknowns);
    let parts: Vec<Part> = unknown.iter().take(5).map(|text| Part::Text(Line::default().quote(text))).collect();
    (!parts.is_empty() && notice.cause == Some(Cause::Undetermined))
        .then(|| Section::titled("What could not be told", parts))
}

/// The gates that stand in the way.
pub(super) fn gates(title: &'static str, notice: &Notice) -> Section {
    let lines = notice.gates.iter().take(5).map(|hit| Part::Text(gate_sentence(hit))).collect();
    Section::titled(title, lines)
}

pub(super) fn observed(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = cause(notice);
    facts.extend(clocks(notice));
    facts.extend(reason("Why nothing is changed", notice));
    let mut sections = vec![Section::untitled(facts)];
    if let Some(plan) = &notice.plan {
        sections.push(Section::titled("What would be done", exactly(plan)));
    }
    sections.extend((!notice.gates.is_empty()).then(|| gates("In the way", notice)));
    sections.push(Section::titled("To do it by hand", by_hand_parts(notice, 1)));
    (
        sections,
        Line::of("Keymend goes on watching and reports when the databases are back. ").join(next_message(notice)),
    )
}

/// Every change with what becomes of what; of many changes the first ones.
#[must_use]
pub fn exactly(plan: &Plan) -> Vec<Part> {
    const SHOWN: usize = 3;
    let mut parts = Vec::new();
    for change in plan.changes.iter().take(SHOWN) {
        parts.push(Part::Text(Line::default().strong(change_sentence(change).to_string())));
        let properties = before_after(change);
        for it in properties.iter().take(SHOWN) {
            let line = Line::of(&it.property).say(": ").code(&it.before).say(" → ").code(&it.after);
            parts.push(Part::Text(line));
        }
        if properties.len() > SHOWN {
            parts.push(Part::Text(Line::of(format!("and the same for {} more servers", properties.len() - SHOWN))));
        }
    }
    if plan.changes.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more changes of this kind", plan.changes.len() - SHOWN))));
    }
    parts
}

/// What a person does by hand, with commands, numbered from `first`.
pub(super) fn by_hand_parts(notice: &Notice, first: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for (place, step) in by_hand::steps(notice).into_iter().enumerate() {
        parts.push(Part::Step(place + first, step.words));
        parts.extend(step.command.map(|command| Part::Command(Line::default().code(command))));
    }
    parts
}
