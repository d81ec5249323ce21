//! A message as an Adaptive Card 1.5 in the envelope that a Teams Workflow expects.
//!
//! Teams reads `TextBlock` and `FactSet` as Markdown, so these hold our own words alone (`&'static str`, and the
//! banner); whatever may come from outside goes into `RichTextBlock`, which is never parsed (Microsoft, "Format cards in
//! Teams"). A Workflow refuses messages over 28 KB without telling the sender, hence the limit below.

use serde_json::{Value, json};

use crate::domain::notice::Notice;
use crate::notify::TrialMessage;
use crate::notify::links::Links;
use crate::notify::texts::message::Tone;
use crate::notify::texts::message::{Link, Mark, Part, Section};
use crate::notify::texts::words::{Line, Style};
use crate::notify::texts::{self, Message};

/// The largest body that is sent, in bytes. Teams stops at 28,672 after adding its own share (about a fifth).
pub const LARGEST: usize = 20_480;

/// How much of a message is shown, from everything to the least that is still worth sending.
const DEGREES: [Degree; 5] = [
    Degree { details: true, databases: true, sections: usize::MAX, parts: usize::MAX, text: usize::MAX },
    Degree { details: false, databases: true, sections: usize::MAX, parts: usize::MAX, text: usize::MAX },
    Degree { details: false, databases: false, sections: usize::MAX, parts: usize::MAX, text: usize::MAX },
    Degree { details: false, databases: false, sections: 6, parts: 6, text: 240 },
    Degree { details: false, databases: false, sections: 2, parts: 4, text: 120 },
];

#[derive(Debug, Clone, Copy)]
struct Degree {
    details: bool,
    databases: bool,
    sections: usize,
    parts: usize,
    text: usize,
}

/// The body to be posted for a notice: never larger than [`LARGEST`].
/// `remark` is said before all else.
#[must_use]
pub fn envelope(notice: &Notice, remark: Option<&str>, links: &Links) -> Value {
    let message = texts::message(notice);
    let sized = |degree: &Degree| {
        let mut card = card(&message, links, *degree);
        if let (Some(remark), Some(body)) = (remark, card["body"].as_array_mut()) {
            body.insert(0, rich(&Line::default().quote(remark), *degree));
        }
        let body = wrap(card);
        (body.to_string().len(), body)
    };
    let mut smallest = Value::Null;
    for degree in &DEGREES {
        let (size, body) = sized(degree);
        if size <= LARGEST {
            return body;
        }
        smallest = body;
    }
    smallest
}

/// A notice in two lines, as an answer to the card that holds the whole of it.
#[must_use]
pub fn short(notice: &Notice) -> Value {
    let message = texts::message(notice);
    json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": fallback(&message),
        "body": [
            {"type": "TextBlock", "text": message.banner, "weight": "Bolder", "wrap": true},
            rich(&message.headline, DEGREES[0]),
            footer(&message.footer),
        ],
        "actions": [],
    })
}

/// The body to be posted for a message that is about no incident.
#[must_use]
pub fn trial(trial: &TrialMessage) -> Value {
    let banner = texts::trial::banner(trial.trial);
    let footer = Line::default().name(texts::trial::footer(trial));
    wrap(json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": format!("{banner}: {}", texts::trial::headline(trial)),
        "msteams": {"width": "Full"},
        "body": [
            {"type": "Container", "style": "accent", "bleed": true, "items": [
                {"type": "TextBlock", "text": banner, "weight": "Bolder", "style": "heading", "wrap": true},
                {"type": "TextBlock", "text": texts::trial::headline(trial), "wrap": true},
            ]},
            {"type": "TextBlock", "text": texts::trial::why(trial.trial), "wrap": true},
            self::footer(&footer),
        ],
        "actions": [],
    }))
}

fn wrap(card: Value) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn card(message: &Message, links: &Links, degree: Degree) -> Value {
    let mut body = vec![banner(message, degree)];
    for part in message.sections.iter().take(degree.sections) {
        body.extend(section(part, degree));
    }
    if let Some(names) = message.databases.as_ref().filter(|_| degree.databases) {
        body.push(fact("Databases", names, degree));
    }
    if !message.next.is_empty() {
        body.push(heading("What happens next"));
        body.push(rich(&message.next, degree));
    }
    let details = !message.details.is_empty() && degree.details;
    if details {
        let items: Vec<Value> = message.details.iter().flat_map(|it| section(it, degree)).collect();
        body.push(json!({"type": "Container", "id": "details", "isVisible": false, "separator": true, "items": items}));
    }
    body.push(footer(&message.footer));
    json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": fallback(message),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": actions(message, links, details),
    })
}

