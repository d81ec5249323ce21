//! What the SQLite store does beyond the conformance suite: when its file, its disk or its process fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod care;
mod child;
mod claim;
mod crowd;
mod damage;
mod disk;
mod killed;
mod locked;
mod opening;

use jiff::Timestamp;
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::{Signal, SignalKind};

/// `seconds` after the test begins.
fn at(seconds: i64) -> Timestamp {
    "2026-03-01T02:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
}

fn server(name: &str) -> ResourceId {
    ResourceId::parse(&format!("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/{name}")).unwrap()
}

/// A loss on a server, with a text of some length.
fn loss(server_name: &str, event_id: &str) -> Signal {
    Signal {
        kind: SignalKind::AccessLost,
        target: server(server_name).child("databases", "orders").unwrap(),
        occurred_at: None,
        caller: None,
        event_id: Some(event_id.to_owned()),
        correlation_id: None,
        window_minutes: None,
        text: Some("The database has lost access to its key. ".repeat(20)),
    }
}
