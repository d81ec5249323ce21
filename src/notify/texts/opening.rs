//! The messages that tell what is wrong: first notice, cause, and what would be done.

use crate::domain::diagnosis::{Cause, Check, LinkState};
use crate::domain::incident::Phase;
use crate::domain::notice::Notice;
use crate::domain::plan::Plan;
use crate::domain::remedy::Remedy;
use crate::notify::texts::causes::finding_sentence;
use crate::notify::texts::changes::{before_after, change_sentence, plan_sentence};
use crate::notify::texts::clocks::{next_message, restore_before, since};
use crate::notify::texts::gates::gate_sentence;
use crate::notify::texts::message::{Mark, Part, Section};
use crate::notify::texts::phases::cause_of;
use crate::notify::texts::who::changed_by;
use crate::notify::texts::words::Line;
use crate::notify::texts::{by_hand, link_name};

/// The two clocks.
pub(super) fn clocks(notice: &Notice) -> Vec<Part> {
    vec![Part::Fact("Key access lost", since(notice)), Part::Fact("Restore key access before", restore_before(notice))]
}

/// The cause and who did it.
pub(super) fn cause(notice: &Notice) -> Vec<Part> {
    let wanted = notice.cause;
    let findings = notice.diagnosis.iter().flat_map(|diagnosis| &diagnosis.findings);
    let mut parts: Vec<Part> = findings
        .clone()
        .find(|finding| Some(finding.cause) == wanted)
        .map(|finding| Part::Fact("Cause", finding_sentence(finding, notice.at)))
        .into_iter()
        .collect();
    if parts.is_empty() && wanted.is_some() {
        parts.push(Part::Fact("Cause", cause_of(notice).capital().say(".")));
    }
    let others = findings.filter(|finding| Some(finding.cause) != wanted).take(2);
    parts.extend(others.map(|other| Part::Fact("Also found", finding_sentence(other, notice.at))));
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
        Part::Marked(mark, Line::default().strong(link_name(check.link)).say("  ").quote(&check.said))
    };
    Section::titled("Checked", checks.iter().map(part).collect())
}

/// What a plan does, step by step, to the end that matters: databases online.
pub(super) fn plan_steps(plan: &Plan, window_over: bool) -> Vec<Part> {
    let mut lines = vec![plan_sentence(plan)];
    match plan.remedy {
        Remedy::RecoverVault => {
            lines
                .push(Line::of("Grant the servers their roles on the key again (they do not come back by themselves)"));
        }
        Remedy::AssignIdentity => lines.push(Line::of("Grant the new identity its permission on the key")),
        _ => {}
    }
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
    facts.extend(reason("Told by", notice));
    if !matches!(notice.cause, None | Some(Cause::Undetermined | Cause::Healthy)) {
        facts.extend(cause(notice));
    }
    let next = Line::of("The cause is being looked for now. You do not have to do anything yet. ");
    (vec![Section::untitled(facts)], next.join(next_message(notice)))
}

pub(super) fn diagnosed(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = cause(notice);
    facts.push(Part::Fact("Restore key access before", restore_before(notice)));
    let checks = notice.diagnosis.as_ref().map_or(&[][..], |diagnosis| &diagnosis.checks);
    let mut sections = vec![Section::untitled(facts), checked(checks)];
    let next = match (&notice.plan, notice.phase) {
        (Some(plan), Phase::AwaitingApproval) => {
            sections.push(Section::titled("The repair, once it is approved", plan_steps(plan, notice.window_over)));
            "A person is asked for approval in a message of its own."
        }
        (Some(plan), Phase::Escalated) => {
            sections.push(Section::titled("What would repair it", plan_steps(plan, notice.window_over)));
            "Keymend does not do this by itself; the next message says why and what to do."
        }
        (Some(plan), _) => {
            sections.push(Section::titled("What Keymend does now", plan_steps(plan, notice.window_over)));
            "No approval is needed for this."
        }
        (None, Phase::Escalated) => "Only a person can repair this; the next message says what to do.",
        (None, _) if notice.cause == Some(Cause::StillInaccessible) && !notice.window_over => {
            "Azure brings the databases back by itself, usually within an hour. Keymend watches."
        }
        (None, _) if notice.cause == Some(Cause::VaultUnreachable) => {
            "There is nothing to change: Azure SQL comes back by itself when the vault answers. Keymend watches."
        }
        (None, _) => "Keymend looks again.",
    };
    sections.extend((!notice.gates.is_empty()).then(|| gates(notice)));
    sections.extend(reason("Note", notice).map(|part| Section::untitled(vec![part])));
    (sections, Line::of(next).say(" ").join(next_message(notice)))
}

/// The gates that stand in the way.
pub(super) fn gates(notice: &Notice) -> Section {
    let lines = notice.gates.iter().take(5).map(|hit| Part::Text(gate_sentence(hit))).collect();
    Section::titled("In the way", lines)
}

pub(super) fn observed(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = cause(notice);
    facts.extend(clocks(notice));
    facts.extend(reason("Why nothing is changed", notice));
    let mut sections = vec![Section::untitled(facts)];
    if let Some(plan) = &notice.plan {
        sections.push(Section::titled("What would be done", exactly(plan)));
    }
    sections.extend((!notice.gates.is_empty()).then(|| gates(notice)));
    sections.push(Section::titled("To do it by hand", by_hand_parts(notice)));
    (
        sections,
        Line::of("Keymend goes on watching and reports when the databases are back. ").join(next_message(notice)),
    )
}

/// Every change with what becomes of what; of many changes the first ones.
pub(super) fn exactly(plan: &Plan) -> Vec<Part> {
    const SHOWN: usize = 3;
    let mut parts = Vec::new();
    for change in plan.changes.iter().take(SHOWN) {
        parts.push(Part::Text(Line::default().strong(change_sentence(change).to_string())));
        let properties = before_after(change);
        for it in properties.iter().take(SHOWN) {
            let line = Line::of(&it.property).say(":  ").code(&it.before).say("  →  ").code(&it.after);
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

/// What a person does by hand, numbered, with commands.
pub(super) fn by_hand_parts(notice: &Notice) -> Vec<Part> {
    let mut parts = Vec::new();
    for (place, step) in by_hand::steps(notice).into_iter().enumerate() {
        parts.push(Part::Step(place + 1, step.words));
        parts.extend(step.command.map(|command| Part::Command(Line::default().code(command))));
    }
    parts
}
