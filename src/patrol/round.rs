//! One round: what there is, what is broken, what is down, what was forgotten; within an allowance of requests.

use std::collections::BTreeSet;

use super::allowance::Allowance;
use super::estate::{Estate, Known};
use super::settings::PatrolSettings;
use super::{forgotten, glances, inaccessible, walk};
use crate::azure::AzureError;
use crate::domain::evidence::{Fact, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::responder::Responder;
use crate::store::StoreError;

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
    pub(super) fn log(&self) {
        let Self { servers, vaults, walked, requests, found, warned, resumed, unread } = self;
        if *found > 0 || *resumed > 0 || !unread.is_empty() {
            let unread = unread.join("; ");
            tracing::info!(
                servers,
                vaults,
                walked,
                requests,
                found,
                warned,
                resumed,
                unread,
                "patrol: there is something"
            );
        } else {
            tracing::debug!(servers, vaults, walked, requests, warned, "patrol: all is well");
        }
    }
}

/// What the parts of a round work with.
pub(super) struct Beat<'a> {
    pub responder: &'a Responder,
    pub settings: &'a PatrolSettings,
    pub allowance: Allowance,
    pub round: Round,
    pub signals: Vec<Signal>,
}

impl Beat<'_> {
    /// Something could not be read. Throttling ends the round.
    pub fn unread(&mut self, what: &str, error: &AzureError) {
        if matches!(error, AzureError::Throttled { .. }) {
            self.allowance.stop();
        }
        self.round.unread.push(format!("{what}: {error}"));
    }

    /// Something is not as it should be.
    pub fn found(&mut self, kind: SignalKind, target: ResourceId, text: String) {
        let now = self.responder.clock.now();
        self.signals.push(Signal {
            kind,
            target,
            occurred_at: Some(now),
            caller: None,
            event_id: None,
            correlation_id: None,
            window_minutes: None,
            text: Some(text),
        });
    }
}

/// Makes one round.
pub(super) async fn make(
    responder: &Responder,
    settings: &PatrolSettings,
    estate: &mut Estate,
) -> Result<Round, StoreError> {
    let open = responder.store.incidents(true, 1).await?;
    let all = settings.requests_a_round();
    // Incidents go first: while one is open, most of the budget is left to it.
    let allowance = Allowance::of(if open.is_empty() { all } else { all / 2 });
    let mut beat = Beat { responder, settings, allowance, round: Round::default(), signals: Vec::new() };
    load(&beat, estate).await?;
    list(&mut beat, estate).await;
    walk::slice(&mut beat, estate).await?;
    glances::all(&mut beat, estate).await?;
    inaccessible::some(&mut beat, estate).await?;
    forgotten::resume(&mut beat).await?;
    let Beat { mut round, allowance, signals, .. } = beat;
    if !signals.is_empty() {
        let accepted = responder.store.accept(&signals, responder.clock.now()).await?;
        round.found = accepted.new;
        responder.wake.now(&responder.clock);
    }
    round.servers = estate.servers.values().filter(|known| known.key().is_some()).count();
    round.requests = allowance.used();
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

/// Which servers there are, and what they say of themselves: one list a subscription.
async fn list(beat: &mut Beat<'_>, estate: &mut Estate) {
    let scope = &beat.responder.policy.scope;
    let named = scope.resources.iter().map(ResourceId::subscription);
    let subscriptions: BTreeSet<String> =
        scope.subscriptions.iter().map(String::as_str).chain(named).map(str::to_ascii_lowercase).collect();
    for subscription in subscriptions {
        let listed = match beat.responder.azure.servers_in(&subscription).await {
            Ok(listed) => listed,
            Err(error) => {
                beat.allowance.spend(1);
                beat.unread(&format!("the servers of subscription {subscription}"), &error);
                continue;
            }
        };
        beat.allowance.spend(1 + listed.len() / 100);
        estate
            .servers
            .retain(|id, _| !id.subscription().eq_ignore_ascii_case(&subscription) || listed.contains_key(id));
        for (id, server) in listed {
            if !beat.responder.policy.scope.covers(&id) {
                continue;
            }
            let known = estate.servers.entry(id.clone()).or_insert_with(|| Known::new(ServerEvidence::unread(id)));
            known.seen.server = Fact::Known(server);
        }
    }
}
