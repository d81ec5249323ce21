//! The Teams flow of `infra/teams-flow`, which answers with the id of the message: post, update, reply.

use serde_json::{Value, json};

use axum::http::HeaderMap;

use super::{header, object};
use crate::drill::cloud::wire::{Answer, Request};

/// Teams refuses what is larger.
const LARGEST: usize = 28_672;

#[derive(Debug, Default)]
pub(super) struct Flow {
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    id: String,
    card: Value,
    updates: usize,
    replies: Vec<Value>,
}

impl Flow {
    pub(super) fn answer(&mut self, request: &Request, headers: &HeaderMap) -> Answer {
        if !header(headers, "authorization").starts_with("Bearer ") {
            return Answer::error(401, "DirectApiAuthorizationRequired", "The request must be authenticated.");
        }
        let Some(body) = object(request) else { return failed("the body is no object") };
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some(card) = body.get("card").filter(|card| card.get("type").is_some_and(|kind| kind == "AdaptiveCard"))
        else {
            return failed("there is no card");
        };
        if card.to_string().len() > LARGEST {
            return failed("Request Entity too large");
        }
        let id = text("messageId").to_owned();
        if text("op") == "post" {
            let id = format!("17954864{:05}", self.messages.len());
            self.messages.push(Message { id: id.clone(), card: card.clone(), updates: 0, replies: Vec::new() });
            return Answer::json(200, json!({"messageId": id, "ok": true}));
        }
        let Some(message) = self.messages.iter_mut().find(|message| message.id == id) else {
            return Answer::json(410, json!({"error": "the message is gone"}));
        };
        match text("op") {
            "update" => {
                message.card = card.clone();
                message.updates += 1;
            }
            "reply" => message.replies.push(card.clone()),
            _ => return failed("op must be post, update or reply"),
        }
        Answer::json(200, json!({"messageId": id, "ok": true}))
    }

    pub(super) fn shown(&self) -> Value {
        let messages = self.messages.iter().map(|message| {
            json!({"id": message.id, "card": message.card, "updates": message.updates, "replies": message.replies})
        });
        json!({"messages": messages.collect::<Vec<_>>()})
    }
}

fn failed(why: &str) -> Answer {
    Answer::json(502, json!({ "error": why }))
}
