//! `POST /api/alerts`: from a body to stored signals. The body is only a doorbell: what it says decides where to look.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::json;

use super::callers::{Admitted, BadSecret, BadToken, Refusal};
use super::concern::concerns;
use super::{App, Limits, answer};
use crate::domain::signal::{self, Reading, Signal};
use crate::store::Accepted;
use crate::telemetry::count;

/// How much of a body that is refused unread is taken off the wire, so that the caller can finish and hear why.
const DRAINED: usize = 8 * 1024 * 1024;
/// How long that may take.
const DRAINED_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The alert of a caller who was let in, read. Nothing else can make one.
#[derive(Debug)]
pub struct Alert(Told);

#[derive(Debug)]
enum Told {
    Reading(Reading),
    /// Event Grid asks whether we want its events.
    Handshake(String),
}

impl FromRequest<Arc<App>> for Alert {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        if let Err(refusal) = admit(app, &head.headers, &head.uri).await {
            drain(&head.headers, body).await;
            return Err(*refusal);
        }
        let body = read_body(body, &app.limits).await.map_err(|refusal| *refusal)?;
        if let Some(code) = signal::validation_code(&body) {
            return Ok(Self(Told::Handshake(code)));
        }
        Ok(Self(Told::Reading(signal::read(&body))))
    }
}

/// Takes a body that the Functions host let in: as [`receive`] does.
pub(super) async fn take(app: &Arc<App>, body: &[u8]) -> Response {
    receive(State(Arc::clone(app)), Alert(Told::Reading(signal::read(body)))).await
}

/// Takes an alert. 202 once its signals are durable, 200 if it is not for us.
pub async fn receive(State(app): State<Arc<App>>, Alert(told): Alert) -> Response {
    match told {
        Told::Handshake(code) => {
            tracing::info!("Event Grid asked whether its events are wanted; answered yes");
            answer::json(StatusCode::OK, &json!({ "validationResponse": code }))
        }
        Told::Reading(Reading::Signals(signals)) => keep(&app, signals).await,
        Told::Reading(Reading::Ignored(reason)) => {
            count::body_ignored();
            ignore(&reason)
        }
        Told::Reading(Reading::Malformed(why)) => {
            count::body_malformed();
            tracing::warn!(?why, "an alert could not be read");
            answer::refuse(StatusCode::BAD_REQUEST, &format!("the alert could not be read: {why}"))
        }
    }
}

async fn keep(app: &App, signals: Vec<Signal>) -> Response {
    let _working = app.clock.busy();
    let told = signals.len();
    let (ours, others): (Vec<Signal>, Vec<Signal>) =
        signals.into_iter().partition(|signal| concerns(&app.scope, &signal.target));
    others.iter().for_each(|signal| count::signal_out_of_scope(signal.kind));
    if ours.is_empty() {
        return ignore("out of scope");
    }
    match app.store.accept(&ours, app.clock.now()).await {
        Ok(accepted) => {
            app.wake.now(&app.clock);
            count::signals_taken(ours.iter().map(|signal| signal.kind), accepted.new, accepted.repeated);
            say_stored(accepted, &ours, app.clock.now());
            let mut body = json!({ "accepted": accepted.new, "repeated": accepted.repeated });
            if ours.len() < told {
                body["out_of_scope"] = json!(told - ours.len());
            }
            answer::json(StatusCode::ACCEPTED, &body)
        }
        Err(error) => {
            tracing::error!(%error, signals = ours.len(), "an alert could not be stored; the caller was asked to try again");
            answer::come_again("the alert could not be stored; try again")
        }
    }
}

/// Alerts of one second that are told of in the log one by one.
const TOLD_ONE_BY_ONE: u32 = 20;

/// One line in the log for each alert, but in a storm: there the look at what was stored says how many there were.
fn say_stored(accepted: Accepted, ours: &[Signal], now: Timestamp) {
    static SECOND: Mutex<(i64, u32)> = Mutex::new((0, 0));
    let many = {
        let mut second = SECOND.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0 != now.as_second() {
            *second = (now.as_second(), 0);
        }
        second.1 = second.1.saturating_add(1);
        second.1 > TOLD_ONE_BY_ONE
    };
    let Accepted { new, repeated } = accepted;
    if many {
        tracing::debug!(new, repeated, told = %in_short(ours), "an alert was stored");
    } else {
        tracing::info!(new, repeated, told = %in_short(ours), "an alert was stored");
    }
}

/// The first signals, for the log.
fn in_short(signals: &[Signal]) -> String {
    let few = signals.iter().take(3).map(|signal| format!("{} {}", signal.kind.name(), signal.target));
    few.collect::<Vec<_>>().join(", ")
}

fn ignore(reason: &str) -> Response {
    tracing::info!(?reason, "an alert was ignored");
    answer::json(StatusCode::OK, &json!({ "ignored": reason }))
}

