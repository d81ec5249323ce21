//! What the built binary tells about itself: `/metrics`, traces and metrics to a collector, against a simulated cloud that
//! knows the truth.
//!
//! | file | job |
//! |---|---|
//! | `stage` | one cloud, one `serve`, one story told to its end |
//! | `exposition` | a strict reader of Prometheus text |
//! | `collector` | a collector that takes OTLP over http/protobuf |
//! | `metrics`, `access`, `export`, `hosted`, `documented` | the tests |
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod access;
mod collector;
mod documented;
#[path = "../doors/mod.rs"]
mod doors;
mod export;
mod exposition;
#[allow(dead_code, reason = "shared with tests/handler")]
#[path = "../handler/stage.rs"]
mod handler;
mod hosted;
mod metrics;
#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "../kill/serve.rs"]
mod serve;
mod stage;
#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "../kill/story.rs"]
mod story;
