//! Alerts of Jira Service Management and Opsgenie, by their integration API: taken with 202 and carried out afterwards.

use jiff::Timestamp;
use serde_json::{Value, json};

use axum::http::HeaderMap;

use super::{header, object};
use crate::drill::cloud::wire::{Answer, Request};

const KEY: &str = "GenieKey drill-genie-key";

#[derive(Debug, Default)]
pub(super) struct Jsm {
    alerts: Vec<Alert>,
    requests: usize,
}

#[derive(Debug)]
struct Alert {
    alias: String,
    message: String,
    priority: String,
    open: bool,
    count: usize,
    notes: Vec<String>,
}

impl Jsm {
    pub(super) fn answer(&mut self, request: &Request, path: &str, headers: &HeaderMap, _: Timestamp) -> Answer {
        if header(headers, "authorization") != KEY {
            return said(401, "Could not authenticate", None);
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["v2", "alerts"]) => self.create(request),
            ("POST", ["v2", "alerts", alias, action @ ("close" | "notes" | "acknowledge")])
                if request.query.get("identifiertype").is_some_and(|kind| kind == "alias") =>
            {
                self.act(request, alias, action)
            }
            _ => said(404, "Resource not found", None),
        }
    }

    fn create(&mut self, request: &Request) -> Answer {
        let Some(body) = object(request) else { return said(400, "Body could not be parsed", None) };
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let limits = [("message", 130), ("alias", 512), ("description", 15_000), ("entity", 512), ("source", 100)];
        for (name, longest) in limits {
            let length = text(name).chars().count();
            if length > longest || (name == "message" && length == 0) {
                return said(422, "Request body is not processable. Please check the errors.", Some(name));
            }
        }
        let priority = body.get("priority").and_then(Value::as_str).unwrap_or("P3");
        if !["P1", "P2", "P3", "P4", "P5"].contains(&priority) {
            return said(422, "Request body is not processable. Please check the errors.", Some("priority"));
        }
        if body
            .get("details")
            .is_some_and(|it| it.as_object().is_none_or(|it| it.values().any(|value| !value.is_string())))
        {
            return said(422, "Request body is not processable. Please check the errors.", Some("details"));
        }
        match self.alerts.iter_mut().find(|alert| alert.open && alert.alias == text("alias")) {
            Some(alert) => alert.count += 1,
            None => self.alerts.push(Alert {
                alias: text("alias").to_owned(),
                message: text("message").to_owned(),
                priority: priority.to_owned(),
                open: true,
                count: 1,
                notes: Vec::new(),
            }),
        }
        self.taken()
    }

    fn act(&mut self, request: &Request, alias: &str, action: &str) -> Answer {
        let Some(body) = object(request) else { return said(400, "Body could not be parsed", None) };
        let note = body.get("note").and_then(Value::as_str).unwrap_or_default().to_owned();
        if note.chars().count() > 25_000 || (action == "notes" && note.is_empty()) {
            return said(422, "Request body is not processable. Please check the errors.", Some("note"));
        }
        // An alert that is not there is only found out afterwards.
        if let Some(alert) = self.alerts.iter_mut().rev().find(|alert| alert.alias == alias) {
            if !note.is_empty() {
                alert.notes.push(note);
            }
            alert.open &= action != "close";
        }
        self.taken()
    }

    fn taken(&mut self) -> Answer {
        self.requests += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.requests);
        Answer::json(202, json!({"result": "Request will be processed", "took": 0.1, "requestId": id}))
    }

    pub(super) fn shown(&self) -> Value {
        let alerts = self.alerts.iter().map(|alert| {
            json!({
                "alias": alert.alias, "message": alert.message, "priority": alert.priority, "count": alert.count,
                "status": if alert.open { "open" } else { "closed" }, "notes": alert.notes,
            })
        });
        json!({"alerts": alerts.collect::<Vec<_>>()})
    }
}

fn said(status: u16, message: &str, field: Option<&str>) -> Answer {
    let mut body = json!({"message": message, "took": 0.001, "requestId": "00000000-0000-4000-8000-000000000000"});
    if let Some(field) = field {
        body["errors"] = json!({field: format!("{field} is not valid")});
    }
    Answer::json(status, body)
}
