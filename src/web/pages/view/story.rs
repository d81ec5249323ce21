//! What happened, line by line, and what people were told.

use jiff::Timestamp;

use super::clock::time;
use crate::domain::incident::{Entry, Incident};
use crate::domain::notice::Told;
use crate::notify::texts::clocks::clock;
use crate::notify::texts::phase_words;
use crate::notify::texts::words::{clean, count};
use crate::web::pages::html::{Html, text};
use crate::web::pages::site::{Deliveries, Delivery};

/// Of a long story the beginning is shown …
const FIRST: usize = 10;
/// … and the end.
const LAST: usize = 20;
/// The longest line.
const LONGEST: usize = 400;

/// The timeline.
#[must_use]
pub fn timeline(incident: &Incident) -> Html {
    let all = &incident.timeline;
    if all.is_empty() {
        return Html::default();
    }
    let list = |entries: &[Entry], before: Option<&Entry>| {
        let mut day = before.map(|entry| date(entry.at));
        let mut rows = Html::default();
        for entry in entries {
            let today = date(entry.at);
            if day.as_ref() != Some(&today) {
                rows = rows.element("li class=\"day\"", text(&today));
                day = Some(today);
            }
            rows = rows.html(row(entry));
        }
        Html::default().element("ol class=\"story\"", rows)
    };
    let inside = if all.len() > FIRST + LAST + 5 {
        let (first, rest) = all.split_at(FIRST);
        let (middle, last) = rest.split_at(rest.len() - LAST);
        list(first, None)
            .raw("<details data-fold=\"story\"><summary>")
            .text(format!("{} lines between", middle.len()))
            .raw("</summary>")
            .html(list(middle, first.last()))
            .raw("</details>")
            .html(list(last, middle.last()))
    } else {
        list(all, None)
    };
    let inside = Html::default().element("h2", text("Timeline (UTC)")).html(inside);
    Html::default().element("section class=\"card\" aria-label=\"Timeline\"", inside)
}

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn row(entry: &Entry) -> Html {
    let at = entry.at.strftime("%H:%M:%S").to_string();
    Html::default()
        .raw("<li>")
        .html(time(entry.at, &at))
        .raw("<span><b class=\"kind\">")
        .raw(entry.kind.word())
        .raw("</b> ")
        .text(clean(&entry.text, LONGEST))
        .raw("</span></li>")
}

/// The messages, newest first.
#[must_use]
pub fn told(incident: &Incident, deliveries: &Deliveries, now: Timestamp) -> Option<Html> {
    let all = &incident.notices;
    if all.is_empty() {
        return None;
    }
    let rows = all.iter().zip(deliveries).rev().take(40);
    let rows = Html::default().each(rows, |(told, how)| message(told, how, now));
    let heading = count(all.len(), "message sent", "messages sent");
    let inside = Html::default().element("h2", text(heading)).element("ul class=\"told\"", rows);
    Some(Html::default().element("section class=\"card\" aria-label=\"Messages\"", inside))
}

fn message(told: &Told, how: &[(String, Delivery)], now: Timestamp) -> Html {
    let by = Html::default().each(how, |(channel, delivery)| {
        let (class, words, why) = match delivery {
            Delivery::Delivered => ("ok", "delivered", ""),
            Delivery::Refused(why) => ("bad", "NOT DELIVERED", why.as_str()),
            Delivery::Underway => ("unk", "not delivered yet", ""),
        };
        let why = (!why.is_empty()).then(|| text(format!(": {}", clean(why, 200))));
        Html::default()
            .raw("<li")
            .attribute("class", class)
            .raw(">")
            .text(clean(channel, 60))
            .text(" ")
            .raw(words)
            .maybe(why)
            .raw("</li>")
    });
    Html::default()
        .raw("<li>")
        .html(time(told.at, &clock(told.at, now)))
        .raw(" <b>")
        .raw(phase_words(told.situation))
        .raw("</b>")
        .maybe((!by.is_empty()).then(|| Html::default().element("ul class=\"facts\"", by)))
        .raw("</li>")
}
