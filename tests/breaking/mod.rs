//! A store that fails in ways a real one does only on a bad day.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::Signal;
use keymend::store::{Accepted, Handout, LeasedJob, NewJob, Pruned, Result, SignalRef, Store, Swept, Version};
use serde_json::Value;
use tokio::sync::Notify;

/// How it fails, at every call.
#[derive(Debug)]
pub enum Breaking {
    Panics,
    /// Never answers; tells when it was called.
    Hangs(Arc<Notify>),
}

impl Breaking {
    async fn fail<T>(&self) -> Result<T> {
        match self {
            Self::Panics => panic!("the store broke, as the test wants it to"),
            Self::Hangs(called) => {
                called.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Store for Breaking {
    async fn accept(&self, _: &[Signal], _: Timestamp) -> Result<Accepted> {
        self.fail().await
    }
    async fn untaken_signals(&self, _: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        self.fail().await
    }
    async fn incident(&self, _: &IncidentId) -> Result<Option<(Incident, Version)>> {
        self.fail().await
    }
    async fn open_incident(&self, _: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        self.fail().await
    }
    async fn incidents(&self, _: bool, _: usize) -> Result<Vec<Incident>> {
        self.fail().await
    }
    async fn save(
        &self,
        _: &Incident,
        _: Option<Version>,
        _: &[NewJob],
        _: &[SignalRef],
        _: Timestamp,
    ) -> Result<Version> {
        self.fail().await
    }
    async fn dismiss(&self, _: &[SignalRef], _: Timestamp) -> Result<()> {
        self.fail().await
    }
    async fn enqueue(&self, _: &NewJob, _: Timestamp) -> Result<()> {
        self.fail().await
    }
    async fn lease(&self, _: Timestamp, _: SignedDuration) -> Result<Option<LeasedJob>> {
        self.fail().await
    }
    async fn lease_by_key(&self, _: &str, _: Timestamp, _: SignedDuration) -> Result<Handout> {
        self.fail().await
    }
    async fn complete(&self, _: &LeasedJob, _: Timestamp) -> Result<()> {
        self.fail().await
    }
    async fn retry(&self, _: &LeasedJob, _: Timestamp, _: &str) -> Result<bool> {
        self.fail().await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.fail().await
    }
    async fn poison(&self) -> Result<Vec<(String, String)>> {
        self.fail().await
    }
    async fn set_aside(&self, _: &str, _: &str, _: Timestamp) -> Result<bool> {
        self.fail().await
    }
    async fn knows_job(&self, _: &str) -> Result<bool> {
        self.fail().await
    }
    async fn poison_retry(&self, _: &str, _: Timestamp) -> Result<bool> {
        self.fail().await
    }
    async fn keep_fact(&self, _: &str, _: &str, _: &Value, _: Timestamp) -> Result<()> {
        self.fail().await
    }
    async fn fact(&self, _: &str, _: &str) -> Result<Option<(Value, Timestamp)>> {
        self.fail().await
    }
    async fn facts(&self, _: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        self.fail().await
    }
    async fn prune(&self, _: Option<Timestamp>, _: Timestamp) -> Result<Pruned> {
        self.fail().await
    }
    async fn sweep(&self, _: Timestamp) -> Result<Swept> {
        self.fail().await
    }
}
