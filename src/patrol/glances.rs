//! Each vault from its own side: the vault, its keys, the grants on them, locks and denials. With what is remembered of the
//! servers that is a handful of requests, for one server as for a hundred.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::estate::Estate;
use super::round::Beat;
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::Cause;
use crate::domain::evidence::Evidence;
use crate::domain::incident::{Incident, IncidentKey};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::SignalKind;
use crate::probe::{self, Question};
use crate::responder::JobError;
use crate::store::StoreError;

/// What a glance may cost where nothing is wrong; a vault is left for the next round if less is left.
const COST: usize = 10;

/// Glances at every vault that the allowance lets us, the longest unseen first.
pub(super) async fn all(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let vaults = estate.by_vault();
    let gone: Vec<VaultHost> = estate.glanced.keys().filter(|host| !vaults.contains_key(*host)).cloned().collect();
    let mut turn: Vec<_> =
        vaults.into_iter().map(|(host, known)| (estate.glanced.get(&host).copied(), host, known)).collect();
    turn.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut glanced = Vec::new();
    for (_, host, known) in turn {
        if beat.allowance.left() < COST {
            break;
        }
        // Who is at work on it looks closer than we do.
        if beat.responder.store.open_incident(&IncidentKey::vault(&host)).await?.is_some() {
            continue;
        }
        let servers: Vec<ResourceId> = known.iter().map(|known| known.seen.id.clone()).collect();
        let question = Question {
            vault: Some(host.clone()),
            vault_id: beat.responder.vault_id_of(&host, &servers).await?,
            keys: known.iter().filter_map(|known| known.key().cloned()).collect(),
            remembered: known.iter().map(|known| (known.seen.id.clone(), known.seen.clone())).collect(),
            ..Question::new(servers.clone(), now)
        };
        let sent = AtomicUsize::new(0);
        let count = |progress: probe::Progress| sent.store(progress.asked, Ordering::Relaxed);
        let evidence = probe::observe_telling(&beat.responder.azure, &question, &count).await;
        beat.allowance.spend(sent.load(Ordering::Relaxed));
        beat.round.vaults += 1;
        glanced.push(host.clone());
        judge(beat, &host, &servers, &evidence).await?;
    }
    for host in gone {
        estate.glanced.remove(&host);
    }
    estate.glanced.extend(glanced.into_iter().map(|host| (host, now)));
    Ok(())
}

async fn judge(
    beat: &mut Beat<'_>,
    host: &VaultHost,
    servers: &[ResourceId],
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let key = IncidentKey::vault(host);
    let mut draft = Incident::open(beat.responder.ids.incident(now), key, beat.responder.policy.window_minutes, now);
    draft.vault = Some(host.clone());
    for seen in &evidence.servers {
        draft.add_member(&seen.id, seen.protector.known().and_then(|protector| protector.uri.clone()));
    }
    let diagnosis = diagnose(evidence, &draft, &beat.responder.policy);
    beat.responder.patrol_found_vault(&draft, evidence).await?;
    match beat.responder.warn_of_expiry(evidence).await {
        Ok(told) => beat.round.warned += told,
        Err(JobError::Store(error)) => return Err(error),
        Err(error) => tracing::warn!(%error, "a warning of an expiring key could not be given"),
    }
    if let Some(first) = diagnosis.findings.iter().find(|finding| is_broken(finding.cause)) {
        let at = first.servers.first().or_else(|| servers.first());
        if let Some(server) = at {
            let said = first.proof.first().map(|proof| proof.said.clone()).unwrap_or_default();
            beat.found(SignalKind::FoundBroken, server.clone(), said);
        }
    }
    Ok(())
}

/// Whether a cause was seen, as opposed to not being able to see, or to nothing that concerns us.
const fn is_broken(cause: Cause) -> bool {
    !matches!(
        cause,
        Cause::Healthy
            | Cause::StillInaccessible
            | Cause::Undetermined
            | Cause::ServiceManaged
            | Cause::TargetGone
            | Cause::ManagedHsm
            | Cause::CrossTenant
    )
}
