//! Everything that was read, for whoever wants to check.

use super::parts;
use crate::domain::incident::Incident;
use crate::domain::notice::Notice;
use crate::notify::texts;
use crate::notify::texts::message::Section;
use crate::web::pages::html::{Html, text};

/// The longest piece of JSON in a page, in bytes.
const LONGEST: usize = 40 * 1024;

/// The card, folded up.
#[must_use]
pub fn card(incident: &Incident, notice: &Notice, json: &str) -> Html {
    let elsewhere = |section: &Section| matches!(section.title, Some("Timeline" | "How we know"));
    let details: Vec<Section> =
        texts::message(notice).details.into_iter().filter(|section| !elsewhere(section)).collect();
    let inside = Html::default()
        .raw("<details data-fold=\"evidence\"><summary><h2>Raw evidence</h2></summary>")
        .html(parts::sections(&details))
        .maybe(diagnosis(incident))
        .raw("<p><a")
        .attribute("href", json)
        .raw(">The whole incident as JSON</a></p></details>");
    Html::default().element("section class=\"card\" aria-label=\"Raw evidence\"", inside)
}

fn diagnosis(incident: &Incident) -> Option<Html> {
    let last = incident.diagnosis.as_ref()?;
    // Strings, times and lists always serialize.
    let mut json = serde_json::to_string_pretty(last).unwrap_or_default();
    let cut = json.len() > LONGEST;
    if cut {
        let end = (0..=LONGEST).rev().find(|end| json.is_char_boundary(*end)).unwrap_or(0);
        json.truncate(end);
        json.push_str("\n…");
    }
    Some(Html::default().element("h3", text("The last diagnosis")).raw("<pre>").text(json).raw("</pre>").maybe(
        cut.then(|| Html::default().element("p class=\"soft\"", text("It is cut here; the JSON has it whole."))),
    ))
}
