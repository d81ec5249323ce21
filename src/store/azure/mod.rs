//! The store in Azure Storage: one blob container, and a queue that calls for the jobs in it.
//!
//! Any number of processes may use one container. There are no transactions over several blobs: every change is one
//! write over the version that was read, and what must follow it is written down before, so that whoever comes next
//! completes what a crash left half done.
//!
//! | file | job |
//! |---|---|
//! | `account`, `connection_string` | which account, and how we sign in |
//! | `shared_key`, `wire`, `fault` | signing, sending, and what went wrong in a person's words |
//! | `blobs`, `names`, `document` | blobs under a condition; what they are called; records as JSON |
//! | `job_record`, `doorbell` | what may happen to a job, without a line of I/O; the messages that call for jobs |
//! | `jobs`, `job_change`, `job_lease`, `job_sweep` | asking and settling; changing a record; handing out; what nobody came for |
//! | `signals` | accepted once, then taken |
//! | `incidents`, `outbox`, `settle`, `cache` | documents; what their saves ask for; doing it; what was read last |
//! | `claims` | the one open incident of a key |
//! | `facts` | small JSON values |

mod account;
mod blobs;
mod cache;
mod claims;
mod connection_string;
mod document;
mod doorbell;
mod facts;
mod fault;
mod incidents;
mod job_blobs;
mod job_change;
mod job_lease;
mod job_record;
mod job_sweep;
mod jobs;
mod names;
mod outbox;
mod settle;
mod shared_key;
mod signals;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use account::{AzureStorageSettings, StorageAccess, StorageAccount};
pub use connection_string::{InvalidConnectionString, endpoint, is_account_name, parse as parse_connection_string};

use self::blobs::Blobs;
use self::cache::Cache;
use self::claims::Claims;
use self::doorbell::Doorbell;
use self::incidents::Incidents;
use self::job_blobs::{Jobs, Unreadable};
use self::signals::Signals;
use super::{Accepted, Handout, LeasedJob, NewJob, Pruned, Result, SignalRef, Store, StoreError, Swept, Version};
use crate::clock::Clock;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;
use crate::ids::Ids;

/// How long one call may take, whatever it sends: a webhook's sender and the Functions host wait for it.
const DEADLINE: Duration = Duration::from_secs(18);

/// The same for the patrol's calls, for which nobody waits.
const LONG_DEADLINE: Duration = Duration::from_secs(240);

/// A [`Store`] in a blob container. Its calls must be made inside a tokio runtime.
#[derive(Debug)]
pub struct AzureStore {
    blobs: Blobs,
    doorbell: Option<Doorbell>,
    cache: Cache,
    unreadable: Unreadable,
    ids: Ids,
}

impl AzureStore {
    /// Opens the container, and makes it if there is none. Whoever uses it so looks for jobs himself ([`Store::lease`]).
    /// `credential` is needed where the account is signed in to with an identity ([`StorageAccess::Identity`]).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the account can't be reached or does not let us in.
    pub async fn open(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        ids: Ids,
    ) -> Result<Self> {
        let credential = needed(settings, credential)?;
        let blobs = Blobs::connect(&settings.account, &settings.container, credential, ids.clone())?;
        blobs.make().await?;
        Ok(Self::around(blobs, ids))
    }

    /// The same with the queues, for a house whose jobs are called for by queue messages. `clock` is the one by which
    /// jobs are due: the messages wait for as many real seconds as it needs.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with_doorbell(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self> {
        let doorbell = Doorbell::open(settings, needed(settings, credential.clone())?, clock).await?;
        Ok(Self { doorbell: Some(doorbell), ..Self::open(settings, credential, ids).await? })
    }

    /// Opens the container as it is used by others at this time, with its doorbell if it has one; `None` if there is no
    /// such container. Nothing is made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_beside(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        clock: Clock,
        ids: Ids,
    ) -> Result<Option<Self>> {
        let credential = needed(settings, credential)?;
        let blobs = Blobs::connect(&settings.account, &settings.container, credential.clone(), ids.clone())?;
        if !blobs.exists().await? {
            return Ok(None);
        }
        let doorbell = Doorbell::open_existing(settings, credential, clock).await?;
        Ok(Some(Self { doorbell, ..Self::around(blobs, ids) }))
    }

    fn around(blobs: Blobs, ids: Ids) -> Self {
        Self { blobs, doorbell: None, cache: Cache::default(), unreadable: Unreadable::default(), ids }
    }

    fn jobs(&self) -> Jobs<'_> {
        let Self { blobs, doorbell, ids, unreadable, .. } = self;
        Jobs { blobs, doorbell: doorbell.as_ref(), ids, unreadable }
    }

    fn signals(&self) -> Signals<'_> {
        Signals { blobs: &self.blobs, ids: &self.ids }
    }

    fn incidents(&self) -> Incidents<'_> {
        let Self { blobs, cache, ids, .. } = self;
        Incidents { blobs, jobs: self.jobs(), signals: self.signals(), claims: Claims { blobs, ids }, cache, ids }
    }

    async fn within<T>(&self, deadline: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(self.blobs.place.too_slow()))
    }
}

