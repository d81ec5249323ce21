//! What this process read or wrote last, so that a save over it need not read it again. Every write is checked against the
//! version in the store, so what is remembered here may be out of date.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use azure_core::http::Etag;

use super::names;
use super::outbox::{Document, Stored};
use crate::domain::incident::{Incident, IncidentId};

/// What this process knows of a document: enough to save over it unread.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub version: i64,
    pub etag: Etag,
    pub incident: Box<Incident>,
    /// The marker of its outbox, unless that is known to have happened.
    pub pending: Option<String>,
}

/// What this process read or wrote last, by incident.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<IncidentId, Known>>);

/// More than are open at any time; those that are left out are only read once more.
const REMEMBERED: usize = 256;

impl Cache {
    pub fn get(&self, id: &IncidentId) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub fn put(&self, id: &IncidentId, read: Known) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(id) {
            known.clear();
        }
        known.insert(id.clone(), read);
    }

    pub fn forget(&self, id: &IncidentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Known {
    /// A document that was read, and whose outbox may not have happened yet.
    pub fn read(stored: &Stored) -> Self {
        let Stored { document: Document { version, incident, outbox }, etag } = stored;
        let pending = outbox.as_ref().map(|outbox| names::marker(&incident.id, &outbox.nonce));
        Self { version: *version, etag: etag.clone(), incident: Box::new(incident.clone()), pending }
    }

    /// One whose outbox has happened.
    pub fn settled(stored: &Stored) -> Self {
        Self { pending: None, ..Self::read(stored) }
    }
}
