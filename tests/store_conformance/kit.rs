//! Where a store keeps its data during a check, and short words for what is put into it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::{Signal, SignalKind};
use keymend::ids::Ids;
use keymend::store::azure::parse_connection_string;
use keymend::store::{AzureStorageSettings, AzureStore, LeasedJob, NewJob, SqliteStore, Store, Work};

use crate::azurite::{Azurite, fresh_name};

/// Somewhere empty for a store's data. Opening it again gives another handle to the same data, as another process has.
#[async_trait]
pub trait Place: Send + Sync {
    async fn open(&self) -> Arc<dyn Store>;

    /// How many records are many here: enough to need several of whatever the store does at once.
    fn many(&self) -> usize {
        5000
    }
}

/// A file in a folder of its own.
pub struct SqlitePlace(tempfile::TempDir);

impl SqlitePlace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Place for SqlitePlace {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.0.path().join("keymend.db")).unwrap())
    }
}

/// A container of its own in the shared Azurite.
pub struct AzurePlace(AzureStorageSettings);

impl AzurePlace {
    /// `None`: Azurite can't be had, and that was expected and said.
    pub fn new() -> Option<Self> {
        let account = parse_connection_string(&Azurite::shared()?.connection_string()).unwrap();
        Some(Self(AzureStorageSettings { account, container: fresh_name("conformance"), queue: fresh_name("jobs") }))
    }
}

#[async_trait]
impl Place for AzurePlace {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(AzureStore::open(&self.0, None, Ids::random()).await.unwrap())
    }

    fn many(&self) -> usize {
        300
    }
}

pub const LEASE: SignedDuration = SignedDuration::from_mins(5);

/// `seconds` after the check begins.
pub fn at(seconds: i64) -> Timestamp {
    "2026-03-01T02:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

pub fn server(name: &str) -> ResourceId {
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-data";
    ResourceId::parse(&format!("{group}/providers/Microsoft.Sql/servers/{name}")).unwrap()
}

/// A loss that names a database.
pub fn loss(server_name: &str, database: &str, event_id: &str) -> Signal {
    Signal {
        kind: SignalKind::AccessLost,
        target: server(server_name).child("databases", database).unwrap(),
        occurred_at: Some(at(-900)),
        caller: Some("someone@contoso.example".to_owned()),
        event_id: Some(event_id.to_owned()),
        correlation_id: None,
        window_minutes: Some(480),
        text: Some("The database has lost access to its key: \u{1f511} \"quoted\" \u{0}".to_owned()),
    }
}

pub fn incident_id(name: &str) -> IncidentId {
    IncidentId(format!("km-20260301-0200-{name}"))
}

pub fn key(vault: &str) -> IncidentKey {
    IncidentKey(format!("vault:{vault}.vault.azure.net"))
}

/// An open incident of a vault.
pub fn incident(name: &str, vault: &str, opened: i64) -> Incident {
    Incident::open(incident_id(name), key(vault), 30, at(opened))
}

/// The same, ended.
pub fn ended(mut incident: Incident, when: i64) -> Incident {
    incident.ended_at = Some(at(when));
    incident
}

pub fn pass(name: &str, due: i64) -> NewJob {
    NewJob { work: Work::Pass { incident: incident_id(name) }, due: at(due) }
}

/// Leases at `now`; there must be a job.
pub async fn lease(store: &dyn Store, now: i64) -> LeasedJob {
    store.lease(at(now), LEASE).await.unwrap().unwrap_or_else(|| panic!("no job is due at {now}"))
}

/// Asserts that nothing can be leased at `now`.
pub async fn nothing_due(store: &dyn Store, now: i64) {
    assert_eq!(store.lease(at(now), LEASE).await.unwrap(), None, "nothing should be due at {now}");
}

/// Leases and completes all that is due at `now`; answers the keys in order.
pub async fn drain(store: &dyn Store, now: i64) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(job) = store.lease(at(now), LEASE).await.unwrap() {
        store.complete(&job, at(now)).await.unwrap();
        keys.push(job.work.key());
    }
    keys
}
