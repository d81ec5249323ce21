//! The double of the Functions host, held against the host's rules with a toy handler: a double that would overlook a
//! hang or a fatal exit would prove nothing about the real handler.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../azurite/mod.rs"]
mod azurite;
#[path = "../host_double/mod.rs"]
mod host_double;
mod http;
mod life;
mod queues;
mod toy;
