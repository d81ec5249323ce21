//! `poison`: what the queue gave up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::invocation::{Invoked, unreadable};
use super::{Hosted, PATIENCE, payload};
use crate::web::answer;

/// The binding's name in `poison/function.json`.
pub(super) const BINDING: &str = "message";

/// Records the message and tells the team, once. Always a 2xx once that is done: a poison queue has no poison queue, and the
/// host would bring the message back for ever. Before that, it shall.
pub(super) async fn poison(State(hosted): State<Hosted>, Invoked(payload): Invoked) -> Response {
    let text = match payload.text(BINDING) {
        Ok(text) => text,
        Err(why) => return unreadable(&why),
    };
    let rooms = match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => rooms,
        Err(answer) => return *answer,
    };
    let key = payload::doorbell(&payload, BINDING);
    let recorded = match &key {
        Ok(key) => rooms.responder.given_up(key).await,
        Err(why) => rooms.responder.unreadable_message(&text, &why.to_string()).await,
    };
    match recorded {
        Ok(()) => answer::json(StatusCode::OK, &json!({ "recorded": key.as_deref().unwrap_or("unreadable message") })),
        Err(error) => {
            tracing::error!(%error, "a message that was given up could not be recorded; the queue brings it again");
            answer::come_again("it could not be recorded; the log says why")
        }
    }
}
