//! What is hidden until somebody asks: ids, proof, correlation ids, the story.

use crate::domain::notice::Notice;
use crate::notify::texts::affected;
use crate::notify::texts::clocks::{clock, date_and_clock};
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::words::Line;

/// So many entries of each kind are shown.
const SHOWN: usize = 10;

fn ids(notice: &Notice) -> Section {
    let id = |text: &dyn std::fmt::Display| Line::default().code(text.to_string());
    let mut parts =
        vec![Part::Fact("Incident", id(&notice.incident)), Part::Fact("Written", Line::of(date_and_clock(notice.at)))];
    parts.extend(notice.vault_id.iter().map(|vault| Part::Fact("Vault", id(vault))));
    parts.extend(notice.vault.iter().filter(|_| notice.vault_id.is_none()).map(|host| Part::Fact("Vault", id(host))));
    parts.extend(notice.servers.iter().take(SHOWN).map(|server| Part::Fact("Server", id(server))));
    if notice.servers.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more servers", notice.servers.len() - SHOWN))));
    }
    parts.extend(affected::names(notice, SHOWN).map(|names| Part::Fact("Databases", names)));
    if let Some(plan) = &notice.plan {
        parts.push(Part::Fact("Plan", id(&plan.hash())));
    }
    Section::titled("Ids", parts)
}

fn proof(notice: &Notice) -> Section {
    let findings = notice.diagnosis.iter().flat_map(|diagnosis| &diagnosis.findings);
    let said = findings.flat_map(|finding| &finding.proof).take(SHOWN);
    let mut parts: Vec<Part> =
        said.map(|proof| Part::Text(Line::default().strong(&proof.probe).say(": ").quote(&proof.said))).collect();
    let unknowns = notice.diagnosis.iter().flat_map(|diagnosis| &diagnosis.unknowns).take(SHOWN);
    parts.extend(unknowns.map(|unknown| Part::Fact("Not known", Line::default().quote(unknown))));
    Section::titled("How we know", parts)
}

fn correlations(notice: &Notice) -> Section {
    let culprit = notice.diagnosis.iter().filter_map(|diagnosis| diagnosis.culprit.as_ref());
    let mut parts: Vec<Part> = culprit
        .filter_map(|culprit| culprit.correlation_id.as_ref())
        .map(|id| Part::Fact("The breaking change", Line::default().code(id)))
        .collect();
    let own = notice.attempts.iter().rev().filter_map(|attempt| Some((attempt, attempt.correlation_id.as_ref()?)));
    parts.extend(
        own.take(SHOWN).map(|(attempt, id)| Part::Text(Line::of(format!("{} ", attempt.change.remedy())).code(id))),
    );
    Section::titled("Correlation ids for Azure's logs", parts)
}

fn timeline(notice: &Notice) -> Section {
    let skipped = notice.timeline.len().saturating_sub(2 * SHOWN);
    let line = |entry: &crate::domain::incident::Entry| {
        Part::Text(Line::of(clock(entry.at, notice.at)).say(" ").quote(&entry.text).cut(220))
    };
    let mut parts: Vec<Part> = notice.timeline.iter().take(SHOWN).map(line).collect();
    if skipped > 0 {
        parts.push(Part::Text(Line::of(format!("… {skipped} more lines …"))));
    }
    parts.extend(notice.timeline.iter().skip(SHOWN.max(notice.timeline.len().saturating_sub(SHOWN))).map(line));
    Section::titled("Timeline", parts)
}

/// The details of a message; empty sections are left out.
pub(super) fn details(notice: &Notice) -> Vec<Section> {
    let all = [timeline(notice), proof(notice), correlations(notice), ids(notice)];
    all.into_iter().filter(|section| !section.parts.is_empty()).collect()
}
