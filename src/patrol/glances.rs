//! Each vault from its own side: the vault, its keys, the grants on them, locks and denials. With what is remembered of the
//! servers that is a handful of requests, for one server as for a hundred.

use std::collections::BTreeMap;

use futures::StreamExt;

use super::beat::Beat;
use super::estate::Estate;
use super::partners;
use super::told::{Seen, is_broken};
use crate::azure::error::fact;
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::{Cause, Finding};
use crate::domain::evidence::{Evidence, Vault};
use crate::domain::incident::{Incident, IncidentKey};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::SignalKind;
use crate::probe::{self, Question};
use crate::responder::JobError;
use crate::store::StoreError;

/// What a glance may cost where nothing is wrong; a vault is left for the next round if less is left.
const COST: usize = 6;
/// Vaults glanced at a time.
const SIDE_BY_SIDE: usize = 4;
/// The part of the allowance, one in so many, that is left to those databases of which nobody tells.
const LEFT_OVER: usize = 10;
/// From so many vaults of a subscription on, one list is asked for instead of each.
const MANY: usize = 3;

/// Glances at every vault that the allowance lets us, the longest unseen first.
pub(super) async fn all(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let keep = beat.allowance.left() / LEFT_OVER;
    let mut questions = questions(beat, estate).await?.into_iter();
    loop {
        let together = SIDE_BY_SIDE.min(beat.allowance.left().saturating_sub(keep) / COST);
        let next: Vec<Question> = questions.by_ref().take(together).collect();
        if next.is_empty() {
            return Ok(());
        }
        let azure = beat.responder.azure.clone();
        let look = |question: Question| {
            let azure = azure.clone();
            async move {
                let evidence = probe::observe(&azure, &question).await;
                (question, evidence)
            }
        };
        let seen: Vec<_> = futures::stream::iter(next).map(look).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for (question, evidence) in seen {
            let Some(host) = question.vault else { continue };
            if beat.allowance.was_throttled() {
                // Half an answer is none: its turn stays.
                continue;
            }
            beat.round.vaults += 1;
            judge(beat, &host, evidence, estate).await?;
            estate.glanced.insert(host, now);
        }
    }
}

/// What to ask about each vault, in the order of their turn.
async fn questions(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<Vec<Question>, StoreError> {
    let now = beat.responder.clock.now();
    let vaults = estate.by_vault();
    let mut turn = Vec::new();
    for (host, known) in &vaults {
        // Who is at work on it looks closer than we do.
        if let Some((incident, _)) = beat.responder.store.open_incident(&IncidentKey::vault(host)).await? {
            beat.told.is_at_work(&incident);
            if !incident.only_expires() {
                continue;
            }
            // It may wait for a day, and looks seldom: a loss meanwhile is found by us.
        }
        let servers: Vec<ResourceId> = known.iter().map(|known| known.seen.id.clone()).collect();
        let question = Question {
            vault: Some(host.clone()),
            vault_id: beat.responder.vault_id_of(host, &servers).await?,
            keys: known.iter().filter_map(|known| known.key().cloned()).collect(),
            remembered: estate.remembered(known),
            health_only: true,
            ahead: beat.responder.policy.extends_ahead().unwrap_or_default(),
            ..Question::new(servers, now)
        };
        turn.push((estate.glanced.get(host).copied(), question));
    }
    let hosts: Vec<VaultHost> = vaults.keys().cloned().collect();
    estate.glanced.retain(|host, _| hosts.contains(host));
    turn.sort_by(|a, b| (a.0, &a.1.vault).cmp(&(b.0, &b.1.vault)));
    let mut questions: Vec<Question> = turn.into_iter().map(|(_, question)| question).collect();
    list_vaults(beat, &mut questions).await;
    Ok(questions)
}

/// Reads the vaults of a subscription by one list where there are many. One that is not listed is asked for by itself.
async fn list_vaults(beat: &mut Beat<'_>, questions: &mut [Question]) {
    let mut many: BTreeMap<String, usize> = BTreeMap::new();
    for id in questions.iter().filter_map(|question| question.vault_id.as_ref()) {
        *many.entry(id.subscription().to_ascii_lowercase()).or_default() += 1;
    }
    for (subscription, _) in many.into_iter().filter(|(_, vaults)| *vaults >= MANY) {
        if beat.allowance.left() == 0 {
            return;
        }
        let Some(listed) = fact(beat.responder.azure.vaults_in(&subscription).await).known().cloned() else { continue };
        let mut listed: BTreeMap<ResourceId, Vault> = listed.into_iter().map(|one| (one.id.clone(), one)).collect();
        for question in questions.iter_mut() {
            if let Some(vault) = question.vault_id.as_ref().and_then(|id| listed.remove(id)) {
                question.read_vault = Some(vault);
            }
        }
    }
}

async fn judge(
    beat: &mut Beat<'_>,
    host: &VaultHost,
    mut evidence: Evidence,
    estate: &mut Estate,
) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let key = IncidentKey::vault(host);
    let mut draft = Incident::open(beat.responder.ids.incident(now), key, beat.responder.policy.window_minutes, now);
    draft.vault = Some(host.clone());
    for seen in &evidence.servers {
        draft.add_member(&seen.id, seen.protector.known().and_then(|protector| protector.uri.clone()));
    }
    let mut diagnosis = diagnose(&evidence, &draft, &beat.responder.policy);
    if partners::ask_again(&beat.responder.azure, &diagnosis, &mut evidence, estate).await {
        diagnosis = diagnose(&evidence, &draft, &beat.responder.policy);
    }
    beat.responder.patrol_found_vault(&draft, &evidence).await?;
    match beat.responder.warn_beside(&evidence, &diagnosis).await {
        Ok(told) => beat.round.warned += told,
        Err(JobError::Store(error)) => return Err(error),
        Err(error) => tracing::warn!(%error, "a warning of an expiring key could not be given"),
    }
    let Some(seen) = Seen::broken(&diagnosis) else {
        beat.told.is_well(&draft.key.0);
        return Ok(());
    };
    let only_expires = |cause| cause == Cause::KeyExpiring || !is_broken(cause);
    if diagnosis.findings.iter().all(|finding| only_expires(finding.cause))
        && beat.responder.store.open_incident(&draft.key).await?.is_some()
    {
        // That is what the incident is about.
        return Ok(());
    }
    let news = beat.told.is_news(&beat.responder, &draft.key, &seen).await?;
    if let (true, Some(first)) = (news, diagnosis.findings.iter().find(|finding| is_broken(finding.cause)))
        && let Some(server) = told_of(first, &draft)
    {
        let said = first.proof.first().map(|proof| proof.said.clone()).unwrap_or_default();
        beat.found(SignalKind::FoundBroken, server.clone(), said);
    }
    Ok(())
}

/// The server whose incident it becomes: of this vault, which the server of a geo partner need not be.
fn told_of<'a>(finding: &'a Finding, draft: &'a Incident) -> Option<&'a ResourceId> {
    let of_the_vault = |server: &&ResourceId| draft.members.contains_key(server.key());
    finding.servers.iter().find(of_the_vault).or_else(|| draft.servers().next())
}
