//! A glance at the vault's side of the chain, for a change that may have taken a key away and probably has not.
//!
//! Most changes of vaults, roles and servers are harmless. What is remembered of the servers is not read again, so a glance
//! costs the same for one server as for a hundred: the vault, the key versions in use, grants, denials, locks and the log.
//! Where all is well nobody hears of it; where it is not, an incident opens before SQL has noticed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::concern::{Concerned, is_cause, is_our_own};
use super::inventory::JUST_READ;
use super::{JobResult, Responder, schedule};
use crate::clock::add;
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{Database, Evidence, Fact, ServerEvidence};
use crate::domain::incident::{Incident, IncidentKey};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::probe::{self, Question};
use crate::store::StoreError;

/// The kind of fact that remembers a server as it was read last, without its databases' settings.
pub(super) const SERVER_SEEN: &str = "server_seen";
/// How long that is relied on.
const RELIED_ON: SignedDuration = SignedDuration::from_hours(24);
/// Younger than this, an unchanged memory is not written again.
const YOUNG: SignedDuration = SignedDuration::from_hours(12);
/// Incidents that are looked through for the one whose changes are told late.
const BEFORE: usize = 200;
/// The kind of fact that remembers when a vault was glanced at, and found well.
const GLANCED: &str = "glanced";

/// What came of a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glance {
    /// Every link is right: nothing to tell.
    Fine,
    /// Something is wrong, or cannot be told: an incident.
    Look,
    /// It was glanced at moments ago: what comes until then is looked at together.
    Later(Timestamp),
}

impl Responder {
    /// Glances at what these signals concern, if they are of the kind that is mostly harmless.
    pub(super) async fn glance(
        &self,
        target: &ResourceId,
        group: &[Concerned],
        signals: &[Signal],
    ) -> JobResult<Glance> {
        let Some(key) = group.first().and_then(|one| one.key.as_ref()) else { return Ok(Glance::Look) };
        let incident = IncidentKey::vault(&key.vault);
        if !all_harmless(signals) || self.store.open_incident(&incident).await?.is_some() {
            return Ok(Glance::Look);
        }
        if self.are_all_our_own(&incident, signals).await? {
            return Ok(Glance::Fine);
        }
        if let Some(due) = self.glanced(&key.vault).await? {
            return Ok(Glance::Later(due));
        }
        let now = self.clock.now();
        let mut draft = Incident::open(self.ids.incident(now), incident, self.policy.window_minutes, now);
        draft.vault = Some(key.vault.clone());
        for one in group {
            draft.add_member(&one.server, one.key.clone());
        }
        let evidence = probe::observe(&self.azure, &self.glance_at(target, group, now).await?).await;
        self.keep_seen(&evidence).await?;
        let diagnosis = diagnose(&evidence, &draft, &self.policy);
        self.warn_beside(&evidence, &diagnosis).await?;
        self.watch_by(target, &evidence, &diagnosis).await?;
        let cause = diagnosis.cause();
        if cause != Cause::Healthy {
            tracing::info!(vault = %key.vault, ?cause, "a change has taken a key away, or is about to");
            return Ok(Glance::Look);
        }
        self.remember_vault(&mut draft, &evidence).await?;
        self.store.keep_fact(GLANCED, key.vault.as_str(), &Value::Null, now).await?;
        tracing::info!(vault = %key.vault, servers = group.len(), "a change that takes no key away; nothing to do");
        Ok(Glance::Fine)
    }

    /// Whether they all are late echoes of changes that incidents before made there.
    async fn are_all_our_own(&self, key: &IncidentKey, signals: &[Signal]) -> JobResult<bool> {
        if signals.iter().any(|signal| signal.correlation_id.is_none()) {
            return Ok(false);
        }
        let mut before = self.store.incidents(false, BEFORE).await?;
        before.retain(|incident| incident.key == *key);
        Ok(signals.iter().all(|signal| before.iter().any(|incident| is_our_own(incident, signal))))
    }

    /// When signals about a vault are looked at together, if it was glanced at moments ago.
    pub(super) async fn gathers(&self, target: &ResourceId, signals: &[Signal]) -> JobResult<Option<Timestamp>> {
        let host = target.key_vault().and_then(|vault| self.azure.endpoints().vault_host(vault.name()));
        match host {
            Some(host) if all_harmless(signals) => self.glanced(&host).await,
            _ => Ok(None),
        }
    }

    async fn glanced(&self, vault: &VaultHost) -> JobResult<Option<Timestamp>> {
        let glanced = self.store.fact(GLANCED, vault.as_str()).await?;
        Ok(glanced.map(|(_, at)| add(at, schedule::GATHER)).filter(|due| self.clock.now() < *due))
    }

