//! Short words for what the checks put into the store.

use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::{Signal, SignalKind};
use keymend::ids::Ids;
use keymend::store::azure::parse_connection_string;
use keymend::store::{AzureStorageSettings, AzureStore, LeasedJob, NewJob, Store, Work};

use crate::azurite::{Azurite, fresh_name};

pub const LEASE: SignedDuration = SignedDuration::from_mins(5);

/// `seconds` after the check begins.
pub fn at(seconds: i64) -> Timestamp {
    "2026-03-01T02:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A container and queue of their own.
pub fn place(azurite: &Azurite) -> AzureStorageSettings {
    AzureStorageSettings {
        account: parse_connection_string(&azurite.connection_string()).unwrap(),
        container: fresh_name("store"),
        queue: fresh_name("jobs"),
    }
}

/// The same place by another road.
pub fn through(place: &AzureStorageSettings, connection: &str) -> AzureStorageSettings {
    AzureStorageSettings { account: parse_connection_string(connection).unwrap(), ..place.clone() }
}

pub async fn open(place: &AzureStorageSettings) -> AzureStore {
    AzureStore::open(place, None, Ids::random()).await.unwrap()
}

pub fn server(name: &str) -> ResourceId {
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-data";
    ResourceId::parse(&format!("{group}/providers/Microsoft.Sql/servers/{name}")).unwrap()
}

pub fn loss(server_name: &str, database: &str) -> Signal {
    Signal {
        kind: SignalKind::AccessLost,
        target: server(server_name).child("databases", database).unwrap(),
        occurred_at: Some(at(-900)),
        caller: None,
        event_id: Some(format!("{server_name}-{database}")),
        correlation_id: None,
        window_minutes: None,
        text: None,
    }
}

pub fn key(vault: &str) -> IncidentKey {
    IncidentKey(format!("vault:{vault}.vault.azure.net"))
}

pub fn incident(name: &str, vault: &str) -> Incident {
    Incident::open(IncidentId(format!("km-20260301-0200-{name}")), key(vault), 30, at(0))
}

pub fn pass(incident: &Incident) -> NewJob {
    NewJob { work: Work::Pass { incident: incident.id.clone() }, due: at(0) }
}

/// Leases and completes all that is due; answers the keys, sorted.
pub async fn drain(store: &dyn Store, now: i64) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(LeasedJob { work, .. }) = take_and_finish(store, now).await {
        keys.push(work.key());
    }
    keys.sort();
    keys
}

async fn take_and_finish(store: &dyn Store, now: i64) -> Option<LeasedJob> {
    let job = store.lease(at(now), LEASE).await.unwrap()?;
    store.complete(&job, at(now)).await.unwrap();
    Some(job)
}

/// The databases whose signals nobody has taken, sorted.
pub async fn untaken(store: &dyn Store, server_name: &str) -> Vec<String> {
    let signals = store.untaken_signals(&server(server_name)).await.unwrap();
    let mut names: Vec<_> = signals.iter().map(|(_, signal)| signal.target.name().to_owned()).collect();
    names.sort();
    names
}
