//! From accepted signals to the incident they belong to, or to the finding that none is needed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{JobError, JobResult, Responder, look, schedule};
use crate::clock::add;
use crate::domain::evidence::{Fact, Protector};
use crate::domain::incident::{EntryKind, Incident, IncidentKey};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::notify::texts;
use crate::probe;
use crate::store::{NewJob, Version, Work};

/// The kind of fact that remembers which key a server's protector names.
pub const SERVER_KEY: &str = "server_key";

/// The kind of fact that remembers when a server was seen, after an incident, with no database down.
const SEEN_WHOLE: &str = "seen_whole";
/// How long that counts.
const STILL_WHOLE: SignedDuration = SignedDuration::from_secs(30);

/// The kind of fact that keeps a protector as it was read when an incident opened.
const PROTECTOR: &str = "protector";
/// How long it is taken for what the first look at the incident would read.
const JUST_READ: SignedDuration = SignedDuration::from_secs(30);

/// How long a key that was read counts as read.
const FRESH: SignedDuration = SignedDuration::from_mins(60);
/// At most so many servers are asked for their key when an incident opens.
const DISCOVER: usize = 200;

/// What is remembered of a server between incidents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerKey {
    /// Which server.
    pub server: ResourceId,
    /// Its protector's key.
    pub key: KeyUri,
    /// The vault's resource id, once seen.
    pub vault_id: Option<ResourceId>,
    /// User-assigned identities it has.
    pub identities: Vec<ResourceId>,
}

/// A server that signals concern, with its key if that could be told.
struct Concerned {
    server: ResourceId,
    key: Option<KeyUri>,
}

impl Responder {
    /// Takes the stored signals of one target to the incidents they belong to. Incidents are opened under `opening`.
    pub(super) async fn locate(&self, target: &ResourceId, opening: &Mutex<()>) -> JobResult {
        let waiting = self.store.untaken_signals(target).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let (ids, signals): (Vec<i64>, Vec<Signal>) = waiting.into_iter().unzip();
        if let Some(instance) = target.managed_instance().filter(|instance| self.policy.scope.covers(instance)) {
            return self.managed_instance(&instance, &signals, &ids).await;
        }
        let mut concerned = self.concerned(target, &signals).await?;
        concerned.retain(|one| self.policy.scope.covers(&one.server));
        if concerned.is_empty() {
            tracing::info!(%target, signals = signals.len(), "no protected server in scope depends on it; nothing to do");
            return Ok(self.store.dismiss(&ids, self.clock.now()).await?);
        }
        // One target belongs to one vault but for scopes above a vault, where each vault gets the signals.
        let groups = by_vault(concerned);
        let taken = if groups.len() == 1 { ids.as_slice() } else { &[] };
        for group in &groups {
            self.join(group, &signals, taken, opening).await?;
        }
        Ok(self.store.dismiss(&ids, self.clock.now()).await?)
    }

    /// The servers that the target is, or that depend on it.
    async fn concerned(&self, target: &ResourceId, signals: &[Signal]) -> JobResult<Vec<Concerned>> {
        if let Some(server) = target.sql_server() {
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
        }
        Ok(concerned)
    }

    /// Servers that Azure's inventory knows to use the vault. It is not complete, and being without it is no error.
    async fn add_from_resource_graph(&self, vault: &ResourceId, concerned: &mut Vec<Concerned>) {
        let Some(host) = self.azure.endpoints().vault_host(vault.name()) else { return };
        let subscriptions = self.policy.scope.subscriptions.clone();
        if let Fact::Known(servers) = probe::servers_of_vault(&self.azure, &host, &subscriptions).await {
            for server in servers {
                if !concerned.iter().any(|one| one.server == server) {
                    let key = match probe::protector(&self.azure, &server).await {
                        Fact::Known(Protector { uri: Some(uri), .. }) if uri.vault == host => uri,
                        _ => continue,
                    };
                    concerned.push(Concerned { server, key: Some(key) });
                }
            }
        }
    }

