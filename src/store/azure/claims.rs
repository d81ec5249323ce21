//! The claim on a key: which incident is the open one of it. There is never more than one.
//!
//! Before an incident's document becomes an open one of a key, the key is claimed for it, unconfirmed; afterwards the
//! claim is confirmed. A document counts only while the claim of its key names it, so of two who try at once the one
//! whom the claim names last has won, and the other's document is undone by whoever sees it first. Claims are not given
//! back: one that names an ended incident, or one of another key, is free.

use azure_core::http::Etag;
use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Metadata, Seen, When};
use super::document;
use super::job_change::wait;
use super::names;
use crate::domain::incident::{IncidentId, IncidentKey};
use crate::ids::Ids;
use crate::store::{Result, StoreError};

/// How often a claim is tried to be changed.
const TRIES: u32 = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    key: IncidentKey,
    incident: IncidentId,
    confirmed: bool,
}

/// The claims of a container.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    pub blobs: &'a Blobs,
    pub ids: &'a Ids,
}

fn what(key: &IncidentKey) -> String {
    format!("the claim on {}", key.0)
}

/// Whether a document, by what a look at it tells, is an open incident of that key.
fn is_open_of(document: &Seen, key: &IncidentKey) -> bool {
    document.text("state") == "open" && document.text("key") == names::key_hash(key)
}

impl Claims<'_> {
    /// Claims the key for an incident that is about to become an open one of it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another open incident has it.
    pub async fn take(&self, key: &IncidentKey, incident: &IncidentId) -> Result<()> {
        let mine = Claim { key: key.clone(), incident: incident.clone(), confirmed: false };
        for tried in 0..TRIES {
            let when = match self.read(key).await? {
                None => When::New,
                Some((theirs, etag)) => {
                    if let Some(document) = self.blobs.look(&names::incident(&theirs.incident)).await?
                        && is_open_of(&document, key)
                    {
                        self.write(&Claim { confirmed: true, ..theirs.clone() }, &When::Still(etag)).await?;
                        return Err(StoreError::Conflict);
                    }
                    // Free, or of somebody who is at the same point as we are. They will see that they lost.
                    When::Still(etag)
                }
            };
            if self.write(&mine, &when).await?.is_some() {
                return Ok(());
            }
            wait(self.ids, tried).await;
        }
        Err(self.blobs.place.contended(&what(key)))
    }

    /// Confirms the claim after the document was written. `false`: somebody else took it over.
    pub async fn confirm(&self, key: &IncidentKey, incident: &IncidentId) -> Result<bool> {
        for tried in 0..TRIES {
            let Some((claim, etag)) = self.read(key).await? else { return Ok(false) };
            if claim.incident != *incident {
                return Ok(false);
            }
            if claim.confirmed || self.write(&Claim { confirmed: true, ..claim }, &When::Still(etag)).await?.is_some() {
                return Ok(true);
            }
            wait(self.ids, tried).await;
        }
        Err(self.blobs.place.contended(&what(key)))
    }

    /// Whom the claim on a key names. Only that incident's document tells whether it is open.
    pub async fn holder(&self, key: &IncidentKey) -> Result<Option<IncidentId>> {
        Ok(self.read(key).await?.map(|(claim, _)| claim.incident))
    }

    async fn read(&self, key: &IncidentKey) -> Result<Option<(Claim, Etag)>> {
        self.blobs.record(&names::open(key), &what(key)).await
    }

    async fn write(&self, claim: &Claim, when: &When) -> Result<Option<Etag>> {
        self.blobs.put(&names::open(&claim.key), document::write(claim)?, Metadata::new(), when).await
    }
}
