//! The HTTP functions `alerts` and `pages`.
//!
//! The host checks the key of `alerts` before anything reaches us, and the key is in `?code=` or `x-functions-key`. So what
//! came through the host is let in, and `KEYMEND_WEBHOOK_SECRET`, which `keymend serve` compares with the same two places, is
//! not looked at: comparing it with the function's key would refuse every alert. A token of Entra is checked here: the host passes
//! `Authorization` on and does not look at it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::invocation::{Invoked, ThroughTheHost, refuse, unreadable};
use super::marks::Stranger;
use super::paths::{ALERTS, called};
use super::payload::{Payload, Unreadable};
use super::{Hosted, PATIENCE};
use crate::web::{alerts, answer, health, pages};

const HEALTH: &str = "/api/health";

/// The binding's name in `alerts/function.json` and `pages/function.json`.
pub(super) const BINDING: &str = "req";
/// The longest answer that is put into a payload.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A request as its sender sent it, through the host's proxy.
pub(super) async fn proxied(State(hosted): State<Hosted>, request: Request) -> Response {
    let method = request.method().clone();
    match called(request.uri().path()).as_str() {
        ALERTS if request.extensions().get::<ThroughTheHost>().is_none() => refuse("alerts", Stranger::NoInvocation),
        ALERTS if method == Method::POST || method == Method::OPTIONS => take_alert(&hosted, request).await,
        HEALTH if method == Method::GET || method == Method::HEAD => hosted_health(&hosted).await,
        path if pages::is_page(path) && request.extensions().get::<ThroughTheHost>().is_none() => {
            refuse("pages", Stranger::NoInvocation)
        }
        path if pages::is_page(path) => page(&hosted, request).await,
        ALERTS | HEALTH => answer::refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not take this method; alerts are taken by POST",
        ),
        _ => {
            answer::refuse(StatusCode::NOT_FOUND, "there is nothing at this path; alerts are taken by POST /api/alerts")
        }
    }
}

async fn take_alert(hosted: &Hosted, request: Request) -> Response {
    let app = match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => rooms.app.clone(),
        Err(answer) => return *answer,
    };
    if request.method() == Method::OPTIONS {
        let (head, _) = request.into_parts();
        return alerts::handshake(State(app), head.headers, head.uri).await;
    }
    match alerts::Alert::from_request(request, &app).await {
        Ok(alert) => alerts::receive(State(app), alert).await,
        Err(refusal) => refusal,
    }
}

async fn page(hosted: &Hosted, request: Request) -> Response {
    match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => pages::answer(State(rooms.app.clone()), request).await,
        Err(answer) => *answer,
    }
}

async fn hosted_health(hosted: &Hosted) -> Response {
    match hosted.house.rooms(Duration::ZERO).await {
        Ok(rooms) => health::health(State(rooms.app.clone())).await,
        Err(answer) => *answer,
    }
}

/// The same from a host that does not know how to proxy: the request comes in the payload, and the answer goes into
/// `Outputs.res`. The host turns any other answer than a 2xx into a plain 500, so this always answers 200.
pub(super) async fn in_a_payload(State(hosted): State<Hosted>, Invoked(payload): Invoked) -> Response {
    let mut request = match carried(&payload) {
        Ok(request) => request,
        Err(why) => return unreadable(&why),
    };
    request.extensions_mut().insert(ThroughTheHost);
    let response = proxied(State(hosted), request).await;
    wrapped(response).await
}

/// The request in a payload.
fn carried(payload: &Payload) -> Result<Request, Unreadable> {
    let unexpected = |what| Unreadable::Unexpected { binding: BINDING, what };
    let Value::Object(carried) = payload.opened(BINDING)? else { return Err(unexpected("no request")) };
    let text = |name: &str| carried.get(name).and_then(Value::as_str).unwrap_or_default();
    let url: url::Url = text("Url").parse().map_err(|_| unexpected("a request without an address"))?;
    let uri: Uri = url[url::Position::BeforePath..].parse().map_err(|_| unexpected("a request to an odd address"))?;
    let method: Method = text("Method").parse().map_err(|_| unexpected("a request with an odd method"))?;
    let mut request = Request::builder().method(method).uri(uri);
    for (name, values) in carried.get("Headers").and_then(Value::as_object).into_iter().flatten() {
        // The length is that of the body that came to the host.
        if name.eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str()) || name.eq_ignore_ascii_case("expect") {
            continue;
        }
        let values = match values {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values.iter().filter_map(Value::as_str) {
            request = request.header(name, value);
        }
    }
    let body = match carried.get("Body") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    request.body(Body::from(body)).map_err(|_| unexpected("a request with odd headers"))
}

async fn wrapped(response: Response) -> Response {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_ANSWER).await.unwrap_or_default();
    let is_json =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    let body: Value = match (is_json, std::str::from_utf8(&body)) {
        (true, Ok(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!({})),
        // A page: the host sends a text as it is.
        (false, Ok(text)) if !text.is_empty() => json!(text),
        _ => json!({}),
    };
    let headers = head.headers.iter().filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))));
    let headers: serde_json::Map<String, Value> =
        headers.filter(|(name, _)| name != header::CONTENT_LENGTH.as_str()).collect();
    let res = json!({ "statusCode": head.status.as_u16(), "headers": headers, "body": body });
    answer::json(StatusCode::OK, &json!({ "Outputs": { "res": res }, "Logs": [], "ReturnValue": null }))
}
