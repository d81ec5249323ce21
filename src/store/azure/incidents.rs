//! Incidents: one document each, saved only over the version it was made from.
//!
//! A save is one write of the document, and what belongs to it (jobs, taken signals, the claim on the key) stands in the
//! document's *outbox*. A marker blob, written before the document and deleted when all of the outbox has happened, says
//! that somebody must see to it: whoever reads the incident next, or the sweep. Everything in an outbox may happen twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use azure_core::http::Etag;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Metadata, When, all_readable};
use super::claims::Claims;
use super::document::{self, micros, readable, time};
use super::jobs::Jobs;
use super::names;
use super::signals::Signals;
use crate::clock;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::ids::Ids;
use crate::store::{NewJob, Result, SignalRef, StoreError, Version, Work};

/// How old a save may be before the sweep completes it: until then its own process is at it.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// How old a marker is whose save never came to its document.
const NEVER_CAME: SignedDuration = SignedDuration::from_hours(1);

/// What stands in the blob of an incident.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Document {
    version: i64,
    incident: Incident,
    outbox: Option<Outbox>,
}

/// What a save does beside the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outbox {
    nonce: String,
    at: i64,
    /// The key was claimed for this save, and the document counts if the claim still names it.
    claims: bool,
    /// What to put back when it does not.
    before: Option<Box<Incident>>,
    jobs: Vec<OutgoingJob>,
    taken: Vec<SignalRef>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OutgoingJob {
    work: Work,
    due: i64,
}

/// A document that was read, with the version of its blob.
#[derive(Debug, Clone)]
struct Stored {
    document: Document,
    etag: Etag,
}

/// What this process knows of a document whose outbox is empty or has happened: enough to save over it unread.
#[derive(Debug, Clone)]
struct Settled {
    version: i64,
    etag: Etag,
    before: Box<Incident>,
}

/// What this process read or wrote last, by incident.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<IncidentId, Settled>>);

/// More than are open at any time; those that are left out are only read once more.
const REMEMBERED: usize = 256;

impl Cache {
    fn get(&self, id: &IncidentId) -> Option<Settled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn put(&self, id: &IncidentId, settled: Settled) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(id) {
            known.clear();
        }
        known.insert(id.clone(), settled);
    }

    fn forget(&self, id: &IncidentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// The incidents of a container.
#[derive(Debug)]
pub(super) struct Incidents<'a> {
    pub blobs: &'a Blobs,
    pub jobs: Jobs<'a>,
    pub signals: Signals<'a>,
    pub claims: Claims<'a>,
    pub cache: &'a Cache,
    pub ids: &'a Ids,
}

