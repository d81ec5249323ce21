//! Does what saves asked for: right after them, or for those whose process ended.

use azure_core::http::Etag;
use jiff::{SignedDuration, Timestamp};

use super::blobs::{Seen, When};
use super::document::{readable, time};
use super::incidents::Incidents;
use super::names;
use super::outbox::{Document, Outbox, Stored, takes_of};
use super::signals;
use crate::clock;
use crate::domain::incident::IncidentId;
use crate::domain::resource_id::ResourceId;
use crate::store::{Result, SignalRef, StoreError};

/// How old a save may be before the sweep completes it: until then its own process is at it.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// How old a marker is whose save never came to its document.
const NEVER_CAME: SignedDuration = SignedDuration::from_hours(1);

impl Incidents<'_> {
    /// Confirms the claim on the key. `false`: it was lost, so the document does not count, and was undone.
    pub(super) async fn confirm_or_undo(&self, stored: &Stored) -> Result<bool> {
        let Stored { document, etag } = stored;
        let Document { incident, outbox: Some(outbox), .. } = document else { return Ok(true) };
        if !outbox.claims || self.claims.confirm(&incident.key, &incident.id).await? {
            return Ok(true);
        }
        self.undo(document, etag).await?;
        self.blobs.delete(&names::marker(&incident.id, &outbox.nonce), None).await?;
        Ok(false)
    }

    /// Does what the outbox asks for. `false`: the document does not count, and was undone.
    pub(super) async fn settle(&self, stored: &Stored) -> Result<bool> {
        let Document { incident, outbox: Some(outbox), .. } = &stored.document else { return Ok(true) };
        if !self.confirm_or_undo(stored).await? {
            return Ok(false);
        }
        let at = time(outbox.at);
        self.signals.take(&outbox.taken, Some(&incident.id), at).await?;
        // Last, so that whoever is called by them finds the rest done.
        for job in &outbox.jobs {
            self.jobs.enqueue(&job.into(), at).await?;
        }
        self.blobs.delete(&names::marker(&incident.id, &outbox.nonce), None).await?;
        Ok(true)
    }

    /// Takes a document back whose key was lost to another incident.
    async fn undo(&self, document: &Document, etag: &Etag) -> Result<()> {
        let before = document.outbox.as_ref().and_then(|outbox| outbox.before.as_deref());
        if let Some(before) = before {
            let before = Document { version: document.version + 1, incident: before.clone(), outbox: None };
            self.write(&before, &When::Still(etag.clone())).await?;
        } else {
            self.blobs.delete(&names::incident(&document.incident.id), Some(etag)).await?;
        }
        Ok(())
    }

    /// Takes the signals of that subject which a save took that has not come to them yet.
    pub async fn take_what_saves_took(&self, subject: &ResourceId) -> Result<()> {
        for marker in self.blobs.list(names::UNSETTLED).await? {
            if takes_of(&marker, subject)
                && let Some(stored) = self.marked(&marker).await?
                && let Document { incident, outbox: Some(Outbox { at, taken, .. }), .. } = &stored.document
            {
                let of_subject =
                    |signal: &&SignalRef| signals::subject_of(signal) == Some(names::subject_hash(subject).as_str());
                let taken: Vec<_> = taken.iter().filter(of_subject).cloned().collect();
                self.signals.take(&taken, Some(&incident.id), time(*at)).await?;
            }
        }
        Ok(())
    }

    /// Completes the saves that were left half done; answers how many.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize> {
        let mut completed = 0;
        let is_older = |made: Option<Timestamp>, age| made.is_none_or(|made| clock::add(made, age) <= now);
        for marker in self.blobs.list(names::UNSETTLED).await? {
            let made = marker.number("made").map(time);
            if !is_older(made, LEFT_BEHIND) {
                continue;
            }
            match self.marked(&marker).await? {
                Some(stored) => {
                    self.settle(&stored).await?;
                    completed += 1;
                }
                None if is_older(made, NEVER_CAME) => {
                    self.blobs.delete(&marker.name, None).await?;
                }
                None => {}
            }
        }
        Ok(completed)
    }

    /// The document whose outbox a marker is of, if it counts and is there yet.
    async fn marked(&self, marker: &Seen) -> Result<Option<Stored>> {
        let read = async {
            let Some((id, _)) = self.blobs.record::<IncidentId>(&marker.name, &marker.name).await? else {
                return Ok(None);
            };
            let stored = self.counting(&names::incident(&id)).await?;
            let is_of = |outbox: &Outbox| names::marker(&id, &outbox.nonce) == marker.name;
            Ok(stored.filter(|stored| stored.document.outbox.as_ref().is_some_and(is_of)))
        };
        match read.await {
            Err(error @ StoreError::Unreadable { .. }) => Ok(readable(Err(error))),
            read => read,
        }
    }
}
