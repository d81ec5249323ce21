//! Databases with keys of their own: the loss of one belongs to the incident of its own key's vault, whatever becomes of its
//! server's key.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::Value;

use super::concern::{Concerned, tells_loss};
use super::glance::SERVER_SEEN;
use super::{JobResult, Responder};
use crate::clock::add;
use crate::domain::evidence::{Database, Evidence, ServerEvidence};
use crate::domain::incident::IncidentKey;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};

/// The kind of fact that remembers when a server's databases were asked for keys of their own.
const ASKED: &str = "own_keys_asked";
/// How long they are not asked again. A key that a database was given since then is seen by the look at its server.
const ASKED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// So many servers asked within this time are a crowd.
const CROWD: usize = 3;
const CROWD_WITHIN: SignedDuration = SignedDuration::from_mins(5);

impl Responder {
    /// The databases with a key of their own among those whose loss is told or was found, and whether no other database is named. One
    /// request, or none where the databases are remembered or were asked moments ago.
    pub(super) async fn own_keys(&self, server: &ResourceId, signals: &[Signal]) -> JobResult<(Vec<Concerned>, bool)> {
        let found = |signal: &&Signal| signal.kind == SignalKind::FoundBroken;
        let of_its_own = |signal: &&Signal| found(signal) && signal.target.sql_database().is_some();
        let losses = signals.iter().filter(|signal| tells_loss(signal.kind) || of_its_own(signal));
        let named: Option<BTreeSet<String>> =
            losses.map(|signal| signal.target.sql_database().map(str::to_ascii_lowercase)).collect();
        let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok((Vec::new(), false)) };
        if server.sql_server().is_none() {
            // Neither an instance's databases nor a workspace's pools can have one.
            return Ok((Vec::new(), false));
        }
        if !self.is_looked_after(server).await? {
            self.learn_own_keys(server, &named).await?;
        }
        let mut own = Vec::new();
        for name in &named {
            let Ok(id) = server.child("databases", name) else { continue };
            if let Some(known) = self.freshly_known(&id).await? {
                own.push(Concerned { server: known.server, key: Some(known.key) });
            }
        }
        let of_the_server = signals.iter().any(|signal| found(&signal) && !of_its_own(&signal));
        let all = own.len() == named.len() && !of_the_server;
        Ok((own, all))
    }

    /// Whether an open incident has the server, whose look reads all of its databases.
    async fn is_looked_after(&self, server: &ResourceId) -> JobResult<bool> {
        let Some(known) = self.freshly_known(server).await? else { return Ok(false) };
        let open = self.store.open_incident(&IncidentKey::vault(&known.key.vault)).await?;
        Ok(open.is_some_and(|(incident, _)| incident.members.contains_key(server.key())))
    }

    /// Remembers the keys of their own that a look saw databases to have. One that was not known and is down is told anew: its
    /// loss went to the server's incident, and belongs to that of its own key.
    pub(super) async fn learn_from(&self, evidence: &Evidence) -> JobResult {
        let now = self.clock.now();
        let mut signals = Vec::new();
        for seen in &evidence.servers {
            let Some(databases) = seen.databases.known() else { continue };
            for database in databases {
                let (Some(key), Ok(id)) = (&database.own_protector, seen.id.child("databases", &database.name)) else {
                    continue;
                };
                if database.is_inaccessible() && self.freshly_known(&id).await?.is_none() {
                    let said = format!("database {} on {} is inaccessible", database.name, seen.id.name());
                    signals.push(Signal::seen_by_us(SignalKind::FoundInaccessible, id.clone(), said, now));
                }
                self.remember(&id, key).await?;
            }
            if seen.id.sql_server().is_some() {
                self.store.keep_fact(ASKED, seen.id.key(), &Value::Null, now).await?;
            }
        }
        if !signals.is_empty() {
            self.store.accept(&signals, now).await?;
            self.wake.now(&self.clock);
        }
        Ok(())
    }

    /// Remembers which of a server's databases have which key, where that is not known yet.
    async fn learn_own_keys(&self, server: &ResourceId, named: &BTreeSet<String>) -> JobResult {
        let now = self.clock.now();
        let asked = self.store.facts(ASKED).await?;
        let known = asked.iter().any(|(key, _, at)| key == server.key() && now < add(*at, ASKED_FOR));
        let crowd = asked.iter().filter(|(_, _, at)| now < add(*at, CROWD_WITHIN)).count() >= CROWD;
        // Where many servers ring it is their vault, and the look at them reads their databases anyway.
        if known || crowd {
            return Ok(());
        }
        self.store.keep_fact(ASKED, server.key(), &Value::Null, now).await?;
        let databases = match self.remembered_databases(server, named).await? {
            Some(databases) => databases,
            // What cannot be read now is found by the look at the server.
            None => match self.azure.databases(server).await {
                Ok(databases) => databases,
                Err(_) => return Ok(()),
            },
        };
        for database in &databases {
            if let (Some(key), Ok(id)) = (&database.own_protector, server.child("databases", &database.name)) {
                self.remember(&id, key).await?;
            }
        }
        Ok(())
    }

    /// The server's databases as they were seen last, if all that are named are among them.
    async fn remembered_databases(
        &self,
        server: &ResourceId,
        named: &BTreeSet<String>,
    ) -> JobResult<Option<Vec<Database>>> {
        let Some((value, _)) = self.store.fact(SERVER_SEEN, server.key()).await? else { return Ok(None) };
        let seen: Option<ServerEvidence> = serde_json::from_value(value).ok();
        let databases = seen.and_then(|seen| seen.databases.known().cloned());
        let all = |databases: &Vec<Database>| {
            named.iter().all(|name| databases.iter().any(|one| one.name.eq_ignore_ascii_case(name)))
        };
        Ok(databases.filter(all))
    }
}
