//! `keymend diagnose` and `keymend audit` as they are called, and the warnings of expiry, against the simulated cloud.
#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod diagnose;
mod stage;
mod warnings;
