//! A double of the Azure Functions host, for handlers: it starts the built binary and does to it what the host does.
//!
//! | file | job |
//! |---|---|
//! | `app_root` | the deployed app: `host.json`, function folders, the executable |
//! | `host_json`, `function_json` | what the host reads, and what it refuses |
//! | `host` | the running host, and what was invoked |
//! | `process`, `crashes` | start, readiness, crash counting, kill −9; never a graceful stop |
//! | `lines` | what the handler prints, with the level the host gives it |
//! | `payload`, `invoke`, `outputs` | the payload mode: encodings, judging, outputs |
//! | `front`, `route`, `forward` | HTTP: routes, keys, payload, forwarding and proxying modes |
//! | `queue`, `storage` | queue triggers on a real queue |
//! | `timer`, `event_grid` | the other triggers |
//!
//! What no double can show: how long the host itself takes to start, draining by the platform, where keys are kept,
//! scaling, and the details of its reverse proxy.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod app_root;
pub mod crashes;
pub mod event_grid;
pub mod forward;
pub mod front;
pub mod function_json;
pub mod host;
pub mod host_json;
pub mod invoke;
pub mod lines;
pub mod outputs;
pub mod payload;
pub mod process;
pub mod queue;
pub mod route;
pub mod storage;
pub mod timer;

use std::time::Duration;

pub use host::{Call, Host, Inner};
use host_json::AppSettings;

/// What differs from test to test.
#[derive(Debug, Clone)]
pub struct Options {
    /// The app settings, which the handler inherits.
    pub settings: AppSettings,
    /// How long a queue message is held at a time.
    pub lease: Duration,
    /// How long the load balancer waits for an answer.
    pub answer_limit: Duration,
    /// Whether payloads come without `Content-Length`.
    pub chunked: bool,
    /// When three crashes have stopped the host, the platform starts another at once.
    pub platform_restarts: bool,
    /// The share of queue messages that are delivered twice.
    pub duplicates: Option<f64>,
    /// How often timers fire; `None`: only when the test says so.
    pub timers_every: Option<Duration>,
}

impl Options {
    pub fn new(settings: AppSettings) -> Self {
        Self {
            settings,
            lease: queue::LEASE,
            answer_limit: Duration::from_secs(230),
            chunked: true,
            platform_restarts: false,
            duplicates: None,
            timers_every: None,
        }
    }
}
