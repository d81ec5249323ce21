//! Incidents: one document each, saved only over the version it was made from.
//!
//! A save is one write of the document, and what belongs to it (jobs, taken signals, the claim on the key) stands in the
//! document's *outbox*. A marker blob, written before the document and deleted when all of the outbox has happened, says
//! that somebody must see to it: whoever saves the incident next, or the sweep. Until then readers heed what they must:
//! whether the document counts, and which signals it took. Everything in an outbox may happen twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use azure_core::http::Etag;
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Metadata, Seen, When, all_readable};
use super::claims::Claims;
use super::document::{self, micros, readable, time};
use super::jobs::Jobs;
use super::names;
use super::signals::{self, Signals};
use crate::clock;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;
use crate::ids::Ids;
use crate::store::{NewJob, Result, SignalRef, StoreError, Version, Work};

/// How old a save may be before the sweep completes it: until then its own process is at it.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// How old a marker is whose save never came to its document.
const NEVER_CAME: SignedDuration = SignedDuration::from_hours(1);

/// Of how many subjects, and by how many digits each, a marker tells that signals were taken; metadata is limited.
const SUBJECTS: usize = 100;
const SUBJECT: usize = 16;

/// What it tells where there are more.
const ANY: &str = "any";

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

/// What this process knows of a document: enough to save over it unread.
#[derive(Debug, Clone)]
struct Known {
    version: i64,
    etag: Etag,
    incident: Box<Incident>,
    /// The marker of its outbox, unless that is known to have happened.
    pending: Option<String>,
}

/// What this process read or wrote last, by incident.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<IncidentId, Known>>);

/// More than are open at any time; those that are left out are only read once more.
const REMEMBERED: usize = 256;

impl Cache {
    fn get(&self, id: &IncidentId) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn put(&self, id: &IncidentId, read: Known) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(id) {
            known.clear();
        }
        known.insert(id.clone(), read);
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
        let stored = self.counting(&names::incident(id)).await?;
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
            && before.as_ref().is_none_or(|was| was.incident.ended_at.is_some() || was.incident.key != incident.key);
        if opens {
            self.claims.take(&incident.key, &incident.id).await?;
        }
        let outbox = (opens || !jobs.is_empty() || !taken.is_empty()).then(|| Outbox {
            nonce: self.ids.uuid().simple().to_string(),
            at: micros(now),
            claims: opens,
            before: before.as_ref().filter(|_| opens).map(|was| was.incident.clone()),
            jobs: jobs.iter().map(|job| OutgoingJob { work: job.work.clone(), due: micros(job.due) }).collect(),
            taken: taken.to_vec(),
        });
        let version = before.as_ref().map_or(0, |was| was.version) + 1;
        let document = Document { version, incident: incident.clone(), outbox };
        let when = before.map_or(When::New, |was| When::Still(was.etag));
        self.commit(document, &when).await
    }

    /// The version that a save is made from, with all of its outbox done.
    async fn to_be_replaced(&self, id: &IncidentId, expected: Version) -> Result<Known> {
        let cached = self.cache.get(id).filter(|known| known.version == expected.0);
        let settled = match &cached {
            Some(Known { pending: Some(marker), .. }) => self.blobs.look(marker).await?.is_none(),
            other => other.is_some(),
        };
        if let Some(known) = cached.filter(|_| settled) {
            return Ok(known);
        }
        let Some(stored) = self.counting(&names::incident(id)).await? else { return Err(StoreError::Conflict) };
        if stored.document.version != expected.0 || (self.is_unsettled(&stored).await? && !self.settle(&stored).await?)
        {
            return Err(StoreError::Conflict);
        }
        Ok(Known::settled(&stored))
    }

    async fn commit(&self, document: Document, when: &When) -> Result<Version> {
        let id = document.incident.id.clone();
        let marker = document.outbox.as_ref().map(|outbox| names::marker(&id, &outbox.nonce));
        if let (Some(marker), Some(outbox)) = (&marker, &document.outbox) {
            self.blobs.put(marker, document::write(&id)?, marker_metadata(outbox), &When::Always).await?;
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
        self.cache.put(&id, Known::settled(&stored));
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

    async fn read(&self, name: &str) -> Result<Option<Stored>> {
        let what = name.trim_start_matches(names::INCIDENTS);
        let read = self.blobs.record(name, &format!("incident {what}")).await?;
        Ok(read.map(|(document, etag)| Stored { document, etag }))
    }

    /// The document of that name if it counts. One that does not is undone.
    async fn counting(&self, name: &str) -> Result<Option<Stored>> {
        loop {
            let Some(stored) = self.read(name).await? else { return Ok(None) };
            let Document { incident, outbox, .. } = &stored.document;
            let claims = outbox.as_ref().is_some_and(|outbox| outbox.claims);
            let known = || self.cache.get(&incident.id).is_some_and(|known| known.etag == stored.etag);
            if !claims || known() || !self.is_unsettled(&stored).await? || self.confirm_or_undo(&stored).await? {
                self.cache.put(&incident.id, Known::read(&stored));
                return Ok(Some(stored));
            }
        }
    }

    async fn is_unsettled(&self, stored: &Stored) -> Result<bool> {
        let Some(outbox) = &stored.document.outbox else { return Ok(false) };
        let marker = names::marker(&stored.document.incident.id, &outbox.nonce);
        Ok(self.blobs.look(&marker).await?.is_some())
    }

    /// Confirms the claim on the key. `false`: it was lost, so the document does not count, and was undone.
    async fn confirm_or_undo(&self, stored: &Stored) -> Result<bool> {
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
    async fn settle(&self, stored: &Stored) -> Result<bool> {
        let Document { incident, outbox: Some(outbox), .. } = &stored.document else { return Ok(true) };
        if !self.confirm_or_undo(stored).await? {
            return Ok(false);
        }
        let at = time(outbox.at);
        self.signals.take(&outbox.taken, Some(&incident.id), at).await?;
        // Last, so that whoever is called by them finds the rest done.
        for OutgoingJob { work, due } in &outbox.jobs {
            self.jobs.enqueue(&NewJob { work: work.clone(), due: time(*due) }, at).await?;
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

impl Known {
    /// A document that was read, and whose outbox may not have happened yet.
    fn read(stored: &Stored) -> Self {
        let Stored { document: Document { version, incident, outbox }, etag } = stored;
        let pending = outbox.as_ref().map(|outbox| names::marker(&incident.id, &outbox.nonce));
        Self { version: *version, etag: etag.clone(), incident: Box::new(incident.clone()), pending }
    }

    /// One whose outbox has happened.
    fn settled(stored: &Stored) -> Self {
        Self { pending: None, ..Self::read(stored) }
    }
}

/// What a marker tells of its save without being read.
fn marker_metadata(outbox: &Outbox) -> Metadata {
    let subjects: BTreeSet<&str> = outbox.taken.iter().filter_map(signals::subject_of).collect();
    let short: Vec<&str> = subjects.into_iter().filter_map(|subject| subject.get(..SUBJECT)).collect();
    let takes = if short.len() <= SUBJECTS { short.join(".") } else { ANY.to_owned() };
    let mut metadata = Metadata::from([("made".to_owned(), outbox.at.to_string())]);
    if !takes.is_empty() {
        metadata.insert("takes".to_owned(), takes);
    }
    metadata
}

/// Whether a marked save took signals of that subject, or may have.
fn takes_of(marker: &Seen, subject: &ResourceId) -> bool {
    let takes = marker.text("takes");
    let subject = names::subject_hash(subject);
    takes == ANY || takes.split('.').any(|taken| !taken.is_empty() && subject.starts_with(taken))
}
