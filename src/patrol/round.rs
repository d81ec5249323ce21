//! One round: what there is, what is broken, what is down, what was forgotten; within an allowance of requests.

use super::allowance::Allowance;
use super::estate::{Estate, Known};
use super::settings::PatrolSettings;
use super::told::Told;
use super::{forgotten, glances, inaccessible, list, partners, posture, walk};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::responder::Responder;
use crate::store::StoreError;
use crate::telemetry::count;

/// What one round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Servers that are protected by a customer's key.
    pub servers: usize,
    /// Vaults that were glanced at.
    pub vaults: usize,
    /// Servers that were read anew.
    pub walked: usize,
    /// Requests that were sent.
    pub requests: usize,
    /// What was found broken or down and is new: each was stored as a signal.
    pub found: usize,
    /// Warnings of keys that expire soon.
    pub warned: usize,
    /// Incidents that were given the pass they had lost.
    pub resumed: usize,
    /// What could not be read, in words.
    pub unread: Vec<String>,
}

impl Round {
    /// Tells of a round. What could not be read is told when it changes.
    pub(super) fn log(&self, unread_before: &[String]) {
        let Self { servers, vaults, walked, requests, found, warned, resumed, unread } = self;
        if *found > 0 || *resumed > 0 {
            tracing::info!(servers, vaults, walked, requests, found, warned, resumed, "patrol: there is something");
        } else {
            tracing::debug!(servers, vaults, walked, requests, warned, "patrol: all is well");
        }
        if !unread.is_empty() && unread != unread_before {
            let (first, more) =
                (unread.iter().take(SAID).cloned().collect::<Vec<_>>(), unread.len().saturating_sub(SAID));
            tracing::warn!(unread = first.join("; "), more, "patrol: not everything could be read; it is tried again");
        }
    }
}

/// So many things that could not be read are named.
const SAID: usize = 5;

/// The part of a round's requests, one in so many, that settings may take which are recorded.
const SETTINGS: usize = 4;

/// What the parts of a round work with.
pub(super) struct Beat<'a> {
    /// The responder, its requests to Azure counted.
    pub responder: Responder,
    pub settings: &'a PatrolSettings,
    pub allowance: Allowance,
    /// No incident is open.
    pub calm: bool,
    /// How many requests may go into settings that are recorded: none while an incident is open.
    pub for_settings: usize,
    pub round: Round,
    pub told: Told,
    pub signals: Vec<Signal>,
}

impl Beat<'_> {
    /// Something is not as it should be.
    pub fn found(&mut self, kind: SignalKind, target: ResourceId, text: String) {
        self.signals.push(Signal::seen_by_us(kind, target, text, self.responder.clock.now()));
    }
}

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
