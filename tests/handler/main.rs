//! The built binary as the Azure Functions host starts it: no arguments, a port in the environment, and app settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../doors/mod.rs"]
mod doors;
mod encodings;
mod ending;
mod pages;
mod readiness;
mod refusals;
mod secrets;
mod settings;
mod stage;
#[cfg(feature = "drill")]
mod tokens;