/// The credential if the account needs one. Keys and signatures go without.
fn needed(
    settings: &AzureStorageSettings,
    credential: Option<Arc<dyn TokenCredential>>,
) -> Result<Option<Arc<dyn TokenCredential>>> {
    match (&settings.account.access, credential) {
        (StorageAccess::Identity(_), None) => Err(StoreError::Unavailable(format!(
            "the storage account {} needs an identity, and there is none",
            settings.account.name()
        ))),
        (StorageAccess::Identity(_), credential) => Ok(credential),
        _ => Ok(None),
    }
}

#[async_trait]
impl Store for AzureStore {
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted> {
        self.within(DEADLINE, self.signals().accept(signals, &self.jobs(), now)).await
    }

    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        self.within(DEADLINE, async {
            // What a save has taken must not be seen as untaken, also if its process ended before it came to the signals.
            self.incidents().take_what_saves_took(subject).await?;
            self.signals().untaken(subject).await
        })
        .await
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        self.within(DEADLINE, self.incidents().by_id(id)).await
    }

    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        self.within(DEADLINE, self.incidents().open_by_key(key)).await
    }

    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        self.within(DEADLINE, self.incidents().newest(open_only, limit)).await
    }

    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        self.within(DEADLINE, self.incidents().save(incident, expected, jobs, taken, now)).await
    }

    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()> {
        self.within(DEADLINE, self.signals().take(taken, None, now)).await
    }

    async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        self.within(DEADLINE, self.jobs().enqueue(job, now)).await
    }

    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        self.within(DEADLINE, self.jobs().lease(now, length)).await
    }

    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        self.within(DEADLINE, self.jobs().lease_by_key(key, now, length)).await
    }

    async fn call_again(&self, key: &str, at: Timestamp, _now: Timestamp) -> Result<()> {
        let Some(doorbell) = &self.doorbell else { return Ok(()) };
        self.within(DEADLINE, doorbell.ring(key, document::micros(at))).await
    }

    async fn complete(&self, job: &LeasedJob, _now: Timestamp) -> Result<()> {
        self.within(DEADLINE, self.jobs().complete(job)).await
    }

    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        self.within(DEADLINE, self.jobs().retry(job, due, error)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.within(DEADLINE, self.jobs().next_due()).await
    }

    async fn poison(&self) -> Result<Vec<(String, String)>> {
        self.within(DEADLINE, self.jobs().poison()).await
    }

    async fn set_aside(&self, key: &str, error: &str, _now: Timestamp) -> Result<bool> {
        self.within(DEADLINE, self.jobs().set_aside(key, error)).await
    }

    async fn knows_job(&self, key: &str) -> Result<bool> {
        self.within(DEADLINE, self.jobs().is_known(key)).await
    }

    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        self.within(DEADLINE, self.jobs().poison_retry(key, now)).await
    }

    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
        self.within(DEADLINE, facts::keep(&self.blobs, kind, key, value, now)).await
    }

    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
        self.within(DEADLINE, facts::one(&self.blobs, kind, key)).await
    }

    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
        self.within(DEADLINE, facts::of_kind(&self.blobs, kind)).await
    }

    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned> {
        self.within(LONG_DEADLINE, async {
            let signals = self.signals().prune(now).await?;
            let facts = facts::prune(&self.blobs, now).await?;
            let incidents = match incidents_before {
                Some(before) => self.incidents().prune(before).await?,
                None => 0,
            };
            Ok(Pruned { signals, facts, incidents })
        })
        .await
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        self.within(LONG_DEADLINE, async {
            let completed = self.incidents().sweep(now).await?;
            let called = self.jobs().sweep(now).await?;
            Ok(Swept { completed, called })
        })
        .await
    }
}
