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
use crate::domain::database_ref::DatabaseRef;
use crate::domain::evidence::{Database, Evidence, Fact};
use crate::domain::incident::{Incident, IncidentKey};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{LongTerm, Retention, ShortTerm, Snapshot, Snapshots, id_of, is_dropped};
use crate::store::StoreError;

/// The kind of fact that keeps a server's snapshots.
const SETTINGS: &str = "settings";
/// Retention is read anew this often: it takes two requests a database, and hardly ever changes.
const RETENTION_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// What could not be read is asked for again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(6);
/// Younger than this, an unchanged snapshot is not written again.
const YOUNG: SignedDuration = SignedDuration::from_hours(12);

/// What is kept of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    databases: Snapshots,
    /// When retention was last asked for, by database.
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
        let mut kept = renewed(before.as_ref().map(|(before, _)| before), databases, now);
        let sent = self.read_retention(server, databases, &mut kept, allowance).await;
        if before.is_none_or(|(before, at)| !before.is_as(&kept) || at < add(now, -YOUNG)) {
            let value = serde_json::to_value(&kept).unwrap_or_default();
            self.store.keep_fact(SETTINGS, server.key(), &value, now).await?;
        }
        Ok(sent)
    }

    /// Reads retention of those databases whose turn it is, the longest unread first.
    async fn read_retention(
        &self,
        server: &ResourceId,
        databases: &[Database],
        kept: &mut Kept,
        allowance: usize,
    ) -> usize {
        let now = self.clock.now();
        let online = databases.iter().filter(|database| database.status.eq_ignore_ascii_case("Online"));
        let mut turn: Vec<(Option<Timestamp>, &str)> = online
            .map(|database| (kept.retention_at.get(&database.name).copied(), database.name.as_str()))
            .filter(|(asked, _)| asked.is_none_or(|asked| asked <= add(now, -RETENTION_EVERY)))
            .collect();
        turn.sort_unstable();
        turn.truncate(allowance / 2);
        for (_, name) in &turn {
            let (short, long) = self.retention(server, name).await;
            let unread = [matches!(short, Fact::Unknown(_)), matches!(long, Fact::Unknown(_))].contains(&true);
            let asked = if unread { add(now, AGAIN - RETENTION_EVERY) } else { now };
            kept.retention_at.insert((*name).to_owned(), asked);
            let Some(snapshot) = kept.databases.get_mut(*name) else { continue };
            let old = snapshot.retention.take().unwrap_or_default();
            snapshot.retention = some(Retention { short: known(short).or(old.short), long: known(long).or(old.long) });
        }
        turn.len() * 2
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

    async fn retention(&self, server: &ResourceId, name: &str) -> (Fact<ShortTerm>, Fact<LongTerm>) {
        let Some(id) = id_of(&DatabaseRef { server: server.clone(), name: name.to_owned() }) else {
            return (Fact::Absent, Fact::Absent);
        };
        let (short, long) = futures::join!(self.azure.short_term_retention(&id), self.azure.long_term_retention(&id));
        (fact(short), fact(long))
    }

    /// What can be read now of a database's retention.
    pub(super) async fn retention_now(&self, server: &ResourceId, name: &str) -> Option<Retention> {
        let (short, long) = self.retention(server, name).await;
        some(Retention { short: known(short), long: known(long) })
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

/// What is kept, with what the databases in service are like now. What is down keeps the snapshot that it has.
fn renewed(before: Option<&Kept>, databases: &[Database], now: Timestamp) -> Kept {
    let mut kept = Kept::default();
    for database in databases {
        let old = before.and_then(|before| before.databases.get(&database.name));
        let snapshot = match old {
            Some(old) if !database.is_in_service() => old.clone(),
            None if !database.is_in_service() => continue,
            old => taken(database, old.and_then(|old| old.retention.clone()), now),
        };
        kept.databases.insert(database.name.clone(), snapshot);
        let asked = before.and_then(|before| before.retention_at.get(&database.name));
        asked.map(|at| kept.retention_at.insert(database.name.clone(), *at));
    }
    kept
}

fn known<T>(fact: Fact<T>) -> Option<T> {
    match fact {
        Fact::Known(value) => Some(value),
        _ => None,
    }
}

fn some(retention: Retention) -> Option<Retention> {
    (retention != Retention::default()).then_some(retention)
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
