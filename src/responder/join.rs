//! Adds servers and signals to the incident they belong to, or opens one.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;

use super::concern::{Concerned, is_cause, is_our_own, tells_loss};
use super::{JobResult, Responder, schedule};
use crate::clock::add;
use crate::domain::evidence::Fact;
use crate::domain::incident::{EntryKind, Incident, IncidentKey};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::notify::texts;
use crate::probe;
use crate::store::{NewJob, SignalRef, Version, Work};
use crate::telemetry::milestones;

/// The kind of fact that remembers when a server was seen, after an incident, with no database down.
const SEEN_WHOLE: &str = "seen_whole";
/// How long that counts.
const STILL_WHOLE: SignedDuration = SignedDuration::from_secs(30);

/// Where a server is looked for whose key is not known: more are not open at a time.
const OPEN_INCIDENTS: usize = 200;

/// By how much Azure's clocks and ours may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

impl Responder {
    /// Adds servers and signals to the vault's open incident, or opens one, and stores with it that `taken` are. Answers
    /// `false` if there is no need of an incident.
    pub(super) async fn join(
        &self,
        group: &[Concerned],
        signals: &[Signal],
        taken: &[SignalRef],
        opening: &Mutex<()>,
    ) -> JobResult<bool> {
        let Some(first) = group.first() else { return Ok(false) };
        let key =
            first.key.as_ref().map_or_else(|| IncidentKey::server(&first.server), |key| IncidentKey::vault(&key.vault));
        let mut known = self.open_incident_of(&key, group).await?;
        // The alerts of one loss come together. One of them finds the vault's servers; the others wait for that, since
        // each server would be read once for each of them.
        let mut _turn = None;
        if known.is_none() {
            _turn = Some(opening.lock().await);
            known = self.open_incident_of(&key, group).await?;
        }
        let now = self.clock.now();
        let (mut incident, version) = match known {
            Some((incident, version)) => (incident, Some(version)),
            None if self.is_old_news(&key, group, signals).await? => {
                tracing::info!(key = key.0, "the alerts tell of a loss that is over already");
                return Ok(false);
            }
            None => (Incident::open(self.ids.incident(now), key.clone(), self.policy.window_minutes, now), None),
        };
        let vault = first.key.as_ref().map(|key| &key.vault);
        let mut news = welcome(&mut incident, group, signals, vault, now);
        if let (None, Some(vault)) = (version, vault) {
            let others = self.others_of(vault, &first.server).await?;
            news |= welcome(&mut incident, &others, &[], Some(vault), now);
        }
        let is_early = version.is_none() && !signals.iter().any(|signal| tells_loss(signal.kind));
        let due = add(now, if is_early { schedule::GATHER_CAUSES } else { schedule::GATHER });
        let jobs =
            (news || version.is_none()).then(|| NewJob { work: Work::Pass { incident: incident.id.clone() }, due });
        self.save_joined(&incident, version, jobs.as_slice(), taken, now).await?;
        Ok(true)
    }

    /// The open incident that the servers belong to. While Azure holds requests back, one alert may have opened an incident of
    /// the server alone, since nobody could tell its key, and another one can: both are the same loss.
    async fn open_incident_of(&self, key: &IncidentKey, group: &[Concerned]) -> JobResult<Option<(Incident, Version)>> {
        if let Some(open) = self.store.open_incident(key).await? {
            return Ok(Some(open));
        }
        let [only] = group else { return Ok(None) };
        let Some(known) = &only.key else {
            let open = self.store.incidents(true, OPEN_INCIDENTS).await?;
            let holds_it = |one: &Incident| one.members.contains_key(only.server.key());
            let Some(open) = open.into_iter().find(holds_it) else { return Ok(None) };
            return Ok(self.store.incident(&open.id).await?.filter(|(open, _)| open.ended_at.is_none()));
        };
        let open = self.store.open_incident(&IncidentKey::server(&only.server)).await?;
        Ok(open.filter(|(open, _)| open.vault.as_ref().is_none_or(|vault| *vault == known.vault)))
    }

    async fn save_joined(
        &self,
        incident: &Incident,
        version: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> JobResult {
        self.store.save(incident, version, jobs, taken, now).await?;
        if version.is_none() {
            milestones::count(None, incident, now);
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
        let restored = signal.kind == SignalKind::RestoreSucceeded && incident.members.len() <= schedule::FEW_SERVERS;
        news |= restored
            || signal.kind == SignalKind::RestoreFailed
            || is_cause(signal.kind) && !is_our_own(incident, signal) && !was_seen(incident, signal)
            || incident.window_said_over && !over;
    }
    if let Some(line) = heard(signals, incident.members.len() > schedule::FEW_SERVERS) {
        incident.note(now, EntryKind::Noticed, line);
    }
    news
}

/// Whether a change that a signal tells of was there to be seen when every server was last looked at: the logs are late.
fn was_seen(incident: &Incident, signal: &Signal) -> bool {
    let looked = incident.members.values().map(|member| member.observed_at).min().flatten();
    // The log's clock and ours need not agree to the second.
    looked.zip(signal.occurred_at).is_some_and(|(looked, made)| add(made, CLOCKS_DIFFER) < looked)
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
        SignalKind::FoundBroken => "our patrol saw that something is wrong with its key",
        SignalKind::FoundInaccessible => "our patrol saw that it is inaccessible",
    }
}
