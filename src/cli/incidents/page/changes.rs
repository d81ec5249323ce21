//! What is to be done, what a person is asked, and what was done.

use console::Style;
use jiff::Timestamp;

use super::{bad, good, since};
use crate::cli::incidents::layout::Layout;
use crate::domain::incident::{Approval, Attempt, AttemptOutcome, Incident};
use crate::domain::plan::Plan;
use crate::notify::texts::changes::{before_after, change_sentence, done_sentence, plan_sentence, untouched};
use crate::notify::texts::clocks::{clock, date_and_clock, length};
use crate::responder::answer::code;

/// The plan in question: the one that waits, else the one that the last cause calls for.
pub(super) fn plan(page: &mut Layout, incident: &Incident) {
    let asked = incident.approval.as_ref().map(|approval| &approval.plan);
    let found = Plan::of(incident.broken.as_ref().or(incident.diagnosis.as_ref()));
    let Some(plan) = asked.or(found.as_ref()) else { return };
    page.section(&format!("PLAN {}", plan.code()));
    if plan.changes.len() != 1 {
        page.text(&plan_sentence(plan).to_string());
    }
    steps(page, plan);
}

fn steps(page: &mut Layout, plan: &Plan) {
    for (number, change) in plan.changes.iter().enumerate() {
        page.item(&format!("{}.", number + 1), &change_sentence(change).to_string());
        for step in before_after(change) {
            page.under(&format!("{}: {} -> {}", step.property, step.before, step.after));
        }
        if let Some(line) = untouched(change) {
            page.under(&format!("left as it is: {line}"));
        }
    }
}

pub(super) fn question(page: &mut Layout, incident: &Incident, approval: &Approval, now: Timestamp) {
    page.section("APPROVAL");
    page.item("asked", &format!("{}, because {}", since(approval.asked_at, now), approval.why));
    if let Some(decision) = &approval.decision {
        let what = if decision.approved { "approved" } else { "rejected" };
        page.item(what, &format!("by {} at {}", decision.by, date_and_clock(decision.at)));
        return;
    }
    if now > approval.answer_by {
        page.item("ran out", &since(approval.answer_by, now));
        return;
    }
    let left = length(approval.answer_by.duration_since(now));
    page.styled("answer by", &bad(), &format!("{}, {left} left", clock(approval.answer_by, now)));
    page.item("code", &code(approval));
    page.as_is(&format!("keymend incidents approve {} --code {}", incident.id, code(approval)));
    page.as_is(&format!("keymend incidents reject  {} --code {}", incident.id, code(approval)));
}

pub(super) fn attempts(page: &mut Layout, attempts: &[Attempt]) {
    if attempts.is_empty() {
        return;
    }
    page.section("CHANGES");
    for attempt in attempts {
        let (mark, style, text) = outcome(attempt);
        page.styled(&format!("{}. {mark}", attempt.number), &style, &text);
        for (property, before, after) in &attempt.before_after {
            page.under(&format!("{property}: {before} -> {after}"));
        }
        if let Some(id) = &attempt.correlation_id {
            page.under(&format!("Azure's correlation id {id}"));
        }
    }
}

fn outcome(attempt: &Attempt) -> (&'static str, Style, String) {
    let wanted = change_sentence(&attempt.change).to_string();
    match &attempt.outcome {
        None => {
            let state =
                if attempt.operation.is_some() { "Azure is carrying it out" } else { "begun, and not heard of since" };
            ("under way", Style::new().yellow(), format!("{wanted} ({state}, {})", date_and_clock(attempt.intended_at)))
        }
        Some(AttemptOutcome::Made { at }) => {
            ("made", good(), format!("{} at {}", done_sentence(&attempt.change), date_and_clock(*at)))
        }
        Some(AttemptOutcome::AlreadyThere { at }) => {
            ("was there", good(), format!("{wanted}: found done at {}", date_and_clock(*at)))
        }
        Some(AttemptOutcome::NotApplicable { at, why }) => {
            ("not sent", Style::new().yellow(), format!("{wanted}: {why} ({})", date_and_clock(*at)))
        }
        Some(AttemptOutcome::Failed { at, code, why }) => {
            ("failed", bad(), format!("{wanted}: {code}: {why} ({})", date_and_clock(*at)))
        }
    }
}
