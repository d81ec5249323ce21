//! PagerDuty's Events API v2, as its OpenAPI description and its pages say: what it refuses, and how events with one
//! `dedup_key` become one alert.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::object;
use crate::drill::cloud::wire::{Answer, Request};

/// The longest of each.
const LONGEST: [(&str, usize); 2] = [("summary", 1024), ("source", 255)];

#[derive(Debug, Default)]
pub(super) struct PagerDuty {
    alerts: Vec<Alert>,
    changes: Vec<Value>,
    dropped: usize,
}

#[derive(Debug)]
struct Alert {
    dedup_key: String,
    state: &'static str,
    severity: String,
    log: Vec<Value>,
}

impl PagerDuty {
    pub(super) fn answer(&mut self, request: &Request, path: &str, now: Timestamp) -> Answer {
        match (request.method.as_str(), path) {
            ("POST", "/enqueue" | "/v2/enqueue") => self.event(request, now),
            ("POST", "/change/enqueue" | "/v2/change/enqueue") => self.change(request),
            _ => Answer::json(404, json!({"status": "Not Found"})),
        }
    }

    fn event(&mut self, request: &Request, now: Timestamp) -> Answer {
        let Some(body) = object(request) else { return refused(&["JSON cannot be parsed".to_owned()]) };
        let mut errors = key_errors(body);
        let action = text(body, "event_action");
        let dedup_key = text(body, "dedup_key");
        if !["trigger", "acknowledge", "resolve"].contains(&action) {
            errors.push("'event_action' is missing or invalid: it must be trigger, acknowledge or resolve".to_owned());
        }
        if action != "trigger" && dedup_key.is_empty() {
            errors.push("'dedup_key' is missing or blank".to_owned());
        }
        if dedup_key.chars().count() > 255 {
            errors.push("'dedup_key' is longer than 255 characters".to_owned());
        }
        let payload = body.get("payload").and_then(Value::as_object);
        if action == "trigger" {
            errors.extend(payload.map_or_else(|| vec!["'payload' is missing or blank".to_owned()], payload_errors));
        }
        errors.extend(link_errors(body));
        if request.body.as_ref().is_some_and(|body| body.as_ref().is_ok_and(|body| body.to_string().len() > 512 * 1024))
        {
            return Answer::json(413, json!({"status": "invalid event", "message": "Event exceeds 512 KB"}));
        }
        if !errors.is_empty() {
            return refused(&errors);
        }
        let summary = payload.and_then(|payload| payload.get("summary")).cloned().unwrap_or_default();
        let entry = json!({"at": now, "action": action, "summary": summary});
        let open = self.alerts.iter_mut().find(|alert| alert.dedup_key == dedup_key && alert.state != "resolved");
        match (action, open) {
            ("trigger", Some(alert)) => alert.log.push(entry),
            ("trigger", None) => self.alerts.push(Alert {
                dedup_key: dedup_key.to_owned(),
                state: "triggered",
                severity: payload.map(|payload| text(payload, "severity")).unwrap_or_default().to_owned(),
                log: vec![entry],
            }),
            ("acknowledge", Some(alert)) => {
                alert.state = "acknowledged";
                alert.log.push(entry);
            }
            ("resolve", Some(alert)) => {
                alert.state = "resolved";
                alert.log.push(entry);
            }
            _ => self.dropped += 1,
        }
        Answer::json(202, json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key}))
    }

    fn change(&mut self, request: &Request) -> Answer {
        let Some(body) = object(request) else { return refused(&["JSON cannot be parsed".to_owned()]) };
        let mut errors = key_errors(body);
        if text(body, "routing_key").starts_with('R') {
            errors.push("change events need the integration key of a service".to_owned());
        }
        if body.contains_key("images") {
            errors.push("'images' is not supported on change events".to_owned());
        }
        match body.get("payload").and_then(Value::as_object) {
            Some(payload) if !text(payload, "summary").is_empty() => {}
            _ => errors.push("'payload.summary' is missing or blank".to_owned()),
        }
        errors.extend(link_errors(body));
        if !errors.is_empty() {
            return refused(&errors);
        }
        self.changes.push(body.get("payload").cloned().unwrap_or_default());
        Answer::json(202, json!({"status": "success", "message": "Change event processed"}))
    }

    /// The alerts with their logs, the change events, and how many events went to no alert.
    pub(super) fn shown(&self) -> Value {
        let alerts = self.alerts.iter().map(|alert| {
            json!({"dedup_key": alert.dedup_key, "state": alert.state, "severity": alert.severity, "log": alert.log})
        });
        json!({"alerts": alerts.collect::<Vec<_>>(), "changes": self.changes, "dropped": self.dropped})
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn key_errors(body: &Map<String, Value>) -> Vec<String> {
    let key = text(body, "routing_key");
    if key.is_empty() {
        vec!["'routing_key' is missing or blank".to_owned()]
    } else if key.len() != 32 {
        vec!["Length of 'routing_key' is incorrect (should be 32 characters)".to_owned()]
    } else {
        Vec::new()
    }
}

fn payload_errors(payload: &Map<String, Value>) -> Vec<String> {
    let mut errors = Vec::new();
    for (name, longest) in LONGEST {
        let value = text(payload, name);
        if value.is_empty() {
            errors.push(format!("'payload.{name}' is missing or blank"));
        } else if value.chars().count() > longest {
            errors.push(format!("'payload.{name}' is longer than {longest} characters"));
        }
    }
    if !["critical", "error", "warning", "info"].contains(&text(payload, "severity")) {
        errors.push(
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
                .to_owned(),
        );
    }
    if payload.get("timestamp").is_some_and(|at| at.as_str().is_none_or(|at| at.parse::<Timestamp>().is_err())) {
        errors.push("'payload.timestamp' is no timestamp".to_owned());
    }
    errors
}

fn link_errors(body: &Map<String, Value>) -> Vec<String> {
    let links = body.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let wrong = links
        .iter()
        .filter(|link| link.get("href").and_then(Value::as_str).is_none_or(|href| !href.starts_with("http")));
    wrong.map(|_| "'links' holds one without 'href'".to_owned()).collect()
}

fn refused(errors: &[String]) -> Answer {
    Answer::json(400, json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors}))
}
