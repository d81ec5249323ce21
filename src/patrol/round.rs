//! One round: what there is, what is broken, what is down, what was forgotten; within an allowance of requests.

use super::allowance::Allowance;
use super::beat::{Beat, Round};
use super::estate::{Estate, Known};
use super::settings::PatrolSettings;
use super::told::Told;
use super::{forgotten, glances, inaccessible, list, partners, posture, walk};
use crate::responder::Responder;
use crate::store::StoreError;
use crate::telemetry::count;

/// The part of a round's requests, one in so many, that settings may take which are recorded.
const SETTINGS: usize = 4;

/// Makes one round.
pub(super) async fn make(
    responder: &Responder,
    settings: &PatrolSettings,
    estate: &mut Estate,
) -> Result<Round, StoreError> {
    let mut beat = begin(responder, settings, settings.requests_a_round()).await?;
    load(&beat, estate).await?;
    list::all(&mut beat, estate).await;
    walk::slice(&mut beat, estate).await?;
    // Incidents go first. The walk has had no more than the share without which it would not be round in time.
    if !beat.calm {
        beat.allowance.leave_half();
    }
    glances::all(&mut beat, estate).await?;
    partners::learn(&mut beat, estate).await?;
    posture::judge(&mut beat, estate).await?;
    inaccessible::some(&mut beat, estate).await?;
    forgotten::resume(&mut beat).await?;
    let round = finish(beat, estate).await?;
    round.log(&estate.unread);
    estate.unread.clone_from(&round.unread);
    Ok(round)
}

/// Looks only at what there is and at the vaults, with what the last round left over: how soon a loss is found that nobody
/// announces is a matter of how often the vaults are looked at.
pub(super) async fn glance(
    responder: &Responder,
    settings: &PatrolSettings,
    estate: &mut Estate,
) -> Result<Round, StoreError> {
    let mut beat = begin(responder, settings, estate.left_over).await?;
    if estate.left_over > 0 {
        list::known_kinds(&mut beat, estate).await;
        glances::all(&mut beat, estate).await?;
    }
    finish(beat, estate).await
}

async fn begin<'a>(
    responder: &Responder,
    settings: &'a PatrolSettings,
    requests: usize,
) -> Result<Beat<'a>, StoreError> {
    let (azure, meter) = responder.azure.metered();
    let responder = Responder { azure, ..responder.clone() };
    let calm = responder.store.incidents(true, 1).await?.is_empty();
    Ok(Beat {
        allowance: Allowance::of(requests, meter),
        calm,
        for_settings: if calm { requests / SETTINGS } else { 0 },
        round: Round::default(),
        told: Told::load(&responder).await?,
        signals: Vec::new(),
        responder,
        settings,
    })
}

async fn finish(beat: Beat<'_>, estate: &mut Estate) -> Result<Round, StoreError> {
    let Beat { responder, mut round, allowance, told, signals, .. } = beat;
    estate.left_over = allowance.left();
    if !signals.is_empty() {
        round.found = responder.store.accept(&signals, responder.clock.now()).await?.new;
        responder.wake.now(&responder.clock);
    }
    told.keep(&responder).await?;
    round.servers = estate.servers.values().filter(|known| known.key().is_some()).count();
    round.requests = allowance.used();
    if allowance.was_throttled() {
        round.unread.push("Azure asked for patience: the rest of this round is left for the next".to_owned());
    }
    count::patrol(if allowance.was_throttled() { "throttled" } else { "done" }, round.requests, round.found);
    Ok(round)
}

/// What was known before this process began.
async fn load(beat: &Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    if estate.loaded {
        return Ok(());
    }
    for seen in beat.responder.servers_seen().await? {
        estate.servers.entry(seen.id.clone()).or_insert_with(|| Known::new(seen));
    }
    estate.loaded = true;
    Ok(())
}
