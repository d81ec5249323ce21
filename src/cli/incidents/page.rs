//! All that is known of one incident, on one page.

use console::Style;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{code, phase_words};
use super::layout::Layout;
use crate::domain::diagnosis::{Check, Diagnosis, LinkState};
use crate::domain::incident::{Approval, Attempt, AttemptOutcome, EntryKind, Incident, Member, Phase};
use crate::domain::plan::Plan;
use crate::notify::texts::causes::{finding_sentence, resource_words};
use crate::notify::texts::changes::{before_after, change_sentence, done_sentence, plan_sentence, untouched};
use crate::notify::texts::clocks::{clock, date_and_clock, length};
use crate::notify::texts::gates::gate_sentence;

/// Databases of a server that are named before the rest is counted.
const NAMED: usize = 12;

/// The incident as JSON: the stored document, and what follows from it and the time.
pub(super) fn json(incident: &Incident, now: Timestamp) -> Value {
    let mut document = serde_json::to_value(incident).unwrap_or_default();
    document["now"] = json!(now);
    document["loss"] = json!(incident.loss());
    document["restore_before"] = json!(incident.restore_before());
    document["window_over"] = json!(incident.window_is_over(now));
    document["approval_code"] = json!(incident.approval.as_ref().map(code));
    document
}

/// The page.
pub(super) fn page(incident: &Incident, now: Timestamp) -> String {
    let mut page = Layout::new();
    head(&mut page, incident, now);
    if let Some(diagnosis) = &incident.diagnosis {
        cause(&mut page, diagnosis, incident.end.is_none());
        checked(&mut page, diagnosis);
    }
    plan(&mut page, incident);
    if !incident.gates.is_empty() {
        page.section("IN THE WAY");
        for hit in &incident.gates {
            page.styled(if hit.hard { "stops it" } else { "asks first" }, &bad(), &gate_sentence(hit).to_string());
        }
    }
    if let Some(approval) = &incident.approval {
        question(&mut page, incident, approval, now);
    }
    attempts(&mut page, &incident.attempts);
    databases(&mut page, incident);
    told(&mut page, incident);
    story(&mut page, incident);
    page.finish()
}

fn good() -> Style {
    Style::new().green()
}

fn bad() -> Style {
    Style::new().red().bold()
}

fn phase_style(phase: Phase) -> Style {
    match phase {
        Phase::Healed | Phase::Closed => good(),
        Phase::AwaitingApproval | Phase::Escalated => bad(),
        _ => Style::new().yellow().bold(),
    }
}

fn head(page: &mut Layout, incident: &Incident, now: Timestamp) {
    page.title(&incident.id.0, &phase_words(incident.phase).to_uppercase(), phase_style(incident.phase));
    let first = incident.diagnosis.as_ref().and_then(Diagnosis::first);
    match (&incident.end, first) {
        (Some(end), _) => page.text(end),
        (None, Some(finding)) => page.text(&finding_sentence(finding, now).to_string()),
        (None, None) => page.text(&format!("Something was told about {}; it was not looked at yet.", incident.key.0)),
    }
    if let Some((_, why)) = &incident.needs_person {
        page.styled("a person is needed", &bad(), why);
    }
    page.item("opened", &since(incident.opened_at, now));
    if let Some(ended) = incident.ended_at {
        let took = length(ended.duration_since(incident.opened_at));
        page.item("ended", &format!("{}, after {took}", since(ended, now)));
    }
    let known = if incident.lost_at.is_some() { "" } else { " (guessed from the first event)" };
    page.item("key access lost", &format!("{}{known}", since(incident.loss(), now)));
    if incident.ended_at.is_none() {
        page.item("self-heal window", &window(incident, now));
    }
    if let Some(vault) = &incident.vault {
        page.item("key vault", vault.as_str());
    }
}

fn since(time: Timestamp, now: Timestamp) -> String {
    format!("{}, {} ago", date_and_clock(time), length(now.duration_since(time)))
}

fn window(incident: &Incident, now: Timestamp) -> String {
    let (minutes, until) = (incident.window_minutes, incident.restore_before());
    if incident.window_is_over(now) {
        return format!(
            "over since {} ({minutes} min): only re-validation brings the databases back",
            clock(until, now)
        );
    }
    match incident.whole_since {
        Some(whole) => format!("{minutes} min, until {}; access was back at {}", clock(until, now), clock(whole, now)),
        None => format!("{} left of {minutes} min, until {}", length(until.duration_since(now)), clock(until, now)),
    }
}

