//! The embedded store: one SQLite file, for a laptop, a VM or a container.
//!
//! One thread writes (see [`writer`]), one connection reads beside it. Several processes may use one file; one of them at
//! a time may work on its jobs (see [`claim`]).

mod alert;
pub mod care;
mod change;
mod claim;
mod document;
mod facts;
mod fault;
mod file;
mod incidents;
mod jobs;
mod known;
mod open;
mod recent;
mod schema;
mod signals;
mod waiting;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::Value;

use self::claim::Claim;
use self::fault::Outcome;
use self::recent::Recent;
use self::writer::Writer;
use super::{Accepted, Handout, LeasedJob, NewJob, Pruned, Result, SignalRef, Store, StoreError, Swept, Version};
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;

/// How many rows are removed in one transaction, so that alerts get in between.
const PRUNED_AT_ONCE: usize = 2_000;

/// A [`Store`] in one SQLite file. Its calls must be made inside a tokio runtime.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    recent: Arc<Recent>,
    /// Given back last, after the last change was written.
    _claim: Option<Claim>,
}

impl SqliteStore {
    /// Opens the file at `path`, and makes it (readable by its owner alone) if there is none. The folder must exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file can't be made, opened or written; [`StoreError::Unreadable`] if it is no
    /// database, another program's, or a newer version's. Such a file is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        Self::start(open::open(path)?, None)
    }

    /// Opens the file as [`Self::open`] does, for the process that works on its jobs. There is one at a time: another that
    /// is about to end is waited for, up to `patience` of real time. Leases that a process before this one left behind end
    /// `now`, so that its work is taken up at once.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Unavailable`] if another live process works on it.
    pub fn open_to_work(path: &Path, now: Timestamp, patience: Duration) -> Result<Self> {
        let opened = open::open(path)?;
        let claim = Claim::take(&opened.path, patience)?;
        let left = jobs::end_leases(&opened.writer, now).map_err(|fault| fault.about(&opened.path))?;
        if left > 0 {
            tracing::info!(jobs = left, "taking up what the process before this one was at");
        }
        Self::start(opened, Some(claim))
    }

    fn start(opened: open::Opened, claim: Option<Claim>) -> Result<Self> {
        let open::Opened { path, writer, reader } = opened;
        let writer = Writer::start(path.clone(), writer)?;
        let reader = Arc::new(Mutex::new(reader));
        Ok(Self { path, writer, reader, recent: Arc::default(), _claim: claim })
    }

    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        let (reader, path) = (Arc::clone(&self.reader), self.path.clone());
        let read = move || {
            let connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
            work(&connection).map_err(|fault| fault.about(&path))
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("keymend is shutting down".to_owned())))
    }

    /// Repeats a removal of a limited number of rows until there is nothing left of it.
    async fn remove(&self, now: Timestamp, step: fn(&Connection, usize, Timestamp) -> Outcome<usize>) -> Result<usize> {
        let mut removed = 0;
        loop {
            let now_removed = self.writer.change(move |connection| step(connection, PRUNED_AT_ONCE, now)).await?;
            removed += now_removed;
            if now_removed < PRUNED_AT_ONCE {
                return Ok(removed);
            }
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted> {
        let rows = signals.iter().map(signals::Row::new).collect::<Outcome<Vec<_>>>();
        let rows = rows.map_err(|fault| fault.about(&self.path))?;
        if rows.is_empty() {
            return Ok(Accepted { new: 0, repeated: 0 });
        }
        self.writer.accept(rows, now).await
    }

    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        let subject = subject.clone();
        self.read(move |connection| signals::untaken(connection, &subject)).await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        let (id, recent) = (id.clone(), Arc::clone(&self.recent));
        self.read(move |connection| incidents::by_id(connection, &recent, &id)).await
    }

    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        let (key, recent) = (key.clone(), Arc::clone(&self.recent));
        self.read(move |connection| incidents::open_by_key(connection, &recent, &key)).await
    }

    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        self.read(move |connection| incidents::newest(connection, open_only, limit)).await
    }

    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        let document = document::write(incident).map_err(|fault| fault.about(&self.path))?;
        let incident = Arc::new(incident.clone());
        let (saved, jobs, taken) = (Arc::clone(&incident), jobs.to_vec(), taken.to_vec());
        let save = move |connection: &Connection| {
            let version = incidents::save(connection, &saved, &document, expected)?;
            for job in &jobs {
                jobs::enqueue(connection, job)?;
            }
            signals::take(connection, &taken, Some(&saved.id), now)?;
            Ok(version)
        };
        let version = self.writer.change(save).await?;
        self.recent.put(incident, version);
        Ok(version)
    }

    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()> {
        let taken = taken.to_vec();
        self.writer.change(move |connection| signals::take(connection, &taken, None, now)).await
    }

    async fn enqueue(&self, job: &NewJob, _now: Timestamp) -> Result<()> {
        let job = job.clone();
        self.writer.change(move |connection| jobs::enqueue(connection, &job)).await
    }

    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        self.writer.change(move |connection| jobs::lease(connection, now, length)).await
    }

    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        let key = key.to_owned();
        self.writer.change(move |connection| jobs::lease_by_key(connection, &key, now, length)).await
    }

    async fn complete(&self, job: &LeasedJob, _now: Timestamp) -> Result<()> {
        let job = job.clone();
        self.writer.change(move |connection| jobs::complete(connection, &job)).await
    }

    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        let (job, error) = (job.clone(), error.to_owned());
        self.writer.change(move |connection| jobs::retry(connection, &job, due, &error)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.read(jobs::next_due).await
    }

    async fn poison(&self) -> Result<Vec<(String, String)>> {
        self.read(jobs::poison).await
    }

    async fn set_aside(&self, key: &str, error: &str, _now: Timestamp) -> Result<bool> {
        let (key, error) = (key.to_owned(), error.to_owned());
        self.writer.change(move |connection| jobs::set_aside(connection, &key, &error)).await
    }

    async fn knows_job(&self, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.read(move |connection| jobs::is_known(connection, &key)).await
    }

    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        let key = key.to_owned();
        self.writer.change(move |connection| jobs::poison_retry(connection, &key, now)).await
    }

    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
        let value = document::write(value).map_err(|fault| fault.about(&self.path))?;
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.writer.change(move |connection| facts::keep(connection, &kind, &key, &value, now)).await
    }

    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.read(move |connection| facts::one(connection, &kind, &key)).await
    }

    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        let kind = kind.to_owned();
        self.read(move |connection| facts::of_kind(connection, &kind)).await
    }

    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned> {
        let signals = self.remove(now, signals::prune).await?;
        let facts = self.remove(now, facts::prune).await?;
        let incidents = match incidents_before {
            Some(before) => self.remove(before, incidents::prune).await?,
            None => 0,
        };
        Ok(Pruned { signals, facts, incidents })
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        let called = self.writer.change(move |connection| jobs::recall(connection, now)).await?;
        Ok(Swept { completed: 0, called })
    }
}
