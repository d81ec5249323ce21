//! The messages that came to the team: what each is about, what it says, and whether one is missing.

use std::collections::{BTreeMap, BTreeSet};

use keymend::domain::notice::Situation;
use keymend::notify::texts::phase_words;
use serde_json::Value;

/// A message that came to the team.
pub struct Message {
    pub incident: String,
    pub sequence: u64,
    pub situation: String,
    pub servers: BTreeSet<String>,
}

pub fn message(body: &Value) -> Option<Message> {
    let data = &body["data"];
    let text = data.to_string().to_lowercase();
    let servers = text.match_indices("/servers/").map(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        format!("/servers/{}", &rest[..end])
    });
    Some(Message {
        incident: data["incident"].as_str()?.to_owned(),
        sequence: data["sequence"].as_u64()?,
        situation: data["situation"].as_str()?.to_owned(),
        servers: servers.collect(),
    })
}

/// A message's id: in the event, or at the end of a card's text (`incident ID · message N`).
pub fn message_id(body: &Value) -> Option<String> {
    if let Some(id) = body["id"].as_str() {
        return Some(id.to_owned());
    }
    let text = body.pointer("/attachments/0/content/fallbackText")?.as_str()?;
    let (_, tail) = text.rsplit_once("incident ")?;
    Some(tail.trim().replace(" · message ", "."))
}

/// Whether a card says how it ended, or that a person is needed.
pub fn tells_an_end(card: &Value) -> bool {
    const ENDS: [Situation; 7] = [
        Situation::Resolved,
        Situation::RecoveredWithoutUs,
        Situation::SettingsRestored,
        Situation::Escalated,
        Situation::ApprovalAsked,
        Situation::ApprovalReminder,
        Situation::ObservedOnly,
    ];
    let text = card.to_string();
    text.contains("ON HOLD, BY A PERSON") || ENDS.into_iter().any(|end| text.contains(phase_words(end)))
}

/// What a message says, string by string, but for what may differ in the same message: that it comes late, and the port of the
/// responder, which a new process of a story has anew.
pub fn words(body: &Value) -> Vec<String> {
    match body {
        Value::String(text) if text.contains("could not be delivered before") => Vec::new(),
        Value::String(text) => vec![without_port(text)],
        Value::Array(all) => all.iter().flat_map(words).collect(),
        Value::Object(fields) => fields.values().flat_map(words).collect(),
        other => vec![other.to_string()],
    }
}

pub fn without_port(text: &str) -> String {
    const HERE: &str = "http://127.0.0.1:";
    let mut parts = text.split(HERE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + HERE + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Where the first two differ.
pub fn difference(bodies: &BTreeSet<Vec<String>>) -> String {
    let mut all = bodies.iter();
    let (Some(one), Some(other)) = (all.next(), all.next()) else { return String::new() };
    let differs = one.iter().zip(other).find(|(one, other)| one != other);
    differs.map_or_else(|| "one says more".to_owned(), |(one, other)| format!("{one:?} and {other:?}"))
}

/// Messages of an incident are counted from 1: one that is missing was written and never came.
pub fn gaps(messages: &[Message]) -> Vec<String> {
    let mut of: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for message in messages {
        of.entry(&message.incident).or_default().insert(message.sequence);
    }
    let missing = |(incident, got): (&str, BTreeSet<u64>)| {
        let last = got.last().copied().unwrap_or_default();
        (1..=last)
            .filter(|one| !got.contains(one))
            .map(|one| format!("message {one} of {incident} never came"))
            .collect::<Vec<_>>()
    };
    of.into_iter().flat_map(missing).collect()
}
