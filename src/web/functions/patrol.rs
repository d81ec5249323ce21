//! `patrol`: the timer. Every part may be done at any time, by several at once, and again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::invocation::Invoked;
use super::{Hosted, PATIENCE};
use crate::telemetry::count;
use crate::web::{answer, metrics};

/// The binding's name in `patrol/function.json`. What it holds is not needed: the store knows what is due.
pub(super) const BINDING: &str = "timer";

/// Does what nobody rings for.
pub(super) async fn patrol(State(hosted): State<Hosted>, Invoked(_timer): Invoked) -> Response {
    let rooms = match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => rooms,
        Err(answer) => return *answer,
    };
    let mut round = rooms.responder.keep_house().await;
    let seen = match rooms.patrol.round_if_due().await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::error!(%error, "the patrol cannot use the store; it is tried again in a minute");
            round.failed.push("the patrol");
            None
        }
    };
    if count::is_read() {
        metrics::read_store(&*rooms.app.store, &rooms.app.clock).await;
    }
    let body = json!({
        "saves_completed": round.swept.completed,
        "jobs_called_for": round.swept.called,
        "told_of_set_aside": round.told,
        "failed": round.failed,
        "patrol": seen.map(|seen| json!({
            "servers": seen.servers,
            "vaults": seen.vaults,
            "requests": seen.requests,
            "found": seen.found,
            "resumed": seen.resumed,
            "unread": seen.unread.len(),
        })),
    });
    if round.failed.is_empty() {
        answer::json(StatusCode::OK, &body)
    } else {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}
