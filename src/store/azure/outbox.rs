//! What a save leaves to be done beside the document, and the marker by which others know that it may not be done yet.

use std::collections::BTreeSet;

use azure_core::http::Etag;
use serde::{Deserialize, Serialize};

use super::blobs::{Metadata, Seen};
use super::document::{micros, time};
use super::names;
use super::signals;
use crate::domain::incident::Incident;
use crate::domain::resource_id::ResourceId;
use crate::store::{NewJob, SignalRef, Work};

/// Of how many subjects, and by how many digits each, a marker tells that signals were taken; metadata is limited.
const SUBJECTS: usize = 100;
const SUBJECT: usize = 16;

/// What it tells where there are more.
const ANY: &str = "any";

/// What stands in the blob of an incident.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    pub version: i64,
    pub incident: Incident,
    pub outbox: Option<Outbox>,
}

/// What a save does beside the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outbox {
    pub nonce: String,
    pub at: i64,
    /// The key was claimed for this save, and the document counts if the claim still names it.
    pub claims: bool,
    /// What to put back when it does not.
    pub before: Option<Box<Incident>>,
    pub jobs: Vec<OutgoingJob>,
    pub taken: Vec<SignalRef>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OutgoingJob {
    work: Work,
    due: i64,
}

/// A document that was read, with the version of its blob.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub document: Document,
    pub etag: Etag,
}

impl From<&NewJob> for OutgoingJob {
    fn from(job: &NewJob) -> Self {
        Self { work: job.work.clone(), due: micros(job.due) }
    }
}

impl From<&OutgoingJob> for NewJob {
    fn from(job: &OutgoingJob) -> Self {
        Self { work: job.work.clone(), due: time(job.due) }
    }
}

/// What a marker tells of its save without being read.
pub(super) fn marker_metadata(outbox: &Outbox) -> Metadata {
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
pub(super) fn takes_of(marker: &Seen, subject: &ResourceId) -> bool {
    let takes = marker.text("takes");
    let subject = names::subject_hash(subject);
    takes == ANY || takes.split('.').any(|taken| !taken.is_empty() && subject.starts_with(taken))
}
