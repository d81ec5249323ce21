//! What people are told, and how it reaches them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod cards;
mod delivery;
mod samples;
mod told;
