//! Incidents: one document each, saved only over the version it was made from.
//!
//! A save is one write of the document, and what belongs to it (jobs, taken signals, the claim on the key) stands in the
//! document's *outbox*. A marker blob, written before the document and deleted when all of the outbox has happened, says
//! that somebody must see to it: whoever saves the incident next, or the sweep. Until then readers heed what they must:
//! whether the document counts, and which signals it took. Everything in an outbox may happen twice.

use azure_core::http::Etag;
use futures::FutureExt as _;
use jiff::Timestamp;

use super::blobs::{Blobs, Metadata, When, all_readable};
use super::cache::{Cache, Known};
use super::claims::Claims;
use super::document::{self, micros};
use super::job_blobs::Jobs;
use super::names;
use super::outbox::{Document, Outbox, Stored, marker_metadata};
use super::signals::Signals;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::ids::Ids;
use crate::store::{NewJob, Result, SignalRef, StoreError, Version};

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
            jobs: jobs.iter().map(Into::into).collect(),
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

    pub(super) async fn write(&self, document: &Document, when: &When) -> Result<Option<Etag>> {
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
    pub(super) async fn counting(&self, name: &str) -> Result<Option<Stored>> {
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

    /// Removes incidents that ended before `before`. What was not settled yet is left for the next time.
    pub async fn prune(&self, before: Timestamp) -> Result<usize> {
        let mut old = self.blobs.list(names::INCIDENTS).await?;
        let is_older = |opened: Option<i64>| opened.is_some_and(|opened| opened < micros(before));
        old.retain(|seen| seen.text("state") == "ended" && is_older(seen.number("opened")));
        let read = all_readable(old.iter().map(|seen| self.counting(&seen.name).boxed())).await?;
        let mut removed = 0;
        for stored in read {
            let incident = &stored.document.incident;
            if incident.ended_at.is_none_or(|ended| ended >= before) || self.is_unsettled(&stored).await? {
                continue;
            }
            self.cache.forget(&incident.id);
            removed += usize::from(self.blobs.delete(&names::incident(&incident.id), Some(&stored.etag)).await?);
        }
        Ok(removed)
    }

    async fn is_unsettled(&self, stored: &Stored) -> Result<bool> {
        let Some(outbox) = &stored.document.outbox else { return Ok(false) };
        let marker = names::marker(&stored.document.incident.id, &outbox.nonce);
        Ok(self.blobs.look(&marker).await?.is_some())
    }
}
