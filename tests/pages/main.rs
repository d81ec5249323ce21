//! The pages that people read: the real router over real stories of the drill, read by a client, and in a real browser.
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod answers;
mod browser;
mod content;
mod hostile;
mod in_a_browser;
mod opened;
mod pictures;
mod stage;
#[path = "../stepped/mod.rs"]
mod stepped;
