//! What databases are like while all is well: recorded by the patrol's walk, and by an incident at first sight.
//!
//! A snapshot is never taken of a database that is down, nor of one whose server is in an incident: what Azure drops must not
//! become what there was before.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Responder;
use crate::azure::error::fact;
use crate::clock::add;
use crate::domain::diagnosis::DatabaseRef;
use crate::domain::evidence::{Database, Evidence, Fact};
use crate::domain::incident::{Incident, IncidentKey};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{Retention, Snapshot, Snapshots, id_of, is_dropped};
use crate::store::StoreError;

/// The kind of fact that keeps a server's snapshots.
const SETTINGS: &str = "settings";
/// Retention is read anew this often: it takes two requests a database, and hardly ever changes.
const RETENTION_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Younger than this, an unchanged snapshot is not written again.
const YOUNG: SignedDuration = SignedDuration::from_hours(12);

/// What is kept of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    databases: Snapshots,
    /// When retention was read, by database.
    #[serde(default)]
    retention_at: BTreeMap<String, Timestamp>,
}

impl Responder {
    /// The walk read a server's databases: records what those are like that are in service, unless the server is in an
    /// incident. Reads retention of those whose turn it is, with at most `allowance` requests. Answers how many it sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_snapshot(
        &self,
        server: &ResourceId,
        key: Option<&KeyUri>,
        databases: &[Database],
        allowance: usize,
    ) -> Result<usize, StoreError> {
        if self.is_in_trouble(server, key).await? {
            return Ok(0);
        }
        let now = self.clock.now();
        let before = self.kept(server).await?;
        let mut kept = Kept::default();
        let mut sent = 0;
        for database in databases {
            let old = before.as_ref().and_then(|(before, _)| before.databases.get(&database.name));
            let old_at = before.as_ref().and_then(|(before, _)| before.retention_at.get(&database.name)).copied();
            let (mut snapshot, mut read_at) = match old {
                // What is down keeps the snapshot that it has.
                Some(old) if !database.is_in_service() => (old.clone(), old_at),
                None if !database.is_in_service() => continue,
                old => (taken(database, old.and_then(|old| old.retention.clone()), now), old_at),
            };
            let due = read_at.is_none_or(|read| read <= add(now, -RETENTION_EVERY));
            if due && database.status.eq_ignore_ascii_case("Online") && sent + 2 <= allowance {
                if let Some(retention) = self.retention(server, &database.name).await {
                    snapshot.retention = Some(retention);
                    read_at = Some(now);
                }
                sent += 2;
            }
            kept.databases.insert(database.name.clone(), snapshot);
            read_at.map(|at| kept.retention_at.insert(database.name.clone(), at));
        }
        if before.is_none_or(|(before, at)| !before.is_as(&kept) || at < add(now, -YOUNG)) {
            let value = serde_json::to_value(&kept).unwrap_or_default();
            self.store.keep_fact(SETTINGS, server.key(), &value, now).await?;
        }
        Ok(sent)
    }

    /// Whether an open incident is about the server.
    async fn is_in_trouble(&self, server: &ResourceId, key: Option<&KeyUri>) -> Result<bool, StoreError> {
        let keys = key.map(|key| IncidentKey::vault(&key.vault)).into_iter().chain([IncidentKey::server(server)]);
        for key in keys {
            if self.store.open_incident(&key).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn kept(&self, server: &ResourceId) -> Result<Option<(Kept, Timestamp)>, StoreError> {
        let found = self.store.fact(SETTINGS, server.key()).await?;
        Ok(found.and_then(|(value, at)| Some((serde_json::from_value(value).ok()?, at))))
    }

    /// Both policies of a database; none if either could not be read.
    pub(super) async fn retention(&self, server: &ResourceId, name: &str) -> Option<Retention> {
        let id = id_of(&DatabaseRef { server: server.clone(), name: name.to_owned() })?;
        let (short, long) = futures::join!(self.azure.short_term_retention(&id), self.azure.long_term_retention(&id));
        match (fact(short), fact(long)) {
            (Fact::Known(short), Fact::Known(long)) => Some(Retention { short: Some(short), long: Some(long) }),
            _ => None,
        }
    }

    /// An incident sees servers for the first time: keeps what their databases were like before the loss. Of one that is in
    /// service that is what is seen now; of one that is down, what was recorded, and on top of it what Azure still shows.
    pub(super) async fn remember_before(&self, incident: &mut Incident, evidence: &Evidence) -> Result<(), StoreError> {
        let now = self.clock.now();
        let over = incident.window_is_over(now);
        for seen in &evidence.servers {
            let Some(databases) = seen.databases.known() else { continue };
            let known = incident.members.get(seen.id.key()).is_none_or(|member| !member.before.is_empty());
            if known || databases.is_empty() {
                continue;
            }
            let recorded = self.kept(&seen.id).await?.map(|(kept, _)| kept.databases).unwrap_or_default();
            let Some(member) = incident.members.get_mut(seen.id.key()) else { continue };
            for database in databases {
                let old = recorded.get(&database.name);
                let snapshot = if database.is_in_service() && !over {
                    taken(database, old.and_then(|old| old.retention.clone()), now)
                } else {
                    still_shown(database, old, now)
                };
                member.before.insert(database.name.clone(), snapshot);
            }
        }
        Ok(())
    }
}

impl Kept {
    /// Whether both say the same, whenever they were taken.
    fn is_as(&self, other: &Self) -> bool {
        let same = |(name, one): (&String, &Snapshot)| {
            other.databases.get(name).is_some_and(|it| it.settings == one.settings && it.retention == one.retention)
        };
        self.retention_at == other.retention_at
            && self.databases.len() == other.databases.len()
            && self.databases.iter().all(same)
    }
}

fn taken(database: &Database, retention: Option<Retention>, now: Timestamp) -> Snapshot {
    Snapshot { taken_at: now, settings: database.settings.clone(), retention, whole: true }
}

/// Of a database that is down: what was recorded, and over it what Azure still shows, for Azure only takes away.
fn still_shown(database: &Database, recorded: Option<&Snapshot>, now: Timestamp) -> Snapshot {
    let mut snapshot = recorded.cloned().unwrap_or(Snapshot {
        taken_at: now,
        settings: BTreeMap::new(),
        retention: None,
        whole: false,
    });
    let shown = database.settings.iter().filter(|(name, value)| !is_dropped(name, value));
    snapshot.settings.extend(shown.map(|(name, value)| (name.clone(), value.clone())));
    snapshot
}
