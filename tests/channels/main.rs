//! Every channel against its stand-in, over HTTP: what arrives, what a failure means, what must never happen twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod duplicates;
mod faults;
mod heartbeats;
mod jira;
mod kit;
mod pagers;
#[path = "../notify/samples.rs"]
#[allow(dead_code)]
mod samples;
mod send_test;
mod servicenow;
mod slack;
mod stories;
mod teams_flow;
