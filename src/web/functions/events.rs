//! `events`: Event Grid, through the host, which proves to Event Grid itself that its events are wanted.

use axum::extract::State;
use axum::response::Response;

use super::invocation::{Invoked, unreadable};
use super::{Hosted, PATIENCE};
use crate::web::alerts;

/// The binding's name in `events/function.json`.
pub(super) const BINDING: &str = "event";

/// Stores what the event or events tell. Any answer but a 2xx makes Event Grid deliver them again.
pub(super) async fn events(State(hosted): State<Hosted>, Invoked(payload): Invoked) -> Response {
    let event = match payload.opened(BINDING) {
        Ok(event) => event,
        Err(why) => return unreadable(&why),
    };
    match hosted.house.rooms(PATIENCE).await {
        Ok(rooms) => alerts::take(&rooms.app, event.to_string().as_bytes()).await,
        Err(answer) => *answer,
    }
}
