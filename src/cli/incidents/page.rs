//! All that is known of one incident, on one page.

mod cause;
mod changes;
mod settings;

use console::Style;
use jiff::Timestamp;
use serde_json::Value;

use super::layout::Layout;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::incident::{Incident, Member, Phase};
use crate::notify::texts::causes::finding_sentence;
use crate::notify::texts::clocks::{clock, date_and_clock, length};
use crate::notify::texts::gates::gate_sentence;

/// Databases of a server that are named before the rest is counted.
const NAMED: usize = 12;

/// The incident as JSON: the stored document, and what follows from it and the time.
pub(super) fn json(incident: &Incident, now: Timestamp) -> Value {
    incident.document(now)
}

/// The page.
pub(super) fn page(incident: &Incident, now: Timestamp) -> String {
    let mut page = Layout::new();
    head(&mut page, incident, now);
    if let Some(diagnosis) = &incident.diagnosis {
        // What an incident that is over was about, not what its last look saw.
        let over = incident.end.is_some();
        let told = incident.broken.as_ref().filter(|_| over).unwrap_or(diagnosis);
        cause::cause(&mut page, told, !over);
        cause::checked(&mut page, diagnosis);
    }
    changes::plan(&mut page, incident);
    if !incident.gates.is_empty() {
        page.section("IN THE WAY");
        for hit in &incident.gates {
            page.styled(if hit.hard { "stops it" } else { "asks first" }, &bad(), &gate_sentence(hit).to_string());
        }
    }
    if let Some(approval) = &incident.approval {
        changes::question(&mut page, incident, approval, now);
    }
    changes::attempts(&mut page, &incident.attempts);
    if let Some(restoration) = &incident.restoration {
        settings::settings(&mut page, restoration);
    }
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
    page.title(&incident.id.0, &incident.phase.words().to_uppercase(), phase_style(incident.phase));
    let first = incident.diagnosis.as_ref().and_then(Diagnosis::first);
    match (&incident.end, first) {
        (Some(end), _) => page.text(end),
        (None, Some(finding)) => page.text(&finding_sentence(finding, now).to_string()),
        (None, None) => page.text(&format!("Something was told about {}; it was not looked at yet.", incident.key.0)),
    }
    if let Some((_, why)) = &incident.needs_person {
        page.styled("a person is needed", &bad(), why);
    }
    if let Some(hold) = &incident.hold {
        let what = if hold.taken_over { "has taken it over" } else { "holds it" };
        page.styled("on hold", &bad(), &format!("{} {what} since {}", hold.by, since(hold.at, now)));
    }
    page.item("opened", &since(incident.opened_at, now));
    if let Some(ended) = incident.ended_at {
        let took = length(ended.duration_since(incident.opened_at));
        page.item("ended", &format!("{}, after {took}", since(ended, now)));
    }
    if !incident.only_expires() {
        let known = if incident.lost_at.is_some() { "" } else { " (guessed from the first event)" };
        page.item("key access lost", &format!("{}{known}", since(incident.loss(), now)));
        if incident.ended_at.is_none() {
            page.item("self-heal window", &window(incident, now));
        }
    } else if let Some(at) = incident.lost_ahead(now).filter(|_| incident.ended_at.is_none()) {
        page.item("the key expires", &format!("{}, in {}", date_and_clock(at), length(at.duration_since(now))));
    }
    if let Some(vault) = &incident.vault {
        page.item("key vault", vault.as_str());
    }
}

fn since(time: Timestamp, now: Timestamp) -> String {
    format!("{}, {} ago", date_and_clock(time), length(now.duration_since(time)))
}

fn window(incident: &Incident, now: Timestamp) -> String {
    let (minutes, until) = (incident.heals_for_minutes(), incident.restore_before());
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
    // Nothing is called up that was not looked at.
    let others = if member.observed_at.is_some() { "not down" } else { "named, not looked at yet" };
    match (member.inaccessible.is_empty(), up.is_empty()) {
        (true, true) => "none named, none seen down".to_owned(),
        (true, false) => format!("{others}: {}", list(up)),
        (false, true) => format!("down: {}", list(member.inaccessible.iter().collect())),
        (false, false) => format!("down: {}; {others}: {}", list(member.inaccessible.iter().collect()), list(up)),
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
        page.item(&format!("{time} {}", entry.kind.word()), &entry.text);
    }
}