    /// The vault's side, and of the servers only what is not remembered, or is what was changed.
    async fn glance_at(&self, target: &ResourceId, group: &[Concerned], now: Timestamp) -> JobResult<Question> {
        let changed = target.database_host();
        let mut remembered = self.seen(add(now, -RELIED_ON)).await?;
        remembered.retain(|server, _| Some(server) != changed.as_ref());
        let host = group.first().and_then(|one| one.key.as_ref()).map(|key| key.vault.clone());
        let known = self.known_servers().await?.into_iter().filter(|one| Some(&one.key.vault) == host.as_ref());
        let vault_id = target.key_vault().or_else(|| known.filter_map(|one| one.vault_id).next());
        let servers: Vec<ResourceId> = group.iter().map(|one| one.server.clone()).collect();
        Ok(Question {
            vault: host,
            vault_id,
            keys: group.iter().filter_map(|one| one.key.clone()).collect(),
            protectors: self.just_read(&servers).await?,
            remembered,
            partners_of: self.partners_of(&servers).await?,
            ahead: self.policy.extends_ahead().unwrap_or_default(),
            ..Question::new(servers, now)
        })
    }

    async fn seen(&self, since: Timestamp) -> JobResult<BTreeMap<ResourceId, ServerEvidence>> {
        let facts = self.store.facts(SERVER_SEEN).await?;
        let young = facts.into_iter().filter(|(_, _, kept)| *kept >= since);
        let read = young.filter_map(|(_, value, _)| serde_json::from_value::<ServerEvidence>(value).ok());
        Ok(read.map(|seen| (seen.id.clone(), seen)).collect())
    }

    /// The linked keys that a glance has just read, for the look that follows it. Everything else is looked at anew.
    pub(super) async fn keys_just_read(&self) -> JobResult<BTreeMap<ResourceId, ServerEvidence>> {
        let mut seen = self.seen(add(self.clock.now(), -JUST_READ)).await?;
        for one in seen.values_mut() {
            let linked_keys = std::mem::take(&mut one.linked_keys);
            *one = ServerEvidence { linked_keys, ..ServerEvidence::unread(one.id.clone()) };
        }
        Ok(seen)
    }

    /// Remembers the servers of a look for the glances to come.
    pub(super) async fn keep_seen(&self, evidence: &Evidence) -> JobResult {
        let now = self.clock.now();
        let before = self.seen(add(now, -YOUNG)).await?;
        for seen in &evidence.servers {
            let seen = to_remember(seen);
            let whole = seen.server.known().is_some() && seen.protector.known().is_some();
            if whole && before.get(&seen.id) != Some(&seen) {
                let value = serde_json::to_value(&seen).unwrap_or_default();
                self.store.keep_fact(SERVER_SEEN, seen.id.key(), &value, now).await?;
            }
        }
        Ok(self.keep_partners(&evidence.servers).await?)
    }

    /// The same for one server, where it is new, has changed or was kept long ago.
    pub(super) async fn keep_server_seen(&self, seen: &ServerEvidence) -> Result<(), StoreError> {
        let now = self.clock.now();
        let seen = to_remember(seen);
        let before = self.store.fact(SERVER_SEEN, seen.id.key()).await?;
        let value = serde_json::to_value(&seen).unwrap_or_default();
        if before.is_none_or(|(before, kept)| before != value || kept < add(now, -YOUNG)) {
            self.store.keep_fact(SERVER_SEEN, seen.id.key(), &value, now).await?;
        }
        Ok(())
    }
}

/// A server to be remembered. Its geo-replication links never are: an ended one must not bring a grant back.
fn to_remember(seen: &ServerEvidence) -> ServerEvidence {
    ServerEvidence { databases: in_service(&seen.databases), links: Fact::default(), ..seen.clone() }
}

/// Databases to be remembered, without their settings. That one is down is never taken from memory.
fn in_service(databases: &Fact<Vec<Database>>) -> Fact<Vec<Database>> {
    match databases {
        Fact::Known(all) if all.iter().all(Database::is_in_service) => {
            let plain = |one: &Database| Database { settings: BTreeMap::new(), ..one.clone() };
            Fact::Known(all.iter().map(plain).collect())
        }
        _ => Fact::Unknown("not remembered".to_owned()),
    }
}

fn all_harmless(signals: &[Signal]) -> bool {
    signals.iter().all(|signal| is_mostly_harmless(signal.kind))
}

/// Whether a signal tells of a change, and of nothing that was lost or found lost.
const fn is_mostly_harmless(kind: SignalKind) -> bool {
    is_cause(kind) && !matches!(kind, SignalKind::FoundBroken)
        || matches!(kind, SignalKind::LockChanged | SignalKind::KeyNearExpiry | SignalKind::KeyRotated)
}
