//! Stand-ins for the services that tell people: below `/sink/`, one path a service, each refusing what the real one refuses.
//!
//! | file | stands for |
//! |---|---|
//! | `servicenow` | the Table API for incidents, Event Management, OAuth |
//! | `pagerduty` | Events API v2 |
//! | `slack` | an incoming webhook |
//! | `jsm` | alerts of Jira Service Management and Opsgenie |
//! | `jira` | issues |
//! | `flow` | the Teams flow that gives receipts |

mod flow;
mod jira;
mod jsm;
mod pagerduty;
mod servicenow;
mod slack;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::faults::FaultKind;
use super::wire::{Answer, Request};

/// What they know.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    servicenow: servicenow::ServiceNow,
    pagerduty: pagerduty::PagerDuty,
    jsm: jsm::Jsm,
    jira: jira::Jira,
    flow: flow::Flow,
    slack: slack::Slack,
}

/// Paths of ServiceNow's own, for clients that want its host to themselves.
const SERVICENOW: [&str; 3] = ["/api/now/", "/api/global/em/", "/oauth_token.do"];

/// Whether a path leads to a stand-in.
pub(super) fn is_sink(path: &str) -> bool {
    path.starts_with("/sink/") || SERVICENOW.iter().any(|own| path.starts_with(own))
}

/// Which stand-in, and the path as it sees it.
pub(super) fn place(path: &str) -> (&str, &str) {
    match path.strip_prefix("/sink/") {
        Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        None => ("servicenow", path),
    }
}

impl Sinks {
    pub(super) fn answer(&mut self, request: &Request, headers: &HeaderMap, now: Timestamp) -> Answer {
        let (sink, path) = place(&request.path);
        match sink {
            // Teams workflows say 202 and nothing more.
            "teams" if request.method == "POST" => Answer::empty(202),
            "webhook" if request.method == "POST" => Answer::json(200, json!({})),
            "slack" => self.slack.answer(request),
            "servicenow" => self.servicenow.answer(request, path, headers, now),
            "pagerduty" => self.pagerduty.answer(request, path, now),
            "jsm" => self.jsm.answer(request, path, headers, now),
            "jira" => self.jira.answer(request, path, headers, now),
            "flow" => self.flow.answer(request, headers),
            _ => Answer::error(404, "NoSuchSink", "There is no such sink; docs/simulated-cloud.md lists them."),
        }
    }

    /// What a service holds, for whoever looks.
    pub(super) fn holds(&self, sink: &str) -> Option<Value> {
        Some(match sink {
            "servicenow" => self.servicenow.shown(),
            "pagerduty" => self.pagerduty.shown(),
            "jsm" => self.jsm.shown(),
            "jira" => self.jira.shown(),
            "flow" => self.flow.shown(),
            "slack" => self.slack.shown(),
            _ => return None,
        })
    }
}

/// A fault in the words of the service that suffers it; nothing where the usual ones do.
pub(super) fn suffer(path: &str, kind: &FaultKind) -> Option<Answer> {
    if !is_sink(path) {
        return None;
    }
    let (sink, _) = place(path);
    match (sink, kind) {
        ("servicenow", FaultKind::Throttle { retry_after }) => Some(servicenow::throttled(*retry_after)),
        ("servicenow", FaultKind::Status { status, code }) => Some(servicenow::error(*status, code, "")),
        ("pagerduty", FaultKind::Throttle { retry_after }) => Some(
            Answer::json(429, json!({"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly."}))
                .with_header("retry-after", retry_after.to_string()),
        ),
        ("slack", FaultKind::Throttle { retry_after }) => {
            Some(Answer::text(429, "text/plain", "rate_limited").with_header("retry-after", retry_after.to_string()))
        }
        ("slack", FaultKind::Status { status, code }) => Some(Answer::text(*status, "text/html", code)),
        _ => None,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The body as an object; `None` for anything else.
fn object(request: &Request) -> Option<&serde_json::Map<String, Value>> {
    request.body.as_ref()?.as_ref().ok()?.as_object()
}

/// The body as it came, if it is no JSON.
fn raw(request: &Request) -> &str {
    match &request.body {
        Some(Err(text)) => text,
        _ => "",
    }
}
