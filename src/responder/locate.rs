//! From accepted signals to the incident they belong to, or to the finding that none is needed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::concern::{Concerned, is_cause, tells_loss};
use super::glance::Glance;
use super::inventory::{SERVER_KEY, ServerKey};
use super::{JobError, JobResult, Responder};
use crate::clock::add;
use crate::domain::evidence::{Fact, Protector};
use crate::domain::incident::IncidentKey;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::probe;
use crate::store::{NewJob, SignalRef, Work};

/// The kind of fact that remembers that Azure knows no such server.
const GONE: &str = "gone";
/// How long that counts: a flood of forged names must not become a flood of reads.
const STILL_GONE: SignedDuration = SignedDuration::from_mins(2);

/// How long after Azure first said of a server with a loss that there is none it is asked again, and once more. Azure says so
/// now and then of what is there, and an alert that was taken must not end with one wrong answer.
const ASK_AGAIN: [SignedDuration; 2] = [SignedDuration::from_secs(20), SignedDuration::from_secs(100)];

/// The kind of fact that remembers when a subscription's servers were asked for their keys.
const ASKED: &str = "asked";
/// How long they are not asked again because of a vault that nothing is known to depend on.
const ASKED_FOR: SignedDuration = SignedDuration::from_mins(60);

impl Responder {
    /// Takes the stored signals of one target to the incidents they belong to. Incidents are opened under `opening`.
    pub(super) async fn locate(&self, target: &ResourceId, opening: &Mutex<()>) -> JobResult {
        let waiting = self.store.untaken_signals(target).await?;
        if waiting.is_empty() {
            self.look_at_dates(target).await?;
        } else {
            self.locate_all(target, waiting, opening).await?;
        }
        self.keep_watch(target).await
    }

    async fn locate_all(
        &self,
        target: &ResourceId,
        waiting: Vec<(SignalRef, Signal)>,
        opening: &Mutex<()>,
    ) -> JobResult {
        let (ids, signals): (Vec<SignalRef>, Vec<Signal>) = waiting.into_iter().unzip();
        tracing::info!(%target, signals = signals.len(), "looking at what was told");
        if let Some(due) = self.gathers(target, &signals).await? {
            return self.locate_later(target, due).await;
        }
        self.watch_dates(target, &signals).await?;
        let mut concerned = self.concerned(target, &signals).await?;
        concerned.retain(|one| self.policy.scope.covers(&one.server));
        if concerned.is_empty()
            && let Some(due) = self.asks_again(target, &signals).await?
        {
            return self.locate_later(target, due).await;
        }
        if concerned.is_empty() {
            tracing::info!(%target, signals = signals.len(), "no protected server in scope depends on it; nothing to do");
            return Ok(self.store.dismiss(&ids, self.clock.now()).await?);
        }
        // One target belongs to one vault but for scopes above a vault, where each vault gets the signals.
        let groups = by_vault(concerned);
        let taken = if groups.len() == 1 { ids.as_slice() } else { &[] };
        let mut joined = false;
        for group in &groups {
            match self.glance(target, group, &signals).await? {
                Glance::Look => {}
                Glance::Fine => continue,
                Glance::Later(due) => return self.locate_later(target, due).await,
            }
            joined |= self.join(group, &signals, taken, opening).await?;
        }
        if joined && !taken.is_empty() {
            return Ok(());
        }
        Ok(self.store.dismiss(&ids, self.clock.now()).await?)
    }

    async fn locate_later(&self, target: &ResourceId, due: Timestamp) -> JobResult {
        let again = NewJob { work: Work::Locate { target: target.clone() }, due };
        Ok(self.store.enqueue(&again, self.clock.now()).await?)
    }

    /// The servers that the target is, or that depend on it.
    async fn concerned(&self, target: &ResourceId, signals: &[Signal]) -> JobResult<Vec<Concerned>> {
        if let Some(server) = target.database_host() {
            return self.one_server(server, signals).await;
        }
        let known = self.known_servers().await?;
        let kind = target.resource_type();
        let depends = |one: &ServerKey| {
            if let Some(vault) = target.key_vault() {
                one.key.vault.vault_name().eq_ignore_ascii_case(vault.name())
                    && one.vault_id.as_ref().is_none_or(|id| *id == vault)
            } else if kind == "microsoft.managedidentity/userassignedidentities" {
                one.identities.contains(target)
            } else {
                target.contains(&one.server) || one.vault_id.as_ref().is_some_and(|id| target.contains(id))
            }
        };
        let mut concerned: Vec<Concerned> =
            known.into_iter().filter(depends).map(|one| Concerned { server: one.server, key: Some(one.key) }).collect();
        if let Some(vault) = target.key_vault() {
            self.add_from_resource_graph(&vault, &mut concerned).await;
            if concerned.is_empty() {
                concerned = self.first_heard_of(&vault).await?;
            }
        }
        Ok(concerned)
    }

    /// The servers of a vault of which nothing is remembered: the subscription's are asked for their keys, once in a while.
    async fn first_heard_of(&self, vault: &ResourceId) -> JobResult<Vec<Concerned>> {
        let Some(host) = self.azure.endpoints().vault_host(vault.name()) else { return Ok(Vec::new()) };
        let asked = self.store.fact(ASKED, vault.subscription()).await?;
        if asked.is_some_and(|(_, asked)| self.clock.now() < add(asked, ASKED_FOR)) {
            return Ok(Vec::new());
        }
        let found = self.others_of(&host, vault).await?;
        self.store.keep_fact(ASKED, vault.subscription(), &Value::Null, self.clock.now()).await?;
        Ok(found)
    }

