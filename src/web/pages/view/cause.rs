//! What is wrong, who did it, and how we know.

use super::{parts, picture};
use crate::domain::diagnosis::{Check, Diagnosis, LinkState};
use crate::domain::incident::Incident;
use crate::domain::notice::Notice;
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::message::Mark;
use crate::notify::texts::words::Line;
use crate::notify::texts::{cause_parts, link_name};
use crate::web::pages::html::{Html, line, text};

/// So many proofs are shown.
const PROOFS: usize = 60;

/// The card, once anything was looked at.
#[must_use]
pub fn card(incident: &Incident, notice: &Notice) -> Option<Html> {
    let last = incident.diagnosis.as_ref()?;
    // What an incident that is over was about, not what its last look saw.
    let shown = incident.broken.as_ref().filter(|_| incident.ended_at.is_some()).unwrap_or(last);
    let seen = if incident.ended_at.is_some() { "The chain when it was last seen broken," } else { "As seen at" };
    let seen = format!("{seen} {}", date_and_clock(shown.at));
    let heading = if incident.ended_at.is_some() { "What was wrong" } else { "Cause" };
    let inside = Html::default()
        .element("h2", text(heading))
        .html(parts::parts(&cause_parts(notice)))
        .element("p class=\"soft seen\"", text(seen))
        .html(picture::chain(incident, shown))
        .html(checked(&shown.checks))
        .maybe(proof(shown));
    Some(Html::default().element("section class=\"card\" aria-label=\"Cause\"", inside))
}

fn checked(checks: &[Check]) -> Html {
    if checks.is_empty() {
        return Html::default();
    }
    let one = |check: &Check| {
        let (mark, word) = match check.state {
            LinkState::Ok => (Mark::Ok, "OK"),
            LinkState::Broken => (Mark::Fail, "BROKEN"),
            LinkState::Unknown => (Mark::Unknown, "UNKNOWN"),
        };
        let said = Line::default().strong(link_name(check.link)).say(": ").quote(&check.said);
        parts::marked(mark, word, line(&said))
    };
    Html::default().element("ul class=\"marks checked\" aria-label=\"Checked\"", Html::default().each(checks, one))
}

fn proof(diagnosis: &Diagnosis) -> Option<Html> {
    let said = diagnosis.findings.iter().flat_map(|finding| &finding.proof).take(PROOFS);
    let said = said.map(|proof| Line::default().strong(&proof.probe).say(": ").quote(&proof.said));
    let unknown = diagnosis.unknowns.iter().take(PROOFS);
    let unknown = unknown.map(|unknown| Line::default().strong("not known").say(": ").quote(unknown));
    let items = Html::default().each(said.chain(unknown), |said| Html::default().element("li", line(&said)));
    (!items.is_empty()).then(|| {
        Html::default()
            .raw("<details data-fold=\"proof\"><summary>How we know</summary>")
            .element("ul class=\"plain\"", items)
            .raw("</details>")
    })
}
