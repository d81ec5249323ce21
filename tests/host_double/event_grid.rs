//! Event Grid triggers: the webhook of the extension, which hands over event by event.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::front::status;
use super::function_json::{Function, Trigger};
use super::{Inner, payload};

/// `POST /runtime/webhooks/eventgrid?functionName=…&code=…`.
pub async fn webhook(inner: &Arc<Inner>, request: Request) -> Response<Body> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if parameter("code").is_none_or(|code| code != inner.keys.event_grid) {
        return status(StatusCode::UNAUTHORIZED);
    }
    let wanted = parameter("functionName").unwrap_or_default();
    let function = inner.functions.iter().find(|one| one.name == wanted && one.trigger == Trigger::EventGrid).cloned();
    let Some(function) = function else { return status(StatusCode::NOT_FOUND) };
    let Ok(body) = to_bytes(request.into_body(), 1 << 20).await else { return status(StatusCode::BAD_REQUEST) };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return status(StatusCode::BAD_REQUEST) };
    let events = match body {
        Value::Array(events) => events,
        one => vec![one],
    };
    if let Some(code) = events.iter().find_map(|event| event.pointer("/data/validationCode")?.as_str()) {
        let mut answer = Response::new(Body::from(json!({ "validationResponse": code }).to_string()));
        answer.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/json"));
        return answer;
    }
    let mut all_well = true;
    for event in events {
        let payload = payload(&function, &event, inner.now());
        all_well &= inner.call(&function, &payload, None).await.is_success();
    }
    status(if all_well { StatusCode::ACCEPTED } else { StatusCode::INTERNAL_SERVER_ERROR })
}

/// One event as it is sent to the handler: nested, and its data in the metadata too.
pub fn payload(function: &Function, event: &Value, now: jiff::Timestamp) -> Value {
    let mut metadata = json!({ "data": event["data"] });
    metadata["sys"] = payload::sys(&function.name, now);
    json!({ "Data": { function.binding.as_str(): event }, "Metadata": metadata })
}
