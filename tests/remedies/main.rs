//! The remedies against the simulated cloud, over real HTTP, through a gate that stops, loses and forges on demand.
#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod batches;
mod changed_meanwhile;
mod conformance;
mod gate;
mod interrupted;
mod lab;
mod once;
mod refused;
mod settings;
