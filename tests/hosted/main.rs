//! The built binary under the double of the Functions host, on a real Azurite, before the simulated cloud.
//!
//! | file | job |
//! |---|---|
//! | `stage` | a cloud, a container and a queue of its own, and the app with its settings |
//! | `play` | a scenario of the drill, from its first break to its end |
//! | `verdict` | what must hold of every host: no hang, no secret, one record a line |
//! | `stories` | every scenario ends under the host as it does on SQLite |
//! | `storm` | two handlers, hundreds of alerts, kill −9 again and again |
//! | `poison` | what cannot be done: a person is told, and the rest goes on |
//! | `moments` | kills, timeouts and hostile input at the worst moments |
//! | `func` | the same against the real host, where it is installed |
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../azurite/mod.rs"]
mod azurite;
#[path = "../host_double/mod.rs"]
mod host_double;

mod func;
mod moments;
mod play;
mod poison;
mod stage;
mod stories;
mod storm;
mod verdict;

use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Says how far a long test has come, where the test runner does not hide it.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{:>5.1} s {line}", BEGAN.elapsed().as_secs_f64());
}
