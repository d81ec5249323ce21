//! What every request passes through: a limit on the crowd, a limit on time, a net for panics, the headers of every answer,
//! and one line in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tracing::{Instrument, Span, field};

use super::{Limits, answer, pages};
use crate::ids::Ids;
use crate::telemetry::{count, parent};

/// The limits, and who is inside.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub limits: Limits,
    pub crowd: Arc<Semaphore>,
    /// Names requests.
    pub ids: Ids,
}

/// Runs the request inside the limits. It works on even if the caller hangs up, so that what was told is kept.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let about = About::of(&request);
    let span = match Span::current() {
        none if none.is_none() => {
            let span = about.span(&guard.ids);
            parent::adopt(&span, request.headers());
            span
        }
        // An invocation of the Functions host, which has its own name.
        invocation => invocation,
    };
    let started = Instant::now();
    let response = within(&guard, request, next).instrument(span.clone()).await;
    about.answered(&span, response.status().as_u16(), started.elapsed());
    response
}

/// What a request is, in words of ours: a caller's own words make no labels.
struct About {
    method: &'static str,
    route: &'static str,
}

impl About {
    fn of(request: &Request) -> Self {
        let method = match *request.method() {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::OPTIONS => "OPTIONS",
            Method::HEAD => "HEAD",
            _ => "_OTHER",
        };
        let route = match request.uri().path() {
            path if pages::is_page(path) => "/api/incidents",
            "/" => "/",
            "/api/alerts" => "/api/alerts",
            "/api/health" => "/api/health",
            "/metrics" => "/metrics",
            _ => "other",
        };
        Self { method, route }
    }

    /// Its span, with an id by which its lines in the log are found.
    fn span(&self, ids: &Ids) -> Span {
        let id = ids.uuid().simple().to_string();
        tracing::info_span!(
            "request",
            id = &id[..12],
            otel.name = format!("{} {}", self.method, self.route),
            otel.kind = "server",
            http.request.method = self.method,
            http.route = self.route,
            http.response.status_code = field::Empty,
            otel.status_code = field::Empty,
        )
    }

    fn answered(&self, span: &Span, status: u16, took: Duration) {
        count::http(self.method, self.route, status, took);
        span.record("http.response.status_code", status);
        if status >= 500 {
            span.record("otel.status_code", "ERROR");
        }
    }
}

async fn within(guard: &Guard, request: Request, next: Next) -> Response {
    let (method, path, started) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
    let mut response = run(guard, request, next).await;
    answer::secure(response.headers_mut());
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis());
    // The query may hold the secret and is left out; the path is the caller's text and is escaped.
    if status >= 500 {
        tracing::warn!(%method, ?path, status, ms, "answered");
    } else {
        tracing::debug!(%method, ?path, status, ms, "answered");
    }
    response
}

async fn run(guard: &Guard, request: Request, next: Next) -> Response {
    let Ok(permit) = Arc::clone(&guard.crowd).try_acquire_owned() else {
        return answer::come_again("too many requests at once; try again");
    };
    let inside = async move {
        let _inside = permit;
        next.run(request).await
    };
    let work = tokio::spawn(inside.in_current_span());
    let abort = work.abort_handle();
    match tokio::time::timeout(guard.limits.answer_within, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(panicked = error.is_panic(), "a request failed inside; the caller was asked to try again");
            answer::come_again("something failed inside; try again")
        }
        Err(_) => {
            abort.abort();
            answer::come_again("it took too long; try again")
        }
    }
}
