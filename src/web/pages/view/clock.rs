//! Times and what is left. Absolute times are UTC and stand in the page; what is left ticks where there is a script.

use jiff::Timestamp;

use crate::domain::incident::Incident;
use crate::domain::notice::Notice;
use crate::notify::texts::clocks::{clock, date_and_clock, length, restore_before, window};
use crate::notify::texts::deadline;
use crate::notify::texts::message::Part;
use crate::web::pages::html::{Html, line, text};
use crate::web::pages::standing::{open_question, standing};

/// A time in the page.
#[must_use]
pub fn time(at: Timestamp, words: &str) -> Html {
    Html::default().raw("<time").attribute("datetime", at.to_string()).raw(">").text(words).raw("</time>")
}

/// Since when it is open, and for how long: the loss itself may be older.
#[must_use]
pub fn since(incident: &Incident, now: Timestamp) -> Html {
    let at = incident.opened_at;
    Html::default().text("open since ").html(time(at, &clock(at, now))).text(", ").html(ticking(
        "data-since",
        at,
        now.duration_since(at),
    ))
}

fn ticking(attribute: &'static str, at: Timestamp, span: jiff::SignedDuration) -> Html {
    Html::default().raw("<span").attribute(attribute, at.to_string()).raw(">").text(length(span)).raw("</span>")
}

/// What is left of something that ends at `at`: ticks.
#[must_use]
pub fn left(at: Timestamp, now: Timestamp) -> Html {
    ticking("data-until", at, at.duration_since(now))
}

/// When what has to be over, if anything: the label of the messages, and the time.
#[must_use]
pub fn due(notice: &Notice) -> Option<(&'static str, Timestamp)> {
    let Some(Part::Fact(label, _)) = deadline(notice) else { return None };
    let at = if label == "The key expires at" { notice.lost_at } else { notice.restore_before };
    Some((label, at))
}

/// For a row of the list: what is left, until when.
#[must_use]
pub fn until(incident: &Incident, now: Timestamp) -> Option<Html> {
    let answer_by = open_question(incident).map(|asked| asked.answer_by).filter(|by| *by > now);
    let at = match answer_by {
        Some(by) => by,
        None if incident.whole_since.is_some() || incident.window_is_over(now) => return None,
        None => due(&standing(incident, now))?.1,
    };
    (at > now).then(|| Html::default().html(left(at, now)).text(format!(" left, until {}", clock(at, now))))
}

/// The clock of an open incident.
#[must_use]
pub fn card(incident: &Incident, notice: &Notice, now: Timestamp) -> Html {
    let lost = Html::default()
        .element("dt", text("Key access lost"))
        .element("dd", line(&crate::notify::texts::clocks::since(notice)));
    let opened = Html::default()
        .element("dt", text("Opened"))
        .element("dd", time(incident.opened_at, &date_and_clock(incident.opened_at)));
    if let Some(ended) = incident.ended_at {
        let took = format!("{}, after {}", date_and_clock(ended), length(ended.duration_since(incident.opened_at)));
        let ended = Html::default().element("dt", text("Ended")).element("dd", time(ended, &took));
        let facts = if incident.only_expires() { opened } else { lost.html(opened) };
        return Html::default().element("dl class=\"times\"", facts.html(ended));
    }
    let Some((label, at)) = due(notice) else {
        let whole = incident.whole_since.map(|whole| {
            Html::default()
                .element("dt", text("Key access is back since"))
                .element("dd", time(whole, &date_and_clock(whole)))
        });
        return Html::default().element("dl class=\"times\"", lost.maybe(whole));
    };
    if at <= now || notice.window_over {
        let over = Html::default().element("dt", text(label)).element("dd", line(&restore_before(notice)));
        return Html::default().element("dl class=\"times\"", over.html(lost));
    }
    countdown(notice, label, at, now)
        .element("dl class=\"times\"", if label == "The key expires at" { opened } else { lost })
}

fn countdown(notice: &Notice, label: &'static str, at: Timestamp, now: Timestamp) -> Html {
    let (from, seconds) = (notice.lost_at.min(now), |span: jiff::SignedDuration| span.as_secs().max(0).to_string());
    let rule = match label {
        "Restore key access before" => format!(" ({} rule of Azure SQL)", window(notice.window_minutes)),
        _ => String::new(),
    };
    let bar = (label != "The key expires at").then(|| {
        Html::default()
            .raw("<progress aria-label=\"Time left\"")
            .attribute("max", seconds(at.duration_since(from)))
            .attribute("value", seconds(at.duration_since(now)))
            .attribute("data-until", at.to_string())
            .raw("></progress>")
    });
    let end = Html::default().text(label).text(" ").raw("<b>").html(time(at, &clock(at, now))).raw("</b>").text(rule);
    Html::default()
        .raw("<div class=\"countdown\"><p class=\"left\"><span class=\"big\">")
        .html(left(at, now))
        .raw("</span> left</p>")
        .maybe(bar)
        .element("p class=\"end\"", end)
        .raw("</div>")
}