/// `OPTIONS /api/alerts`: the CloudEvents way of asking whether events are wanted (CloudEvents, "HTTP 1.1 Web Hooks", 4).
pub async fn handshake(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Response {
    if let Err(refusal) = check_caller(&app, &headers, &uri).await {
        return *refusal;
    }
    let mut response = answer::json(StatusCode::OK, &json!({ "alerts": "POST /api/alerts" }));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    if let Some(origin) = headers.get("webhook-request-origin") {
        response.headers_mut().insert("webhook-allowed-origin", origin.clone());
        response.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    }
    response
}

/// Everything that can be told from the head: size, type, caller.
async fn admit(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), Box<Response>> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > app.limits.max_body_bytes as u64) {
        return Err(Box::new(too_large(&app.limits)));
    }
    if !is_json(headers) {
        let why = "send JSON: Content-Type application/json, application/cloudevents+json or application/cloudevents-batch+json, not compressed";
        return Err(Box::new(answer::refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)));
    }
    check_caller(app, headers, uri).await
}

async fn check_caller(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), Box<Response>> {
    // Keys may have to be read, and no clock may run away meanwhile.
    let _working = app.clock.busy();
    match app.callers.admit(headers, uri, app.clock.now()).await {
        Ok(Admitted::BySecret) => Ok(()),
        Ok(Admitted::As(caller)) => {
            tracing::debug!(caller, "a caller was let in by its token");
            Ok(())
        }
        Err(refusal) => {
            tracing::warn!(?refusal, "a caller was turned away");
            Err(Box::new(turn_away(refusal)))
        }
    }
}

/// 401 and 403 are for good: neither Action Groups nor Event Grid try again after them. What we cannot tell now is 503, after
/// which both do.
fn turn_away(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Secret(BadSecret::Missing) => challenge(
            "the webhook secret is missing: add ?code=SECRET to the address, or send the header x-functions-key",
            "Key realm=\"keymend\"",
        ),
        Refusal::Secret(BadSecret::Wrong) => answer::refuse(StatusCode::FORBIDDEN, "the webhook secret is wrong"),
        Refusal::NoToken => challenge(
            "a token of Entra is missing: make the receiver a secure webhook, which sends Authorization: Bearer",
            "Bearer realm=\"keymend\"",
        ),
        Refusal::Token(why @ BadToken::CannotTell) => {
            answer::come_again(&format!("the token was not checked: {why}; try again"))
        }
        Refusal::Token(why @ (BadToken::Application | BadToken::Role | BadToken::Delegated)) => {
            answer::refuse(StatusCode::FORBIDDEN, &format!("the token may not call: {why}"))
        }
        Refusal::Token(why) => {
            challenge(&format!("the token is not good: {why}"), "Bearer realm=\"keymend\", error=\"invalid_token\"")
        }
    }
}

fn challenge(why: &str, challenge: &'static str) -> Response {
    let mut response = answer::refuse(StatusCode::UNAUTHORIZED, why);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// Whether the type promises JSON. A missing type is let through: a refused alert is lost, and the parser will tell.
fn is_json(headers: &HeaderMap) -> bool {
    let encoded =
        headers.get(header::CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return !encoded };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "text/json"
        || essence.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"));
    json && !encoded
}

fn too_large(limits: &Limits) -> Response {
    let why = format!("the body is longer than {} bytes", limits.max_body_bytes);
    answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, &why)
}

/// The whole body, within the limits of size and time, whether its length was announced or not.
async fn read_body(body: Body, limits: &Limits) -> Result<Bytes, Box<Response>> {
    let mut stream = body.into_data_stream();
    let collect = async {
        let mut whole = Vec::new();
        while let Some(chunk) = stream.next().await {
            let too_early = |_| Box::new(answer::refuse(StatusCode::BAD_REQUEST, "the body ended too early"));
            let chunk = chunk.map_err(too_early)?;
            if whole.len() + chunk.len() > limits.max_body_bytes {
                return Err(Box::new(too_large(limits)));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(whole))
    };
    let slow = || Box::new(answer::refuse(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"));
    let read = tokio::time::timeout(limits.body_within, collect).await.unwrap_or_else(|_| Err(slow()));
    if read.is_err() {
        take_off_the_wire(stream).await;
    }
    read
}

/// Takes a refused body off the wire, within reason: a caller that is still writing may otherwise see a reset connection
/// instead of the answer. One that waits for `100 Continue` has sent nothing yet.
async fn drain(headers: &HeaderMap, body: Body) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    take_off_the_wire(body.into_data_stream()).await;
}

async fn take_off_the_wire(mut stream: BodyDataStream) {
    let rest = async {
        let mut taken = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            taken += chunk.len();
            if taken > DRAINED {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DRAINED_WITHIN, rest).await;
}
