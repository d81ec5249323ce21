//! Whether the house stands: for monitors, for the Functions host, and for people who look.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::{App, answer, pages};

/// `GET /`: what this is; for a browser, the way to the incidents. Asks nothing of anybody, so that it always answers at once.
pub async fn front(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if pages::accepts(accept, "text/html") {
        return pages::front();
    }
    let body = json!({
        "service": "keymend",
        "version": env!("CARGO_PKG_VERSION"),
        "alerts": "POST /api/alerts",
        "health": "GET /api/health",
        "incidents": "GET /api/incidents",
    });
    answer::json(StatusCode::OK, &body)
}

/// `GET /api/health`: `ok`; `degraded` (200) when something in the settings is broken or jobs were set aside; 503 when
/// nothing can be stored. Says no reason that could hold a name or a path: reasons are in the log.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let (next, poison) = match (app.store.next_due().await, app.store.poison().await) {
        (Ok(next), Ok(poison)) => (next, poison.len()),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "the store does not answer");
            return answer::come_again("the store cannot be used; the log says why");
        }
    };
    let status = if app.faults.is_empty() && poison == 0 { "ok" } else { "degraded" };
    let body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "time": app.clock.now().to_string(),
        "store": "ok",
        "next_job_at": next,
        "jobs_set_aside": poison,
        "faults": &*app.faults,
    });
    answer::json(StatusCode::OK, &body)
}