impl Incidents<'_> {
    pub async fn by_id(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>> {
        let stored = self.settled(id).await?;
        Ok(stored.map(|Stored { document, .. }| (document.incident, Version(document.version))))
    }

    pub async fn open_by_key(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>> {
        let Some(id) = self.claims.holder(key).await? else { return Ok(None) };
        let found = self.by_id(&id).await?;
        Ok(found.filter(|(incident, _)| incident.key == *key && incident.ended_at.is_none()))
    }

    pub async fn newest(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>> {
        let mut listed = self.blobs.list(names::INCIDENTS).await?;
        listed.retain(|seen| !open_only || seen.text("state") != "ended");
        listed.sort_by(|a, b| (b.number("opened"), &b.name).cmp(&(a.number("opened"), &a.name)));
        let mut incidents = Vec::new();
        let mut left = listed.as_slice();
        while incidents.len() < limit && !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(limit - incidents.len()));
            left = later;
            let read = all_readable(now.iter().map(|seen| self.counting(&seen.name).boxed())).await?;
            let read = read.into_iter().map(|stored| stored.document.incident);
            incidents.extend(read.filter(|incident| !open_only || incident.ended_at.is_none()));
        }
        Ok(incidents)
    }

    pub async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version> {
        let before = match expected {
            None => None,
            Some(version) => Some(self.to_be_replaced(&incident.id, version).await?),
        };
        let opens = incident.ended_at.is_none()
            && before.as_ref().is_none_or(|was| was.before.ended_at.is_some() || was.before.key != incident.key);
        if opens {
            self.claims.take(&incident.key, &incident.id).await?;
        }
        let outbox = (opens || !jobs.is_empty() || !taken.is_empty()).then(|| Outbox {
            nonce: self.ids.uuid().simple().to_string(),
            at: micros(now),
            claims: opens,
            before: before.as_ref().filter(|_| opens).map(|was| was.before.clone()),
            jobs: jobs.iter().map(|job| OutgoingJob { work: job.work.clone(), due: micros(job.due) }).collect(),
            taken: taken.to_vec(),
        });
        let version = before.as_ref().map_or(0, |was| was.version) + 1;
        let document = Document { version, incident: incident.clone(), outbox };
        let when = before.map_or(When::New, |was| When::Still(was.etag));
        self.commit(document, &when).await
    }

    /// The version that a save is made from, with all of its outbox done.
    async fn to_be_replaced(&self, id: &IncidentId, expected: Version) -> Result<Settled> {
        if let Some(known) = self.cache.get(id).filter(|known| known.version == expected.0) {
            return Ok(known);
        }
        let Some(Stored { document, etag }) = self.settled(id).await? else { return Err(StoreError::Conflict) };
        if document.version != expected.0 {
            return Err(StoreError::Conflict);
        }
        Ok(Settled { version: document.version, etag, before: Box::new(document.incident) })
    }

    async fn commit(&self, document: Document, when: &When) -> Result<Version> {
        let id = document.incident.id.clone();
        let marker = document.outbox.as_ref().map(|outbox| names::marker(&id, &outbox.nonce));
        if let (Some(marker), Some(outbox)) = (&marker, &document.outbox) {
            let metadata = Metadata::from([("made".to_owned(), outbox.at.to_string())]);
            self.blobs.put(marker, document::write(&id)?, metadata, &When::Always).await?;
        }
        self.cache.forget(&id);
        let Some(etag) = self.write(&document, when).await? else {
            if let Some(marker) = &marker {
                self.blobs.delete(marker, None).await?;
            }
            return Err(StoreError::Conflict);
        };
        let version = Version(document.version);
        let stored = Stored { document, etag };
        if marker.is_some() && !self.settle(&stored).await? {
            return Err(StoreError::Conflict);
        }
        self.remember(&stored);
        Ok(version)
    }

    async fn write(&self, document: &Document, when: &When) -> Result<Option<Etag>> {
        let Incident { id, key, opened_at, ended_at, .. } = &document.incident;
        let metadata = Metadata::from([
            ("opened".to_owned(), micros(*opened_at).to_string()),
            ("state".to_owned(), if ended_at.is_some() { "ended" } else { "open" }.to_owned()),
            ("key".to_owned(), names::key_hash(key)),
        ]);
        self.blobs.put(&names::incident(id), document::write(document)?, metadata, when).await
    }

    fn remember(&self, stored: &Stored) {
        let Stored { document: Document { version, incident, .. }, etag } = stored;
        let settled = Settled { version: *version, etag: etag.clone(), before: Box::new(incident.clone()) };
        self.cache.put(&incident.id, settled);
    }

    async fn read(&self, name: &str) -> Result<Option<Stored>> {
        let what = name.trim_start_matches(names::INCIDENTS);
        let read = self.blobs.record(name, &format!("incident {what}")).await?;
        Ok(read.map(|(document, etag)| Stored { document, etag }))
    }

    /// The document of that id, after what its outbox still asks for was done.
    fn settled<'a>(&'a self, id: &'a IncidentId) -> BoxFuture<'a, Result<Option<Stored>>> {
        Box::pin(async move {
            loop {
                let Some(stored) = self.read(&names::incident(id)).await? else { return Ok(None) };
                let known = self.cache.get(id).is_some_and(|known| known.etag == stored.etag);
                if known || !self.is_unsettled(&stored).await? || self.settle(&stored).await? {
                    self.remember(&stored);
                    return Ok(Some(stored));
                }
                // It did not count, and was undone: what is there now?
            }
        })
    }

    /// The document of that name if it counts; what its outbox asks for is left to others.
    async fn counting(&self, name: &str) -> Result<Option<Stored>> {
        let Some(stored) = self.read(name).await? else { return Ok(None) };
        let claims = stored.document.outbox.as_ref().is_some_and(|outbox| outbox.claims);
        if claims && self.is_unsettled(&stored).await? {
            return self.settled(&stored.document.incident.id).await;
        }
        Ok(Some(stored))
    }

    async fn is_unsettled(&self, stored: &Stored) -> Result<bool> {
        let Some(outbox) = &stored.document.outbox else { return Ok(false) };
        let marker = names::marker(&stored.document.incident.id, &outbox.nonce);
        Ok(self.blobs.look(&marker).await?.is_some())
    }

    /// Does what the outbox asks for. `false`: the document does not count, and was undone.
    async fn settle(&self, stored: &Stored) -> Result<bool> {
        let Stored { document, etag } = stored;
        let Document { incident, outbox: Some(outbox), .. } = document else { return Ok(true) };
        let marker = names::marker(&incident.id, &outbox.nonce);
        if outbox.claims && !self.claims.confirm(&incident.key, &incident.id).await? {
            self.undo(document, etag).await?;
            self.blobs.delete(&marker, None).await?;
            return Ok(false);
        }
        let at = time(outbox.at);
        for OutgoingJob { work, due } in &outbox.jobs {
            self.jobs.enqueue(&NewJob { work: work.clone(), due: time(*due) }, at).await?;
        }
        self.signals.take(&outbox.taken, Some(&incident.id), at).await?;
        self.blobs.delete(&marker, None).await?;
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

    /// Completes the saves that were made `before` that time and left half done; answers how many.
    pub async fn complete_saves(&self, before: Option<Timestamp>) -> Result<usize> {
        let mut completed = 0;
        for marker in self.blobs.list(names::UNSETTLED).await? {
            let made = marker.number("made").map(time);
            if before.is_some_and(|before| made.is_some_and(|made| made > before)) {
                continue;
            }
            let Some((id, _)) = readable(self.blobs.record::<IncidentId>(&marker.name, &marker.name).await).flatten()
            else {
                continue;
            };
            let is_of = |stored: &Stored| {
                stored.document.outbox.as_ref().is_some_and(|outbox| names::marker(&id, &outbox.nonce) == marker.name)
            };
            match self.read(&names::incident(&id)).await {
                Ok(Some(stored)) if is_of(&stored) => {
                    self.settle(&stored).await?;
                    completed += 1;
                }
                Ok(_) => {
                    if before.is_some_and(|before| made.is_none_or(|made| clock::add(made, NEVER_CAME) < before)) {
                        self.blobs.delete(&marker.name, None).await?;
                    }
                }
                Err(error @ StoreError::Unreadable { .. }) => tracing::error!(%error, "left out a record"),
                Err(error) => return Err(error),
            }
        }
        Ok(completed)
    }

    pub async fn sweep(&self, now: Timestamp) -> Result<usize> {
        self.complete_saves(Some(clock::add(now, -LEFT_BEHIND))).await
    }
}
