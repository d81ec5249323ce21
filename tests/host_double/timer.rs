//! Timer triggers. The double fires when it is told to, in every shape in which Azure does.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::payload;

/// What a timer's payload says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// As planned.
    OnTime,
    /// The host was away when it was due.
    PastDue,
    /// The first of a new app: the last one was in the year 1.
    First,
    /// Nobody keeps its status (`useMonitor` is off).
    Unmonitored,
}

/// The payload.
pub fn payload(function: &str, binding: &str, tick: Tick, now: Timestamp) -> Value {
    let last = if tick == Tick::First { json!("0001-01-01T00:00:00") } else { payload::date(now) };
    let status = match tick {
        Tick::Unmonitored => Value::Null,
        _ => json!({ "Last": last, "Next": payload::date(now), "LastUpdated": last }),
    };
    json!({
        "Data": { binding: {
            "Schedule": { "AdjustForDST": true },
            "ScheduleStatus": status,
            "IsPastDue": tick == Tick::PastDue,
        } },
        "Metadata": { "sys": payload::sys(function, now) },
    })
}
