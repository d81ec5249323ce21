//! The list of incidents.

use console::measure_text_width;
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::output::plain;
use crate::domain::incident::Incident;
use crate::notify::texts::clocks::{date_and_clock, length};

/// As a table.
pub(super) fn table(incidents: &[Incident], now: Timestamp) -> String {
    if incidents.is_empty() {
        return "There are no incidents.".to_owned();
    }
    let heads = ["ID", "PHASE", "OPENED", "WHERE", "DOWN", "WHAT NEXT"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(heads).chain(incidents.iter().map(|one| row(one, now))).collect();
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 6]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(measure_text_width(cell)) + 2));
        }
        line.push_str(&row[5]);
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(incident: &Incident, now: Timestamp) -> [String; 6] {
    let place = incident.vault.as_ref().map_or_else(|| incident.key.0.clone(), |vault| vault.vault_name().to_owned());
    [
        incident.id.to_string(),
        incident.phase.words().to_owned(),
        date_and_clock(incident.opened_at),
        plain(&place),
        down(incident),
        next(incident, now),
    ]
}

fn down(incident: &Incident) -> String {
    let (down, all) = incident.down_of_all();
    format!("{down} of {all}")
}

fn next(incident: &Incident, now: Timestamp) -> String {
    if let Some(end) = incident.end.as_ref().filter(|_| !incident.is_restoring()) {
        return plain(end);
    }
    if let Some(approval) = incident.approval.as_ref().filter(|approval| approval.decision.is_none())
        && now <= approval.answer_by
    {
        let left = length(approval.answer_by.duration_since(now));
        return format!("waits for your answer, {left} left: keymend incidents approve {}", incident.id);
    }
    if incident.is_restoring() {
        return "online again; settings that Azure dropped are put back".to_owned();
    }
    if incident.window_is_over(now) {
        return "window over".to_owned();
    }
    format!("{} of the window left", length(incident.restore_before().duration_since(now)))
}

/// As JSON: an array of the same facts.
pub(super) fn json(incidents: &[Incident], now: Timestamp) -> Value {
    incidents.iter().map(|incident| incident.summary(now)).collect()
}
