//! `keymend doctor`, the built binary, against the simulated cloud.
#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod alerts;
mod clinic;
mod conformance;
mod garbled;
mod rights;
mod surroundings;
mod table;
