//! What every call of the host passes through.

use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::Method;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use super::paths::{ALERTS, called};
use super::payload::Payload;
use super::{Hosted, LONGEST_PAYLOAD, marks};
use crate::telemetry::{count, parent};
use crate::web::answer;
pub use crate::web::listener::Peer;

/// By when each function answers, in real time. All are below host.json's `functionTimeout` (10 min), at which the host kills
/// the handler with everything that is running in it; that of `jobs` is below the time for which a job is held (2 min).
fn deadline(function: &str) -> Duration {
    Duration::from_secs(match function {
        "jobs" => 115,
        "patrol" => 240,
        "alerts" | "pages" | "answers" => 20,
        _ => 60,
    })
}

/// Lets the host alone call functions, each within its time, and outlives their panics.
pub(super) async fn internal(
    State(hosted): State<Hosted>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let function = request.uri().path().trim_start_matches('/').to_owned();
    let id = match marks::internal(peer, hosted.port, request.method(), request.headers()) {
        Ok(id) => id,
        Err(stranger) => return refuse(&function, stranger),
    };
    let span = span(&function, id);
    parent::adopt(&span, request.headers());
    run(&function, next.run(request)).instrument(span).await
}

/// The span of an invocation: its id stands on every line and is what the host's own records name.
fn span(function: &str, id: Uuid) -> Span {
    tracing::info_span!(
        "invocation",
        function,
        invocation = %id,
        otel.name = function,
        otel.kind = "server",
        http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// A function's route, as a label.
fn route(function: &str) -> &'static str {
    match function {
        "jobs" => "/jobs",
        "poison" => "/poison",
        "patrol" => "/patrol",
        "events" => "/events",
        "alerts" => "/alerts",
        "pages" => "/pages",
        "answers" => "/answers",
        _ => "other",
    }
}

async fn run(function: &str, work: impl Future<Output = Response> + Send + 'static) -> Response {
    let started = Instant::now();
    // On a task of its own it is finished even if the host hangs up, and a panic ends it alone.
    let task = tokio::spawn(work.in_current_span());
    let abort = task.abort_handle();
    let mut response = match tokio::time::timeout(deadline(function), task).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(panicked = error.is_panic(), "the function failed inside");
            answer::come_again("something failed inside; the log says more")
        }
        Err(_) => {
            abort.abort();
            tracing::error!("the function took too long and was given up");
            answer::come_again("it took too long")
        }
    };
    answer::secure(response.headers_mut());
    let (status, took) = (response.status().as_u16(), started.elapsed());
    let ms = took.as_millis();
    count::http("POST", route(function), status, took);
    Span::current().record("http.response.status_code", status);
    if !response.status().is_success() {
        Span::current().record("otel.status_code", "ERROR");
    }
    if response.status().is_success() {
        tracing::info!(status, ms, "done");
    } else {
        tracing::warn!(status, ms, "the function answered that it failed");
    }
    response
}

/// Names the invocation that the host proxied. Whether it needs one is for the route to say: `GET /api/health` needs none.
pub(super) async fn proxied(ConnectInfo(Peer(peer)): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    match marks::proxied(peer, request.headers()) {
        Ok(id) => {
            request.extensions_mut().insert(ThroughTheHost);
            let function = match called(request.uri().path()).as_str() {
                ALERTS => "alerts",
                _ if request.method() == Method::POST => "answers",
                _ => "pages",
            };
            let span = span(function, id);
            parent::adopt(&span, request.headers());
            next.run(request).instrument(span).await
        }
        Err(_) => next.run(request).await,
    }
}

/// The mark of a request for which the host checked the key of its function.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThroughTheHost;

/// 403 for whoever is not the host.
pub(super) fn refuse(function: &str, stranger: marks::Stranger) -> Response {
    tracing::warn!(?function, why = %stranger, "a call was refused: it did not come from the Functions host");
    let why = format!("only the Functions host may call this, and {stranger}");
    let mut response = answer::refuse(StatusCode::FORBIDDEN, &why);
    answer::secure(response.headers_mut());
    response
}

/// The data of an invocation, read. A body that cannot be read is refused at once, so that the host counts the try.
pub(super) struct Invoked(pub Payload);

impl<S: Send + Sync> FromRequest<S> for Invoked {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        let body = to_bytes(request.into_body(), LONGEST_PAYLOAD).await;
        let body =
            body.map_err(|_| answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, "the payload is too long or broken"))?;
        Payload::read(&body).map(Self).map_err(|why| unreadable(&why))
    }
}

/// 400 for a payload that cannot be read.
pub(super) fn unreadable(why: &super::payload::Unreadable) -> Response {
    tracing::error!(%why, "an invocation could not be read");
    answer::refuse(StatusCode::BAD_REQUEST, &why.to_string())
}
