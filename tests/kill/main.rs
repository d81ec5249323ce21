//! Kill −9 `keymend serve` at any moment and start it again: same end, no alert lost, no second effect in the cloud.
//!
//! The simulated cloud runs in this process and stays; `serve` is the built binary, a child that is killed and started
//! anew on the same store. Every kill is proven: the child ended by signal 9 while the chosen request was unanswered, and
//! the next process says that it takes up what this one was at.
//!
//! | file | job |
//! |---|---|
//! | `story` | what happens in the cloud, and how it must end |
//! | `stage` | one cloud, one store, one `serve` at a time, until the story is over |
//! | `serve` | the child process |
//! | `requests` | which request, and the trap that stalls it |
//! | `verdict` | what must hold in the end |
//! | `every_request`, `other_moments`, `alone` | the tests |
//! | `campaign` | kills by the thousand, for `scripts/chaos` |
//! | `troubles` | a store that is full, locked or damaged, for `scripts/chaos` |
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod alone;
mod campaign;
mod every_request;
#[allow(dead_code, reason = "shared with tests/chaos")]
#[path = "../chaos/invariants.rs"]
mod invariants;
#[allow(dead_code, reason = "shared with tests/chaos")]
#[path = "../chaos/messages.rs"]
mod messages;
mod other_moments;
mod requests;
#[allow(dead_code, reason = "shared with tests/two_processes.rs")]
mod serve;
mod stage;
#[allow(dead_code, reason = "shared with tests/two_processes.rs")]
mod story;
mod troubles;
mod verdict;
#[allow(dead_code, reason = "shared with tests/chaos")]
#[path = "../chaos/writes.rs"]
mod writes;

use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Says how far a long test has come, where the test runner does not hide it.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{:>5.1} s {line}", BEGAN.elapsed().as_secs_f64());
}
