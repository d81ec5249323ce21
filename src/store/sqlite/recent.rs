//! Incidents that were read or written last, so that they need not be read from their JSON again: in a storm one incident holds
//! thousands of databases, and is looked at for each server that joins it. What counts is the version in the file, which is
//! read every time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::incident::Incident;
use crate::store::Version;

/// More incidents than are worked on at a time are seldom open. Large ones are large here as well.
const REMEMBERED: usize = 8;

/// The latest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<(Arc<Incident>, Version)>>);

impl Recent {
    /// The incident of that id, if this is the version of it that is remembered.
    pub(super) fn get(&self, id: &str, version: Version) -> Option<Arc<Incident>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .find(|(incident, of)| incident.id.0 == id && *of == version)
            .map(|(incident, _)| Arc::clone(incident))
    }

    pub(super) fn put(&self, incident: Arc<Incident>, version: Version) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = |(other, of): &(Arc<Incident>, Version)| other.id == incident.id && *of > version;
        if known.iter().any(newer) {
            return;
        }
        known.retain(|(other, _)| other.id != incident.id);
        known.push_front((incident, version));
        known.truncate(REMEMBERED);
    }
}
