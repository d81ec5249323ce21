//! The functions of the app, as the Azure Functions host calls them.
//!
//! | file | job |
//! |---|---|
//! | [`payload`] | what the host sends: nested, encoded once or twice |
//! | [`marks`] | whether it was the host who called |
//! | [`rooms`] | what the functions work with, opened after the port is bound |
//! | `invocation` | every call: marks, deadline, panics, one span and one line in the log |
//! | `jobs`, `poison`, `patrol`, `events` | one function each |
//! | `http` | the HTTP functions, proxied, or in a payload from a host that does not know how to proxy |
//!
//! The host's rules (Azure/azure-functions-host): a 2xx without a body hangs the invocation until the host kills the handler, a
//! redirect is followed, and of any other answer than a 2xx the body is thrown away. So every answer here is JSON, is never
//! empty and never redirects, and the reason of a failure is in the log.

mod events;
mod http;
mod invocation;
mod jobs;
pub mod marks;
mod paths;
mod patrol;
pub mod payload;
mod poison;
pub mod rooms;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{any, get};
use tokio::sync::Semaphore;

pub use invocation::Peer;
pub use rooms::{House, Keeper, Rooms, Standing};

use super::{Limits, answer, guard, health};
use crate::ids::Ids;

/// What the functions know from the start.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// The port that the host calls.
    pub port: u16,
    /// The rooms, when they are open.
    pub house: House,
    /// How much a caller of the HTTP functions may ask.
    pub limits: Limits,
}

/// A function as the host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name: that of its folder beside host.json, and its path here.
    pub name: &'static str,
    /// The name of its trigger's binding.
    pub binding: &'static str,
}

/// All functions. Each has a folder with a `function.json`, and a route here.
pub const FUNCTIONS: [Function; 7] = [
    Function { name: "alerts", binding: http::BINDING },
    Function { name: "pages", binding: http::BINDING },
    Function { name: "answers", binding: http::BINDING },
    Function { name: "jobs", binding: jobs::BINDING },
    Function { name: "poison", binding: poison::BINDING },
    Function { name: "patrol", binding: patrol::BINDING },
    Function { name: "events", binding: events::BINDING },
];

/// How long a caller waits for rooms that are being opened, at most; the host's caller of an HTTP function is waiting, too.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest payload, in bytes. A queue message has 64 KiB at most and an event 1 MB; the host encodes it twice and repeats
/// its properties.
const LONGEST_PAYLOAD: usize = 16 * 1024 * 1024;

/// All routes of the handler.
pub fn router(hosted: Hosted) -> Router {
    let crowd = Arc::new(Semaphore::new(hosted.limits.at_once));
    let guard = guard::Guard { limits: hosted.limits, crowd, ids: Ids::random() };
    let internal = Router::new()
        .route("/jobs", any(jobs::jobs))
        .route("/poison", any(poison::poison))
        .route("/patrol", any(patrol::patrol))
        .route("/events", any(events::events))
        .route("/alerts", any(http::in_a_payload))
        .route("/pages", any(http::in_a_payload))
        .route("/answers", any(http::in_a_payload))
        .route_layer(middleware::from_fn_with_state(hosted.clone(), invocation::internal));
    let proxied = Router::new()
        .route("/api", any(http::proxied))
        .route("/api/{*page}", any(http::proxied))
        .route_layer(middleware::from_fn_with_state(guard, guard::guard))
        .route_layer(middleware::from_fn_with_state(hosted.clone(), invocation::proxied));
    Router::new()
        .route("/", get(health::front))
        .merge(internal)
        .merge(proxied)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(hosted)
}

async fn nothing_here() -> Response {
    answer::refuse(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn wrong_method() -> Response {
    answer::refuse(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
}
