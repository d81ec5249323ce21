//! What is not Azure: the control routes, the sinks for notices, and tokens.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::breaks::Break;
use super::faults::Fault;
use super::incoming::{Incoming, body_or_null, header_texts};
use super::sinks;
use super::state::State;
use super::wire::{Answer, Request};
use super::{Cloud, Inner, Posted, lock};

/// Answers a control route; only a loopback address may be its host, so that no web page can reach it by another name.
pub(super) fn answer(inner: &Arc<Inner>, incoming: &Incoming) -> Answer {
    let request = &incoming.request;
    if !matches!(request.host.as_str(), "127.0.0.1" | "localhost" | "[::1]") {
        return Answer::error(403, "NotLoopback", "Control routes are answered on a loopback address only.");
    }
    let cloud = Cloud(inner.clone());
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/sim/break") => match read::<Break>(request) {
            Ok(what) => cloud.try_break(&what).map_or_else(
                |missing| Answer::error(404, "NotThere", missing),
                |()| Answer::json(200, json!({ "done": what.what })),
            ),
            Err(answer) => answer,
        },
        ("POST", "/sim/fault") => match read::<Fault>(request) {
            Ok(fault) if fault.path.is_empty() => {
                Answer::error(400, "EmptyPath", "'path' is empty; '/' stands for every request.")
            }
            Ok(fault) => {
                cloud.fault(fault);
                Answer::json(200, json!({ "armed": true }))
            }
            Err(answer) => answer,
        },
        ("POST", "/sim/webhook") => match request.object().map(|body| body.get("url").and_then(Value::as_str)) {
            Ok(Some(url)) => {
                cloud.deliver_to(url.to_owned());
                Answer::json(200, json!({ "delivering": true }))
            }
            _ => Answer::error(400, "NoUrl", "The body must be {\"url\": \"…\"}."),
        },
        ("POST", "/sim/eventgrid") => match request.object().map(|body| body.get("url").and_then(Value::as_str)) {
            Ok(Some(url)) => {
                cloud.deliver_events_to(url.to_owned());
                Answer::json(200, json!({ "delivering": true }))
            }
            _ => Answer::error(400, "NoUrl", "The body must be {\"url\": \"…\"}."),
        },
        ("POST", "/sim/roll-keys") => {
            cloud.roll_signing_key();
            Answer::json(200, json!({ "kid": cloud.signing_key()["kid"] }))
        }
        ("GET", "/sim/world") => Answer::json(200, cloud.world()),
        ("GET", "/sim/requests") => Answer::json(200, cloud.har()),
        ("GET", "/sim/clock") => Answer::json(200, json!({ "now": inner.clock.now(), "speed": inner.clock.factor() })),
        ("GET", "/sim/responder") => {
            let state = lock(&inner.state);
            let responder = &state.world.responder;
            let tenant = &state.world.tenant;
            Answer::json(200, json!({ "object_id": responder.object_id, "app_id": responder.app_id, "tenant": tenant }))
        }
        ("GET", "/sim/deliveries") => Answer::json(200, json!(cloud.deliveries())),
        ("GET", "/sim/inbox") => Answer::json(200, json!(cloud.inbox())),
        ("GET", path) if !cloud.sink(path.trim_start_matches("/sim/")).is_null() => {
            Answer::json(200, cloud.sink(path.trim_start_matches("/sim/")))
        }
        _ => Answer::error(404, "NoSuchRoute", "There is no such control route; docs/simulated-cloud.md lists them."),
    }
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    let body = request.object()?.clone();
    serde_json::from_value(body).map_err(|error| Answer::error(400, "NotUnderstood", error.to_string()))
}

/// The token that a managed identity, or a client with a secret, gets.
pub(super) fn token(state: &State, request: &Request) -> Answer {
    let token = &state.world.responder.token;
    if request.path.starts_with("/metadata/") {
        let on = (state.now.as_second() + 86_400).to_string();
        let resource = request.query.get("resource").map_or("", String::as_str);
        return Answer::json(
            200,
            json!({
                "access_token": token, "expires_in": "86400", "expires_on": on, "not_before": "0",
                "resource": resource, "token_type": "Bearer",
            }),
        );
    }
    Answer::json(200, json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }))
}

/// What a sink answers.
pub(super) fn sink(inner: &Inner, incoming: &Incoming, now: Timestamp) -> Answer {
    lock(&inner.sinks).answer(&incoming.request, &incoming.headers, now)
}

/// Keeps what was posted, and how that was answered.
pub(super) fn keep_posted(inner: &Inner, incoming: &Incoming, status: u16) {
    lock(&inner.inbox).push(Posted {
        at: inner.clock.now(),
        sink: sinks::place(&incoming.request.path).0.to_owned(),
        headers: header_texts(&incoming.headers),
        body: body_or_null(incoming),
        raw: incoming.raw.clone(),
        status,
    });
}
