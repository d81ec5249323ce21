//! What the store in Azure Storage promises beyond the conformance suite, against real Azurite: that a crash between any
//! two requests loses nothing, that processes at once don't undo each other's work, and that the doorbell rings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../azurite/mod.rs"]
mod azurite;
mod claims;
mod crashes;
mod doorbell;
mod hammer;
mod kit;
mod lost_answers;
mod proxy;
mod refusals;
mod signature;
