//! What is not counted where it happens but read from the store now and then: how late the oldest due job is, how many
//! jobs were set aside, how many incidents are open, and what the patrol found that may break next.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::count::phase_name;
use crate::domain::incident::Phase;

/// A reading older than this is not told any more: better none than one that hides an outage.
const FRESH: Duration = Duration::from_secs(150);

/// The phases an open incident can be in.
const OPEN: [Phase; 9] = [
    Phase::AtRisk,
    Phase::Opened,
    Phase::Diagnosed,
    Phase::AwaitingApproval,
    Phase::Mending,
    Phase::Propagating,
    Phase::Revalidating,
    Phase::Verifying,
    Phase::Escalated,
];

static LAST: Mutex<Option<(Instant, Reading)>> = Mutex::new(None);

/// What was read from the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// By how much the oldest due job is late.
    pub queue_age: SignedDuration,
    /// Jobs that were set aside.
    pub set_aside: usize,
    /// The phase of each open incident.
    pub open: Vec<Phase>,
    /// What the patrol found by the rules of the audit, by level; empty before it has judged anything.
    pub findings: BTreeMap<String, u64>,
}

impl Reading {
    /// Of the next job's due time, the jobs set aside, and the open incidents' phases.
    #[must_use]
    pub fn new(next_due: Option<Timestamp>, set_aside: usize, open: Vec<Phase>, now: Timestamp) -> Self {
        let late = next_due.map_or(SignedDuration::ZERO, |due| now.duration_since(due));
        Self { queue_age: late.max(SignedDuration::ZERO), set_aside, open, findings: BTreeMap::new() }
    }

    /// Tells it to whoever reads, from now on and for a while.
    pub fn publish(self) {
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), self));
    }
}

fn last() -> Option<Reading> {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, reading)| reading.clone())
}

/// Makes the gauges.
pub(super) fn open(meter: &Meter) {
    meter
        .f64_observable_gauge("keymend.queue.age")
        .with_unit("s")
        .with_description("By how much the oldest due job is late")
        .with_callback(|to| {
            if let Some(reading) = last() {
                to.observe(reading.queue_age.as_secs_f64(), &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("keymend.jobs.set_aside")
        .with_unit("{job}")
        .with_description("Jobs that failed too often and wait for a person")
        .with_callback(|to| {
            if let Some(reading) = last() {
                to.observe(reading.set_aside as u64, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("keymend.incidents.open")
        .with_unit("{incident}")
        .with_description("Incidents that are open, by phase")
        .with_callback(|to| {
            let Some(reading) = last() else { return };
            for phase in OPEN {
                let count = reading.open.iter().filter(|open| **open == phase).count();
                to.observe(count as u64, &[KeyValue::new("phase", phase_name(phase))]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("keymend.posture.findings")
        .with_unit("{finding}")
        .with_description("What may break next, as `keymend audit` finds it, by level")
        .with_callback(|to| {
            for (level, count) in last().map(|reading| reading.findings).unwrap_or_default() {
                to.observe(count, &[KeyValue::new("level", level)]);
            }
        })
        .build();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_the_future_is_not_late() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let age = |due: Option<i64>| Reading::new(due.map(at), 0, Vec::new(), at(100)).queue_age.as_secs();
        assert_eq!((age(None), age(Some(130)), age(Some(100)), age(Some(40))), (0, 0, 0, 60));
    }
}
