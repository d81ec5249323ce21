//! A store whose calls are timed, and the reading that is taken of a store now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Accepted, Handout, LeasedJob, NewJob, POSTURE, Pruned, Result, SignalRef, Store, StoreError, Swept, Version,
};
use crate::clock::add;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;
use crate::telemetry::count;
use crate::telemetry::readings::Reading;

/// So many open incidents are counted by phase; more would cost the store more than the number is worth.
const MOST_OPEN: usize = 1_000;

/// The patrol judges each vault once a day: what was judged longer ago is of a vault that nothing depends on any more.
const JUDGED_LATELY: SignedDuration = SignedDuration::from_hours(49);

/// Reads how late the queue is, what was set aside and what is open. `now` is by the responder's clock.
///
/// # Errors
/// As the store's.
pub async fn take_reading(store: &dyn Store, now: Timestamp) -> Result<Reading> {
    let (next, set_aside) = (store.next_due().await?, store.poison().await?.len());
    let open = store.incidents(true, MOST_OPEN).await?;
    let reading = Reading::new(next, set_aside, open.iter().map(|incident| incident.phase).collect(), now);
    Ok(Reading { findings: findings(&store.facts(POSTURE).await?, now), ..reading })
}

/// How much the patrol has found of each level, over all vaults that it still looks at.
fn findings(facts: &[(String, Value, Timestamp)], now: Timestamp) -> BTreeMap<String, u64> {
    let mut findings = BTreeMap::new();
    for (_, value, _) in facts.iter().filter(|(.., judged)| *judged > add(now, -JUDGED_LATELY)) {
        for (level, count) in value["found"].as_object().into_iter().flatten() {
            *findings.entry(level.clone()).or_default() += count.as_u64().unwrap_or_default();
        }
    }
    findings
}

/// Times every call of the store within.
#[derive(Debug)]
pub struct Measured(Arc<dyn Store>);

impl Measured {
    /// `store`, timed if somebody reads the times.
    #[must_use]
    pub fn over(store: Arc<dyn Store>) -> Arc<dyn Store> {
        if count::is_read() { Arc::new(Self(store)) } else { store }
    }
}

async fn timed<T>(call: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    let result = work.await;
    let error = result.as_ref().err().map(|error| match error {
        StoreError::Conflict => "conflict",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Unreadable { .. } => "unreadable",
    });
    count::store(call, started.elapsed(), error);
    result
}

#[async_trait]
impl Store for Measured {
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted> {
        timed("accept", self.0.accept(signals, now)).await
    }

    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        timed("untaken_signals", self.0.untaken_signals(subject)).await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        timed("incident", self.0.incident(id)).await
    }

    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        timed("open_incident", self.0.open_incident(key)).await
    }

    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        timed("incidents", self.0.incidents(open_only, limit)).await
    }

    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        timed("save", self.0.save(incident, expected, jobs, taken, now)).await
    }

    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()> {
        timed("dismiss", self.0.dismiss(taken, now)).await
    }

    async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        timed("enqueue", self.0.enqueue(job, now)).await
    }

    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        timed("lease", self.0.lease(now, length)).await
    }

    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        timed("lease_by_key", self.0.lease_by_key(key, now, length)).await
    }

    async fn call_again(&self, key: &str, at: Timestamp, now: Timestamp) -> Result<()> {
        timed("call_again", self.0.call_again(key, at, now)).await
    }

    async fn complete(&self, job: &LeasedJob, now: Timestamp) -> Result<()> {
        timed("complete", self.0.complete(job, now)).await
    }

    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        timed("retry", self.0.retry(job, due, error)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        timed("next_due", self.0.next_due()).await
    }

    async fn knows_job(&self, key: &str) -> Result<bool> {
        timed("knows_job", self.0.knows_job(key)).await
    }

    async fn poison(&self) -> Result<Vec<(String, String)>> {
        timed("poison", self.0.poison()).await
    }

    async fn set_aside(&self, key: &str, error: &str, now: Timestamp) -> Result<bool> {
        timed("set_aside", self.0.set_aside(key, error, now)).await
    }

    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        timed("poison_retry", self.0.poison_retry(key, now)).await
    }

    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
        timed("keep_fact", self.0.keep_fact(kind, key, value, now)).await
    }

    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
        timed("fact", self.0.fact(kind, key)).await
    }

    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        timed("facts", self.0.facts(kind)).await
    }

    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned> {
        timed("prune", self.0.prune(incidents_before, now)).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        timed("sweep", self.0.sweep(now)).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A call of the trait that has a body of its own and is not passed on would be lost without a word.
    #[test]
    fn every_call_is_passed_on() {
        let calls = |text: &'static str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix("    async fn "));
            lines.map(|line| line.split('(').next().unwrap_or(line)).collect::<BTreeSet<_>>()
        };
        assert_eq!(calls(include_str!("measured.rs")), calls(include_str!("mod.rs")));
    }
}