    async fn one_server(&self, server: ResourceId, signals: &[Signal]) -> JobResult<Vec<Concerned>> {
        let remembered = self.store.fact(SERVER_KEY, server.key()).await?;
        let remembered: Option<ServerKey> = remembered.and_then(|(value, _)| serde_json::from_value(value).ok());
        let loss = signals.iter().any(|signal| tells_loss(signal.kind));
        if !loss && !self.worth_a_look(&server, signals, remembered.as_ref()).await? {
            return Ok(Vec::new());
        }
        if let Some(known) = self.freshly_known(&server).await? {
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
                tracing::info!(%server, "the server is gone; nothing to do");
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

    /// The server's key, if it was read moments ago: one of many alerts of one loss.
    async fn freshly_known(&self, server: &ResourceId) -> JobResult<Option<ServerKey>> {
        let Some((value, kept)) = self.store.fact(SERVER_KEY, server.key()).await? else { return Ok(None) };
        let fresh = self.clock.now() < add(kept, FRESH);
        Ok(serde_json::from_value(value).ok().filter(|_| fresh))
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

    /// Remembers which key a server needs, for the day when it cannot be asked.
    pub(super) async fn remember(&self, server: &ResourceId, key: &KeyUri) -> JobResult {
        let known = ServerKey { server: server.clone(), key: key.clone(), vault_id: None, identities: Vec::new() };
        let before = self.store.fact(SERVER_KEY, server.key()).await?;
        let before: Option<ServerKey> = before.and_then(|(value, _)| serde_json::from_value(value).ok());
        let known = before.filter(|before| before.key == known.key).unwrap_or(known);
        let value = serde_json::to_value(&known).unwrap_or_default();
        Ok(self.store.keep_fact(SERVER_KEY, server.key(), &value, self.clock.now()).await?)
    }

    /// Keeps a protector that was just read for the look that follows, and its key for longer.
    async fn keep_protector(&self, server: &ResourceId, protector: &Protector) -> JobResult {
        let Some(uri) = &protector.uri else { return Ok(()) };
        self.remember(server, uri).await?;
        let value = serde_json::to_value(protector).unwrap_or_default();
        Ok(self.store.keep_fact(PROTECTOR, server.key(), &value, self.clock.now()).await?)
    }

    /// The protectors of these servers that were read moments ago.
    pub(super) async fn just_read(&self, servers: &[ResourceId]) -> JobResult<BTreeMap<ResourceId, Protector>> {
        let since = add(self.clock.now(), -JUST_READ);
        let mut read = BTreeMap::new();
        for server in servers {
            if let Some((value, kept)) = self.store.fact(PROTECTOR, server.key()).await?
                && kept >= since
                && let Ok(protector) = serde_json::from_value(value)
            {
                read.insert(server.clone(), protector);
            }
        }
        Ok(read)
    }

    async fn known_servers(&self) -> JobResult<Vec<ServerKey>> {
        let facts = self.store.facts(SERVER_KEY).await?;
        Ok(facts.into_iter().filter_map(|(_, value, _)| serde_json::from_value(value).ok()).collect())
    }

    /// Adds servers and signals to the vault's open incident, or opens one.
    async fn join(&self, group: &[Concerned], signals: &[Signal], taken: &[i64], opening: &Mutex<()>) -> JobResult {
        let Some(first) = group.first() else { return Ok(()) };
        let key =
            first.key.as_ref().map_or_else(|| IncidentKey::server(&first.server), |key| IncidentKey::vault(&key.vault));
        let mut known = self.store.open_incident(&key).await?;
        // The alerts of one loss come together. One of them finds the vault's servers; the others wait for that, since
        // each server would be read once for each of them.
        let mut _turn = None;
        if known.is_none() {
            _turn = Some(opening.lock().await);
            known = self.store.open_incident(&key).await?;
        }
        let now = self.clock.now();
        let (mut incident, version) = match known {
            Some((incident, version)) => (incident, Some(version)),
            None if self.is_old_news(&key, group, signals).await? => {
                tracing::info!(key = key.0, "the alerts tell of a loss that is over already");
                return Ok(());
            }
            None => (Incident::open(self.ids.incident(now), key.clone(), self.policy.window_minutes, now), None),
        };
        let vault = first.key.as_ref().map(|key| &key.vault);
        let mut news = welcome(&mut incident, group, signals, vault, now);
        if let (None, Some(vault)) = (version, vault) {
            let others = self.others_of(vault, &first.server).await?;
            news |= welcome(&mut incident, &others, &[], Some(vault), now);
        }
        self.save_joined(&incident, version, news, taken, now).await
    }

    /// The other servers in the subscription that depend on the vault: what takes the key from one takes it from all, and
    /// waiting for each one's alert would mean repairing them one by one.
    async fn others_of(&self, vault: &VaultHost, first: &ResourceId) -> JobResult<Vec<Concerned>> {
        let known = self.known_servers().await?;
        let mut all = match self.azure.servers_in(first.subscription()).await {
            Ok(listed) => listed.into_keys().collect(),
            Err(error) => {
                tracing::info!(%error, "the subscription's servers could not be listed; their own alerts will name them");
                Vec::new()
            }
        };
        all.retain(|server: &ResourceId| server != first && self.policy.scope.covers(server));
        let (told, unknown): (Vec<ResourceId>, Vec<ResourceId>) =
            all.into_iter().partition(|server| known.iter().any(|one| one.server == *server));
        if unknown.len() > DISCOVER {
            tracing::info!(servers = unknown.len(), "too many servers to ask each for its key now");
        }
        let asked: Vec<ResourceId> = unknown.into_iter().take(DISCOVER).collect();
        for (server, protector) in probe::protectors(&self.azure, &asked).await {
            if let Fact::Known(protector @ Protector { customer_managed: true, .. }) = protector {
                self.keep_protector(&server, &protector).await?;
            }
        }
        let known = if asked.is_empty() { known } else { self.known_servers().await? };
        let depends =
            |one: &ServerKey| one.key.vault == *vault && (told.contains(&one.server) || asked.contains(&one.server));
        Ok(known.into_iter().filter(depends).map(|one| Concerned { server: one.server, key: Some(one.key) }).collect())
    }

    async fn save_joined(
        &self,
        incident: &Incident,
        version: Option<Version>,
        news: bool,
        taken: &[i64],
        now: Timestamp,
    ) -> JobResult {
        let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: add(now, schedule::GATHER) };
        let jobs = if news || version.is_none() { vec![pass] } else { Vec::new() };
        self.store.save(incident, version, &jobs, taken, now).await?;
        if version.is_none() {
            tracing::info!(incident = %incident.id, key = incident.key.0, "incident opened");
        }
        self.wake.now(&self.clock);
        Ok(())
    }

    /// Alerts can come in long after the end of the incident they belong to. They open no second one, unless a
    /// database is down now.
    async fn is_old_news(&self, key: &IncidentKey, group: &[Concerned], signals: &[Signal]) -> JobResult<bool> {
        let ended = self.store.incidents(false, 200).await?;
        let Some(end) = ended.iter().filter(|past| past.key == *key).filter_map(|past| past.ended_at).max() else {
            return Ok(false);
        };
        let before = |signal: &Signal| signal.occurred_at.is_some_and(|at| at <= end);
        if !signals.iter().all(before) {
            return Ok(false);
        }
        for one in group {
            if !self.is_whole(&one.server).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no database of the server is down. Late alerts come in crowds: what was read moments ago counts as read.
    async fn is_whole(&self, server: &ResourceId) -> JobResult<bool> {
        let now = self.clock.now();
        if let Some((_, seen)) = self.store.fact(SEEN_WHOLE, server.key()).await?
            && now < add(seen, STILL_WHOLE)
        {
            return Ok(true);
        }
        let Fact::Known(names) = probe::inaccessible_databases(&self.azure, server).await else { return Ok(false) };
        if names.is_empty() {
            self.store.keep_fact(SEEN_WHOLE, server.key(), &Value::Null, now).await?;
        }
        Ok(names.is_empty())
    }
}

/// Takes servers and signals in; says whether a pass should look soon because of it.
fn welcome(
    incident: &mut Incident,
    group: &[Concerned],
    signals: &[Signal],
    vault: Option<&VaultHost>,
    now: Timestamp,
) -> bool {
    let mut news = false;
    let mut new = Vec::new();
    if incident.vault.is_none() {
        incident.vault = vault.cloned();
    }
    for one in group {
        let known = incident.members.contains_key(one.server.key());
        incident.add_member(&one.server, one.key.clone());
        if !known {
            news = true;
            new.push(one.server.name());
        }
    }
    if !new.is_empty() {
        let depend = if new.len() == 1 { "depends" } else { "depend" };
        incident.note(now, EntryKind::Noticed, format!("{} {depend} on that key", texts::words::list(&new, 3)));
    }
    for signal in signals {
        let over = incident.window_said_over;
        incident.take(signal, now);
        // With many servers the schedule finds out by itself; a look for each restored database would be a storm of reads.
        let restored = signal.kind == SignalKind::RestoreSucceeded && incident.members.len() <= look::FEW_SERVERS;
        news |= restored
            || signal.kind == SignalKind::RestoreFailed
            || is_cause(signal.kind)
            || incident.window_said_over && !over;
    }
    if let Some(line) = heard(signals, incident.members.len() > look::FEW_SERVERS) {
        incident.note(now, EntryKind::Noticed, line);
    }
    news
}

/// One line for a batch of signals; with many servers, the same one for all of a kind.
fn heard(signals: &[Signal], many: bool) -> Option<String> {
    let first = signals.first()?;
    if many {
        return Some(format!("Azure about databases of these servers: {}", words(first.kind)));
    }
    let more = match signals.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("Azure about {}{more}: {}", first.target.name(), words(first.kind)))
}

/// A signal's kind in words.
const fn words(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::AccessLost => "access to the key is lost",
        SignalKind::WaitingForAccess => "it waits for access to the key",
        SignalKind::SelfHealEnded => "the self-heal window is over",
        SignalKind::RestoreStarted => "access is back and the database is being restored",
        SignalKind::RestoreSucceeded => "the database is online again",
        SignalKind::RestoreFailed => "restoring the database failed",
        SignalKind::VaultDeleted => "the vault was deleted",
        SignalKind::VaultChanged => "the vault was changed",
        SignalKind::AccessPolicyChanged => "an access policy was changed",
        SignalKind::RoleAssignmentChanged => "a role assignment was changed",
        SignalKind::ServerChanged => "the server was changed",
        SignalKind::ProtectorChanged => "the TDE protector was changed",
        SignalKind::ServerKeyChanged => "a server key was changed",
        SignalKind::IdentityDeleted => "an identity was deleted",
        SignalKind::LockChanged => "a lock was changed",
        SignalKind::KeyNearExpiry => "a key expires soon",
        SignalKind::KeyExpired => "a key has expired",
        SignalKind::KeyRotated => "a key has a new version",
        SignalKind::HealthChanged => "the health changed",
        SignalKind::DatabaseChanged => "the database was changed",
    }
}

/// Whether a signal says that a database has lost its key.
const fn tells_loss(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::AccessLost | SignalKind::WaitingForAccess | SignalKind::SelfHealEnded | SignalKind::RestoreFailed
    )
}

/// Whether a signal tells of a change that may take access away.
const fn is_cause(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::VaultDeleted
            | SignalKind::VaultChanged
            | SignalKind::AccessPolicyChanged
            | SignalKind::RoleAssignmentChanged
            | SignalKind::ServerChanged
            | SignalKind::ProtectorChanged
            | SignalKind::ServerKeyChanged
            | SignalKind::IdentityDeleted
            | SignalKind::KeyExpired
    )
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

/// How long an alert without a real loss behind it is watched before it is called false: longer than SQL's own key
/// check takes to show a loss (up to 10 minutes by documentation).
pub const FALSE_ALARM_WATCH: SignedDuration = SignedDuration::from_mins(12);
