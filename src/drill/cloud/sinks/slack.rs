//! An incoming webhook of Slack: `ok`, or a word in plain text.

use serde_json::{Value, json};

use super::object;
use crate::drill::cloud::wire::{Answer, Request};

#[derive(Debug, Default)]
pub(super) struct Slack {
    messages: Vec<Value>,
}

impl Slack {
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        if request.method != "POST" {
            return said(400, "invalid_payload");
        }
        let Some(body) = object(request) else { return said(400, "invalid_payload") };
        let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
        let blocks = body.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if text.is_empty() && blocks.is_empty() {
            return said(400, "no_text");
        }
        if text.chars().count() > 40_000 || blocks.len() > 50 || !blocks.iter().all(is_block) {
            return said(400, "invalid_blocks");
        }
        self.messages.push(json!(body));
        said(200, "ok")
    }

    pub(super) fn shown(&self) -> Value {
        json!({"messages": self.messages})
    }
}

fn said(status: u16, word: &str) -> Answer {
    Answer::text(status, "text/html", word)
}

fn is_text(text: Option<&Value>, kinds: &[&str], longest: usize) -> bool {
    let Some(text) = text else { return false };
    let kind = text.get("type").and_then(Value::as_str).unwrap_or_default();
    let words = text.get("text").and_then(Value::as_str).unwrap_or_default();
    let only = if kind == "plain_text" { text.get("verbatim").is_none() } else { text.get("emoji").is_none() };
    kinds.contains(&kind) && (1..=longest).contains(&words.chars().count()) && only
}

fn is_block(block: &Value) -> bool {
    const BOTH: [&str; 2] = ["plain_text", "mrkdwn"];
    let items = |name: &str| block.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match block.get("type").and_then(Value::as_str) {
        Some("header") => is_text(block.get("text"), &["plain_text"], 150),
        Some("divider") => true,
        Some("context") => {
            (1..=10).contains(&items("elements").len())
                && items("elements").iter().all(|item| is_text(Some(item), &BOTH, 3000))
        }
        Some("section") => {
            let (text, fields) = (block.get("text"), items("fields"));
            (text.is_some() || !fields.is_empty())
                && text.is_none_or(|text| is_text(Some(text), &BOTH, 3000))
                && fields.len() <= 10
                && fields.iter().all(|field| is_text(Some(field), &BOTH, 2000))
        }
        Some("actions") => {
            (1..=25).contains(&items("elements").len())
                && items("elements").iter().all(|item| {
                    let url = item.get("url").and_then(Value::as_str).unwrap_or_default();
                    item.get("type").is_some_and(|kind| kind == "button")
                        && is_text(item.get("text"), &["plain_text"], 75)
                        && url.len() <= 3000
                })
        }
        _ => false,
    }
}
