//! Databases with keys of their own: the loss of one belongs to the incident of its own key's vault, whatever becomes of its
//! server's key.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::Value;

use super::glance::SERVER_SEEN;
use super::locate::{Concerned, tells_loss};
use super::{JobResult, Responder};
use crate::clock::add;
use crate::domain::evidence::{Database, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;

/// The kind of fact that remembers when a server's databases were asked for keys of their own.
const ASKED: &str = "own_keys_asked";
/// How long they are not asked again: the alerts of one loss come in crowds.
const ASKED_FOR: SignedDuration = SignedDuration::from_mins(10);

impl Responder {
    /// The databases with a key of their own among those whose loss is told, and whether no other database is named. One
    /// request, or none where the databases are remembered or were asked moments ago.
    pub(super) async fn own_keys(&self, server: &ResourceId, signals: &[Signal]) -> JobResult<(Vec<Concerned>, bool)> {
        let losses = signals.iter().filter(|signal| tells_loss(signal.kind));
        let named: Option<BTreeSet<String>> =
            losses.map(|signal| signal.target.sql_database().map(str::to_ascii_lowercase)).collect();
        let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok((Vec::new(), false)) };
        if server.sql_server().is_none() {
            // Neither an instance's databases nor a workspace's pools can have one.
            return Ok((Vec::new(), false));
        }
        self.learn_own_keys(server, &named).await?;
        let mut own = Vec::new();
        for name in &named {
            let Ok(id) = server.child("databases", name) else { continue };
            if let Some(known) = self.freshly_known(&id).await? {
                own.push(Concerned { server: known.server, key: Some(known.key) });
            }
        }
        let all = own.len() == named.len();
        Ok((own, all))
    }

    /// Remembers which of a server's databases have which key, where that is not known yet.
    async fn learn_own_keys(&self, server: &ResourceId, named: &BTreeSet<String>) -> JobResult {
        let now = self.clock.now();
        let asked = self.store.fact(ASKED, server.key()).await?;
        if asked.is_some_and(|(_, at)| now < add(at, ASKED_FOR)) {
            return Ok(());
        }
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
        Ok(self.store.keep_fact(ASKED, server.key(), &Value::Null, now).await?)
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