fn banner(message: &Message, degree: Degree) -> Value {
    let style = match message.tone {
        Tone::Attention => "attention",
        Tone::Warning => "warning",
        Tone::Accent => "accent",
        Tone::Good => "good",
    };
    let mut headline = rich(&message.headline, degree);
    for inline in headline["inlines"].as_array_mut().into_iter().flatten() {
        inline["size"] = json!("Large");
        inline["weight"] = json!("Bolder");
    }
    json!({
        "type": "Container",
        "style": style,
        "bleed": true,
        "items": [
            {"type": "TextBlock", "text": message.banner, "weight": "Bolder", "size": "Default", "style": "heading", "wrap": true},
            headline,
            rich(&message.meaning, degree),
        ],
    })
}

fn section(section: &Section, degree: Degree) -> Vec<Value> {
    let parts = section.parts.iter().take(degree.parts).map(|part| self::part(part, degree));
    section.title.map(heading).into_iter().chain(parts).collect()
}

fn part(part: &Part, degree: Degree) -> Value {
    match part {
        Part::Fact(label, line) => fact(label, line, degree),
        Part::Text(line) => spaced(rich(line, degree)),
        Part::Command(line) => spaced(rich(line, degree)),
        Part::Step(number, line) => row(&number.to_string(), "Default", "24px", line, degree),
        Part::Marked(mark, line) => {
            let color = match mark {
                Mark::Ok => "Good",
                Mark::Fail => "Attention",
                Mark::Unknown | Mark::Skip => "Warning",
            };
            row(mark.word(), color, "48px", line, degree)
        }
    }
}

/// A short word of ours beside a line.
fn row(word: &str, color: &str, width: &str, line: &Line, degree: Degree) -> Value {
    json!({
        "type": "ColumnSet",
        "spacing": "Small",
        "columns": [
            {"type": "Column", "width": width, "items": [
                {"type": "TextBlock", "text": word, "weight": "Bolder", "color": color, "wrap": true}]},
            {"type": "Column", "width": "stretch", "items": [rich(line, degree)]},
        ],
    })
}

fn heading(title: &'static str) -> Value {
    json!({"type": "TextBlock", "text": title, "weight": "Bolder", "size": "Default", "style": "heading",
        "spacing": "Large", "wrap": true})
}

fn fact(label: &'static str, line: &Line, degree: Degree) -> Value {
    let mut inlines = vec![json!({"type": "TextRun", "text": format!("{label}  "), "weight": "Bolder"})];
    inlines.extend(runs(line, degree));
    spaced(json!({"type": "RichTextBlock", "inlines": inlines}))
}

fn spaced(mut block: Value) -> Value {
    block["spacing"] = json!("Small");
    block
}

fn rich(line: &Line, degree: Degree) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs(line, degree)})
}

fn runs(line: &Line, degree: Degree) -> Vec<Value> {
    let cut = line.clone().cut(degree.text);
    let run = |run: &texts::words::Run| match run.style {
        Style::Plain => json!({"type": "TextRun", "text": run.text}),
        Style::Strong => json!({"type": "TextRun", "text": run.text, "weight": "Bolder"}),
        Style::Code => json!({"type": "TextRun", "text": run.text, "fontType": "Monospace"}),
    };
    cut.runs().iter().map(run).collect()
}

fn footer(line: &Line) -> Value {
    let text = line.to_string();
    json!({
        "type": "RichTextBlock",
        "spacing": "Medium",
        "inlines": [{"type": "TextRun", "text": text, "isSubtle": true, "size": "Small"}],
    })
}

/// What a client shows that is too old for the card. It may read this as Markdown, so the headline is only used where
/// it has no character that means anything there.
fn fallback(message: &Message) -> String {
    let headline = message.headline.to_string();
    let harmless = |c: char| c.is_alphanumeric() || " ,:?-".contains(c);
    let headline = if headline.chars().all(harmless) { headline } else { "an incident of lost key access".to_owned() };
    format!("{}: {headline}. {}", message.banner, message.footer)
}

fn actions(message: &Message, links: &Links, details: bool) -> Vec<Value> {
    /// One more than this does not fit on a phone.
    const BUTTONS: usize = 4;
    /// A longer address is no use to anybody and would take the room of the text.
    const LONGEST: usize = 1500;
    // The button that decides is long, and must not be cut.
    let decides = message.links.iter().any(|link| matches!(link, Link::Decide { .. }) && links.url(link).is_some());
    let most = if decides { BUTTONS - 1 } else { BUTTONS };
    let open = message.links.iter().filter_map(|link| Some((link.title(), links.url(link)?)));
    let open = open.filter(|(_, url)| url.len() <= LONGEST);
    let mut actions: Vec<Value> = open
        .take(most - usize::from(details))
        .map(|(title, url)| json!({"type": "Action.OpenUrl", "title": title, "url": url}))
        .collect();
    if details {
        actions.push(json!({"type": "Action.ToggleVisibility", "title": "Details", "targetElements": ["details"]}));
    }
    actions
}
