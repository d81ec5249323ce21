//! The doors for HTTP: alerts come in, the state of the house goes out.
//!
//! | file | job |
//! |---|---|
//! | [`alerts`] | `POST /api/alerts`: from a body to stored signals |
//! | [`callers`] | who may call: by the webhook secret, by a token of Entra |
//! | [`concern`] | whether a signal's target is any of our business |
//! | [`functions`] | the same doors, and those of the other functions, under the Azure Functions host |
//! | `guard` | every request: time limit, crowd limit, panics, headers, one log line |
//! | [`health`] | `GET /` and `GET /api/health` |
//! | [`pages`] | what people read: the list of incidents, and one incident |
//! | [`metrics`] | `GET /metrics`, for `keymend serve` |
//! | [`listener`] | connections: how many, and how long a silent one is kept |
//!
//! Azure Monitor retries only 408, 429, 503 and 504, a few times within 75 seconds, and then calls the endpoint no more for
//! 15 minutes (Microsoft, "Action groups"). So whatever goes wrong on our side is a 503 with `Retry-After`, never a 500.

pub mod alerts;
pub mod answer;
pub mod callers;
pub mod concern;
pub mod functions;
mod guard;
pub mod health;
pub mod listener;
mod local;
pub mod metrics;
pub mod pages;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

pub use callers::Callers;
pub use listener::{Doorway, Peer};

use crate::clock::Clock;
use crate::domain::policy::Scope;
use crate::ids::Ids;
use crate::responder::Wake;
use crate::store::Store;
use crate::telemetry::Page;

/// How much a caller may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes. Azure's own limit on an alert is 256 KB.
    pub max_body_bytes: usize,
    /// The whole body must have come within this time.
    pub body_within: Duration,
    /// Every answer is given within this time. Azure waits 10 seconds by the older documentation.
    pub answer_within: Duration,
    /// Requests worked on at the same time.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            body_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(8),
            at_once: 512,
        }
    }
}

/// What the doors need to know. Every request holds it.
#[derive(Debug, Clone)]
pub struct App {
    /// Where signals are kept.
    pub store: Arc<dyn Store>,
    /// What is our business.
    pub scope: Arc<Scope>,
    /// Who may call.
    pub callers: Callers,
    /// The time.
    pub clock: Clock,
    /// Wakes the responder when signals were stored.
    pub wake: Wake,
    /// How much a caller may ask.
    pub limits: Limits,
    /// What is wrong with the settings though the house runs, for the health page. No secrets.
    pub faults: Arc<[String]>,
    /// Who may see the pages, and what they know of the house.
    pub pages: pages::Site,
}

/// All routes.
pub fn router(app: App) -> Router {
    build(app, None)
}

/// All routes, and `GET /metrics`. To be served with the callers' addresses
/// (`into_make_service_with_connect_info::<Peer>()`).
pub fn router_with_metrics(app: App, page: Page) -> Router {
    build(app, Some(page))
}

fn build(app: App, page: Option<Page>) -> Router {
    let app = Arc::new(app);
    let crowd = Arc::new(Semaphore::new(app.limits.at_once));
    let guard = guard::Guard { limits: app.limits, crowd, ids: Ids::random() };
    let metrics = page.map_or_else(Router::new, |page| {
        Router::new().route("/metrics", get(metrics::metrics)).with_state((app.clone(), page))
    });
    Router::new()
        .route("/", get(health::front))
        .route("/api/health", get(health::health))
        .route("/api/alerts", post(alerts::receive).options(alerts::handshake))
        .merge(pages::router())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
        .merge(metrics)
        .layer(middleware::from_fn_with_state(guard, guard::guard))
}

async fn nothing_here() -> Response {
    answer::refuse(StatusCode::NOT_FOUND, "there is nothing at this path; alerts are taken by POST /api/alerts")
}

async fn wrong_method() -> Response {
    answer::refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method; alerts are taken by POST /api/alerts",
    )
}
