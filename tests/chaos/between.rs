//! What stands between the responder and its store: a store that fails at one call, or one that is wrong in a way that no
//! store should be (the planted bugs).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::Signal;
use keymend::store::{
    Accepted, Handout, LeasedJob, NewJob, Pruned, Result, SignalRef, Store, StoreError, Swept, Version, Work,
};
use serde_json::Value;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing: the calls are counted.
    Nothing,
    /// The `nth` call of that name fails, and those after it, `times` in all; with `after`, only its answer is lost.
    Fails { call: &'static str, nth: u32, times: u32, after: bool },
    /// Alerts are acknowledged and not stored.
    DropsSignals,
    /// Every third message to a channel is never sent.
    LosesMessages,
    /// Nobody comes back to an incident.
    LosesPasses,
}

#[derive(Debug)]
pub struct Between {
    inner: Arc<dyn Store>,
    wrong: Wrong,
    counts: Mutex<BTreeMap<&'static str, u32>>,
    told: Mutex<u32>,
    pub hits: Mutex<u32>,
}

impl Between {
    pub fn new(inner: Arc<dyn Store>, wrong: Wrong) -> Self {
        Self { inner, wrong, counts: Mutex::default(), told: Mutex::default(), hits: Mutex::default() }
    }

    /// How often each call was made.
    pub fn counts(&self) -> BTreeMap<&'static str, u32> {
        self.counts.lock().unwrap().clone()
    }

    /// How often one call was made.
    pub fn count(&self, call: &str) -> u32 {
        self.counts.lock().unwrap().get(call).copied().unwrap_or_default()
    }

    fn hit(&self) {
        *self.hits.lock().unwrap() += 1;
    }

    /// Counts a call, and answers whether it fails: before it is done, or after.
    fn fails(&self, name: &'static str) -> Option<bool> {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(name).or_default();
        *count += 1;
        match self.wrong {
            Wrong::Fails { call, nth, times, after } if call == name && *count >= nth && *count < nth + times => {
                drop(counts);
                self.hit();
                Some(after)
            }
            _ => None,
        }
    }

    async fn through<T>(&self, name: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let broken = || StoreError::Unavailable("database or disk is full (as the test wants it)".to_owned());
        match self.fails(name) {
            Some(false) => Err(broken()),
            Some(true) => call.await.and(Err(broken())),
            None => call.await,
        }
    }

    /// The jobs without those that are lost.
    fn kept(&self, jobs: &[NewJob], first: bool) -> Vec<NewJob> {
        let keep = |job: &&NewJob| match (&self.wrong, &job.work) {
            (Wrong::LosesMessages, Work::Tell { .. }) => {
                let mut told = self.told.lock().unwrap();
                *told += 1;
                !told.is_multiple_of(3)
            }
            (Wrong::LosesPasses, Work::Pass { .. }) => first,
            _ => true,
        };
        let kept: Vec<NewJob> = jobs.iter().filter(keep).cloned().collect();
        if kept.len() < jobs.len() {
            self.hit();
        }
        kept
    }
}

#[async_trait]
impl Store for Between {
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted> {
        if self.wrong == Wrong::DropsSignals {
            self.hit();
            return Ok(Accepted { new: signals.len(), repeated: 0 });
        }
        self.through("accept", self.inner.accept(signals, now)).await
    }
    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        self.through("untaken_signals", self.inner.untaken_signals(subject)).await
    }
    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        self.through("incident", self.inner.incident(id)).await
    }
    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        self.through("open_incident", self.inner.open_incident(key)).await
    }
    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        self.through("incidents", self.inner.incidents(open_only, limit)).await
    }
    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        let jobs = self.kept(jobs, expected.is_none());
        self.through("save", self.inner.save(incident, expected, &jobs, taken, now)).await
    }
    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()> {
        self.through("dismiss", self.inner.dismiss(taken, now)).await
    }
    async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        if self.kept(std::slice::from_ref(job), false).is_empty() {
            return Ok(());
        }
        self.through("enqueue", self.inner.enqueue(job, now)).await
    }
    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        self.through("lease", self.inner.lease(now, length)).await
    }
    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        self.through("lease_by_key", self.inner.lease_by_key(key, now, length)).await
    }
    async fn complete(&self, job: &LeasedJob, now: Timestamp) -> Result<()> {
        self.through("complete", self.inner.complete(job, now)).await
    }
    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        self.through("retry", self.inner.retry(job, due, error)).await
    }
    async fn knows_job(&self, key: &str) -> Result<bool> {
        self.through("knows_job", self.inner.knows_job(key)).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.through("next_due", self.inner.next_due()).await
    }
    async fn poison(&self) -> Result<Vec<(String, String)>> {
        self.through("poison", self.inner.poison()).await
    }
    async fn set_aside(&self, key: &str, error: &str, now: Timestamp) -> Result<bool> {
        self.through("set_aside", self.inner.set_aside(key, error, now)).await
    }
    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        self.through("poison_retry", self.inner.poison_retry(key, now)).await
    }
    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
        self.through("keep_fact", self.inner.keep_fact(kind, key, value, now)).await
    }
    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
        self.through("fact", self.inner.fact(kind, key)).await
    }
    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        self.through("facts", self.inner.facts(kind)).await
    }
    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned> {
        self.through("prune", self.inner.prune(incidents_before, now)).await
    }
    async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        self.through("sweep", self.inner.sweep(now)).await
    }
}
