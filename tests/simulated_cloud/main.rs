//! The simulated cloud over real HTTP: its time line, its refusals, what it records, and that its answers hold against
//! the published OpenAPI.
#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod breaks;
mod key_vault;
mod listings;
mod permissions;
mod refusals;
mod sim;
mod sky;
mod time_line;
mod typed_calls;
mod wire;
