//! A responder that ends between any two of its calls. From then on nothing of it reaches its store or the cloud, as if its
//! process were gone, until another one is built.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::Signal;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::store::{
    Accepted, Handout, LeasedJob, NewJob, Pruned, Result, SignalRef, Store, StoreError, Swept, Version,
};
use serde_json::Value;

/// When a responder ends.
#[derive(Debug, Clone, Copy)]
pub struct Dies {
    /// After so many calls more.
    pub calls: u32,
    /// Requests to Azure and the channels are counted, and not calls of the store.
    pub at_azure: bool,
    /// Whether that call was still carried out.
    pub after: bool,
}

/// Of one responder after the other.
#[derive(Debug, Default)]
pub struct Life(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the one that lives.
    living: u32,
    dead: bool,
    dies: Option<Dies>,
    fails: (u32, bool),
}

impl Life {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The responder ends then.
    pub fn ends(&self, dies: Dies) {
        self.state().dies = Some(dies);
    }

    /// The next calls of the store fail; with `after` they are done.
    pub fn fails(&self, times: u32, after: bool) {
        self.state().fails = (times, after);
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// How many there were.
    pub fn responders(&self) -> u32 {
        self.state().living
    }

    fn born(&self) -> u32 {
        let mut state = self.state();
        state.living += 1;
        (state.dead, state.dies) = (false, None);
        state.living
    }

    /// Whether a request to Azure or to a channel gets nowhere.
    pub fn at_azure(&self) -> Option<Fault> {
        let fault = Fault::new(FaultKind::Reset, "", 1);
        match self.state().call(true) {
            Fate::Done => None,
            Fate::Lost => Some(fault.after_effect()),
            Fate::Nothing => Some(fault),
        }
    }

    fn at_store(&self, number: u32) -> Fate {
        let mut state = self.state();
        if number != state.living {
            return Fate::Nothing;
        }
        let fate = state.call(false);
        if fate != Fate::Done || state.fails.0 == 0 {
            return fate;
        }
        state.fails.0 -= 1;
        if state.fails.1 { Fate::Lost } else { Fate::Nothing }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// Done, and nobody hears of it.
    Lost,
    Nothing,
}

impl State {
    fn call(&mut self, at_azure: bool) -> Fate {
        if self.dead {
            return Fate::Nothing;
        }
        let Some(dies) = self.dies.as_mut().filter(|dies| dies.at_azure == at_azure) else { return Fate::Done };
        if dies.calls > 0 {
            dies.calls -= 1;
            return Fate::Done;
        }
        self.dead = true;
        if dies.after { Fate::Lost } else { Fate::Nothing }
    }
}

/// The store of one responder.
#[derive(Debug)]
pub struct Mortal {
    inner: Arc<dyn Store>,
    life: Arc<Life>,
    number: u32,
}

impl Mortal {
    pub fn new(inner: Arc<dyn Store>, life: Arc<Life>) -> Self {
        let number = life.born();
        Self { inner, life, number }
    }

    async fn through<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let gone = || StoreError::Unavailable("gone (as the test wants it)".to_owned());
        match self.life.at_store(self.number) {
            Fate::Done => call.await,
            Fate::Lost => call.await.and(Err(gone())),
            Fate::Nothing => Err(gone()),
        }
    }
}

#[async_trait]
impl Store for Mortal {
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted> {
        self.through(self.inner.accept(signals, now)).await
    }
    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        self.through(self.inner.untaken_signals(subject)).await
    }
    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        self.through(self.inner.incident(id)).await
    }
    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        self.through(self.inner.open_incident(key)).await
    }
    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        self.through(self.inner.incidents(open_only, limit)).await
    }
    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        self.through(self.inner.save(incident, expected, jobs, taken, now)).await
    }
    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()> {
        self.through(self.inner.dismiss(taken, now)).await
    }
    async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        self.through(self.inner.enqueue(job, now)).await
    }
    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        self.through(self.inner.lease(now, length)).await
    }
    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        self.through(self.inner.lease_by_key(key, now, length)).await
    }
    async fn complete(&self, job: &LeasedJob, now: Timestamp) -> Result<()> {
        self.through(self.inner.complete(job, now)).await
    }
    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        self.through(self.inner.retry(job, due, error)).await
    }
    async fn knows_job(&self, key: &str) -> Result<bool> {
        self.through(self.inner.knows_job(key)).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.through(self.inner.next_due()).await
    }
    async fn poison(&self) -> Result<Vec<(String, String)>> {
        self.through(self.inner.poison()).await
    }
    async fn set_aside(&self, key: &str, error: &str, now: Timestamp) -> Result<bool> {
        self.through(self.inner.set_aside(key, error, now)).await
    }
    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        self.through(self.inner.poison_retry(key, now)).await
    }
    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
        self.through(self.inner.keep_fact(kind, key, value, now)).await
    }
    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
        self.through(self.inner.fact(kind, key)).await
    }
    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        self.through(self.inner.facts(kind)).await
    }
    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned> {
        self.through(self.inner.prune(incidents_before, now)).await
    }
    async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        self.through(self.inner.sweep(now)).await
    }
}
