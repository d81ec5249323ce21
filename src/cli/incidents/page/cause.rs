//! What is wrong, how we know, and who did it.

use console::Style;

use super::{bad, good};
use crate::cli::incidents::layout::Layout;
use crate::domain::diagnosis::{Check, Diagnosis, LinkState};
use crate::domain::words::deed;
use crate::notify::texts::causes::finding_sentence;
use crate::notify::texts::clocks::date_and_clock;

/// The findings with their proof, and who did it. The head of an open incident has said the first finding already.
pub(super) fn cause(page: &mut Layout, diagnosis: &Diagnosis, first_was_said: bool) {
    if diagnosis.findings.is_empty() && diagnosis.culprit.is_none() && diagnosis.unknowns.is_empty() {
        return;
    }
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
        page.item("who", &format!("{} ({})", deed(culprit), culprit.operation));
    }
    for change in diagnosis.protective_changes.iter().skip(1) {
        page.item("and", &format!("{} ({})", deed(change), change.operation));
    }
    for unknown in &diagnosis.unknowns {
        page.item("not known", unknown);
    }
    for right in &diagnosis.missing_rights {
        page.item("right missing", &format!("{} on {}", right.action, right.scope));
    }
}

pub(super) fn checked(page: &mut Layout, diagnosis: &Diagnosis) {
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
