//! Creations whose answer was lost. A service that was asked to open a ticket and did not answer may still be at it, and a
//! search may not find the new ticket at once: for a while nothing is created in its place.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::incident::IncidentId;

/// How long a lost creation may still show up.
const WAIT: SignedDuration = SignedDuration::from_secs(10);

/// For which incidents a creation is in doubt, and until when.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<BTreeMap<IncidentId, Timestamp>>);

impl Doubts {
    /// The answer to a creation was lost.
    pub(super) fn about(&self, incident: &IncidentId, now: Timestamp) {
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.retain(|_, until| *until > now);
        doubts.insert(incident.clone(), add(now, WAIT));
    }

    /// How long nothing may be created yet.
    pub(super) fn wait(&self, incident: &IncidentId, now: Timestamp) -> Option<SignedDuration> {
        let doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.get(incident).filter(|until| **until > now).map(|until| until.duration_since(now))
    }
}