    /// When Azure is asked again about a server of which it said that it is gone, although it lost a database.
    async fn asks_again(&self, target: &ResourceId, signals: &[Signal]) -> JobResult<Option<Timestamp>> {
        let loss = signals.iter().any(|signal| tells_loss(signal.kind));
        let Some(server) = target.database_host().filter(|one| loss && self.policy.scope.covers(one)) else {
            return Ok(None);
        };
        let gone = self.store.fact(GONE, server.key()).await?;
        Ok(gone.and_then(|(said, seen)| again_at(&said, seen)).map(|due| due.max(self.clock.now())))
    }

    async fn one_server(&self, server: ResourceId, signals: &[Signal]) -> JobResult<Vec<Concerned>> {
        let gone = self.store.fact(GONE, server.key()).await?;
        let until = gone.map(|(said, seen)| again_at(&said, seen).unwrap_or_else(|| add(seen, STILL_GONE)));
        if until.is_some_and(|until| self.clock.now() < until) {
            return Ok(Vec::new());
        }
        let remembered = self.store.fact(SERVER_KEY, server.key()).await?;
        let remembered: Option<ServerKey> = remembered.and_then(|(value, _)| serde_json::from_value(value).ok());
        let loss = signals.iter().any(|signal| tells_loss(signal.kind));
        if !loss && !self.worth_a_look(&server, signals, remembered.as_ref()).await? {
            return Ok(Vec::new());
        }
        let fresh = self.freshly_known(&server).await?;
        // The server first: while Azure holds requests back, nothing may come before what tells which vault it is.
        let through_the_server = self.through_the_server(server.clone(), loss, remembered, fresh).await?;
        let (mut concerned, all_own) = self.own_keys(&server, signals).await?;
        if !all_own {
            // Where every database that is named has a key of its own, the server's is no concern of theirs.
            concerned.extend(through_the_server);
        }
        Ok(concerned)
    }

    /// The server itself, for the databases that are encrypted through its protector.
    async fn through_the_server(
        &self,
        server: ResourceId,
        loss: bool,
        remembered: Option<ServerKey>,
        fresh: Option<ServerKey>,
    ) -> JobResult<Vec<Concerned>> {
        if let Some(known) = fresh {
            return Ok(vec![Concerned { server, key: Some(known.key) }]);
        }
        let protector = probe::protector(&self.azure, &server).await;
        let key = match protector {
            Fact::Known(protector @ Protector { uri: Some(_), customer_managed: true, .. }) => {
                self.keep_protector(&server, &protector).await?;
                protector.uri
            }
            Fact::Known(_) if !loss => return Ok(Vec::new()),
            Fact::Known(_) => None,
            Fact::Absent => {
                tracing::info!(%server, "Azure knows no such server");
                self.said_to_be_gone(&server, loss).await?;
                return Ok(Vec::new());
            }
            Fact::Denied(_) | Fact::Unknown(_) if remembered.is_some() => remembered.map(|known| known.key),
            Fact::Denied(_) => None,
            // The person on call must hear of a loss even while Azure cannot be read.
            Fact::Unknown(_) if loss => None,
            Fact::Unknown(why) => return Err(JobError::Azure(why)),
        };
        Ok(vec![Concerned { server, key }])
    }

    /// Remembers that Azure knows no such server, and how often it has said so on end where a loss was told.
    async fn said_to_be_gone(&self, server: &ResourceId, loss: bool) -> JobResult {
        let now = self.clock.now();
        let before = self.store.fact(GONE, server.key()).await?;
        // What was said in another hour is another story.
        let recent = before.filter(|(_, seen)| now < add(*seen, SignedDuration::from_mins(10)));
        let times = recent.map_or(0, |(said, _)| said["times"].as_u64().unwrap_or_default());
        let said = if loss { json!({ "times": times.saturating_add(1) }) } else { Value::Null };
        Ok(self.store.keep_fact(GONE, server.key(), &said, now).await?)
    }

    /// Whether signals that tell of no loss by themselves deserve more than a glance.
    async fn worth_a_look(
        &self,
        server: &ResourceId,
        signals: &[Signal],
        remembered: Option<&ServerKey>,
    ) -> JobResult<bool> {
        if let Some(known) = remembered
            && self.store.open_incident(&IncidentKey::vault(&known.key.vault)).await?.is_some()
        {
            return Ok(true);
        }
        if signals.iter().any(|signal| is_cause(signal.kind)) {
            return Ok(true);
        }
        // A database was written, or its health changed, and no event name says why: Azure knows.
        if signals.iter().any(|signal| matches!(signal.kind, SignalKind::DatabaseChanged | SignalKind::HealthChanged)) {
            return Ok(match probe::inaccessible_databases(&self.azure, server).await {
                Fact::Known(names) => !names.is_empty(),
                Fact::Unknown(why) => return Err(JobError::Azure(why)),
                Fact::Absent | Fact::Denied(_) => false,
            });
        }
        Ok(false)
    }
}

/// When to ask again after what was said of a server that is gone; not at all, once it was said often enough.
fn again_at(said: &Value, seen: Timestamp) -> Option<Timestamp> {
    let times = usize::try_from(said["times"].as_u64()?).ok()?;
    ASK_AGAIN.get(times.checked_sub(1)?).map(|wait| add(seen, *wait))
}

fn by_vault(concerned: Vec<Concerned>) -> Vec<Vec<Concerned>> {
    let mut groups: Vec<Vec<Concerned>> = Vec::new();
    for one in concerned {
        let same = |group: &Vec<Concerned>| match (&one.key, group.first().and_then(|first| first.key.as_ref())) {
            (Some(a), Some(b)) => a.vault == b.vault,
            _ => false,
        };
        match groups.iter().position(same) {
            Some(at) => groups[at].push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}
