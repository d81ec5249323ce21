//! What the parts of a round share: what they may spend, and what they have done and found.

use super::allowance::Allowance;
use super::settings::PatrolSettings;
use super::told::Told;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::responder::Responder;

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
