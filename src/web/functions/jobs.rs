//! `jobs`: a queue message rings for one job.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::invocation::{Invoked, unreadable};
use super::{Hosted, PATIENCE, payload};
use crate::responder::worker::Called;
use crate::web::answer;

/// The binding's name in `jobs/function.json`.
pub(super) const BINDING: &str = "job";

/// Does the job that is rung for, and settles it in the store. A job that fails is tried again by the store's own call; the
/// host tries again only what could not even be settled, or could not be read.
pub(super) async fn jobs(State(hosted): State<Hosted>, Invoked(payload): Invoked) -> Response {
    let key = match payload::doorbell(&payload, BINDING) {
        Ok(key) => key,
        Err(why) => return unreadable(&why),
    };
    let rooms = match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => rooms,
        Err(answer) => return *answer,
    };
    match rooms.responder.called_for(&key, &rooms.opening).await {
        Ok(called) => {
            tracing::debug!(job = key, ?called, "answered a call");
            let became = match called {
                Called::Done => "done",
                Called::PutBack => "failed, and tried again later",
                Called::TooEarly => "not due yet, or being done; called for again then",
                Called::SetAside => "set aside",
                Called::Gone => "done before",
            };
            answer::json(StatusCode::OK, &json!({ "job": became }))
        }
        Err(error) => {
            tracing::error!(job = key, %error, "the store could not be asked for the job");
            answer::come_again("the store cannot be used; the log says why")
        }
    }
}
