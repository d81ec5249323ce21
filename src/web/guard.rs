//! What every request passes through: a limit on the crowd, a limit on time, a net for panics, the headers of every answer,
//! and one line in the log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::{Limits, answer};

/// The limits, and who is inside.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub limits: Limits,
    pub crowd: Arc<Semaphore>,
}

/// Runs the request inside the limits. It works on even if the caller hangs up, so that what was told is kept.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (method, path, started) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
    let mut response = run(&guard, request, next).await;
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
    let work = async move {
        let _inside = permit;
        next.run(request).await
    };
    let work = tokio::spawn(work.in_current_span());
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