/// The findings with their proof, and who did it. The head of an open incident has said the first finding already.
fn cause(page: &mut Layout, diagnosis: &Diagnosis, first_was_said: bool) {
    page.section(&format!("CAUSE, as seen at {}", date_and_clock(diagnosis.at)));
    for (number, finding) in diagnosis.findings.iter().enumerate() {
        if number > 0 || !first_was_said {
            page.text(&finding_sentence(finding, diagnosis.at).to_string());
        }
        for proof in &finding.proof {
            page.item(&proof.probe, &proof.said);
        }
    }
    if let Some(culprit) = &diagnosis.culprit {
        let who = culprit.who.clone().unwrap_or_else(|| "somebody whom the log does not name".to_owned());
        let did = format!("{who} at {}: {}", date_and_clock(culprit.at), culprit.operation);
        page.item("changed by", &format!("{did} on {}", resource_words(&culprit.target)));
    }
    for change in diagnosis.protective_changes.iter().skip(1) {
        let who = change.who.clone().unwrap_or_else(|| "unnamed".to_owned());
        page.item("and", &format!("{who} at {}: {}", date_and_clock(change.at), change.operation));
    }
    for unknown in &diagnosis.unknowns {
        page.item("not known", unknown);
    }
    for right in &diagnosis.missing_rights {
        page.item("right missing", &format!("{} on {}", right.action, right.scope));
    }
}

fn checked(page: &mut Layout, diagnosis: &Diagnosis) {
    if diagnosis.checks.is_empty() {
        return;
    }
    page.section("CHECKED");
    for Check { link, state, said } in &diagnosis.checks {
        let (mark, style) = match state {
            LinkState::Ok => ("ok", good()),
            LinkState::Broken => ("BROKEN", bad()),
            LinkState::Unknown => ("unknown", Style::new().yellow()),
        };
        let link = serde_json::to_value(link).unwrap_or_default();
        page.styled(&format!("{mark:<8}{}", link.as_str().unwrap_or_default()), &style, said);
    }
}

/// The plan in question: the one that waits, else the one that people were told of last.
fn plan(page: &mut Layout, incident: &Incident) {
    let asked = incident.approval.as_ref().map(|approval| &approval.plan);
    let told = || incident.notices.iter().rev().find_map(|notice| notice.plan.as_ref());
    let Some(plan) = asked.or_else(told) else { return };
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

fn question(page: &mut Layout, incident: &Incident, approval: &Approval, now: Timestamp) {
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

fn attempts(page: &mut Layout, attempts: &[Attempt]) {
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

fn databases(page: &mut Layout, incident: &Incident) {
    if incident.members.is_empty() {
        return;
    }
    page.section("DATABASES");
    for member in incident.members.values() {
        page.item(member.server.name(), &names(member));
    }
}

fn names(member: &Member) -> String {
    let up: Vec<&String> = member.databases.difference(&member.inaccessible).collect();
    let list = |names: Vec<&String>| {
        let (shown, more) = (names.iter().take(NAMED), names.len().saturating_sub(NAMED));
        let shown = shown.map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    match (member.inaccessible.is_empty(), up.is_empty()) {
        (true, true) => "none named, none seen down".to_owned(),
        (true, false) => format!("in service: {}", list(up)),
        (false, true) => format!("down: {}", list(member.inaccessible.iter().collect())),
        (false, false) => format!("down: {}; in service: {}", list(member.inaccessible.iter().collect()), list(up)),
    }
}

fn told(page: &mut Layout, incident: &Incident) {
    let Some(last) = incident.notices.last() else { return };
    page.section("TOLD");
    let situation = serde_json::to_value(last.situation).unwrap_or_default();
    let words = situation.as_str().unwrap_or_default().replace('_', " ");
    let count = incident.notices.len();
    let messages = if count == 1 { "message" } else { "messages" };
    page.text(&format!("{count} {messages}; the last at {}: {words}.", date_and_clock(last.at)));
}

fn story(page: &mut Layout, incident: &Incident) {
    if incident.timeline.is_empty() {
        return;
    }
    page.section("TIMELINE (UTC)");
    let mut day = None;
    for entry in &incident.timeline {
        let time = entry.at.strftime("%H:%M:%S").to_string();
        let today = entry.at.strftime("%Y-%m-%d").to_string();
        // The date is said where it changes.
        if day.as_ref() != Some(&today) {
            page.text(&today);
            day = Some(today);
        }
        page.item(&format!("{time} {}", kind(entry.kind)), &entry.text);
    }
}

const fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Noticed => "noticed",
        EntryKind::Checked => "checked",
        EntryKind::Decided => "decided",
        EntryKind::Approval => "approval",
        EntryKind::Changed => "changed",
        EntryKind::Verified => "verified",
        EntryKind::Told => "told",
        EntryKind::Ended => "ended",
    }
}
