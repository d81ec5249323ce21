//! Changing a job's record over the version that was read, again and again until nobody else was faster; and who is told.

use std::time::Duration;

use azure_core::http::Etag;
use futures::future::BoxFuture;

use super::blobs::When;
use super::document;
use super::job_blobs::Jobs;
use super::job_record::{Aside, JobRecord};
use super::names;
use crate::ids::Ids;
use crate::store::Result;

/// How often a change is begun anew because somebody else was faster.
pub(super) const TRIES: u32 = 40;

/// What a change makes of a job.
pub(super) enum Change<T> {
    Nothing(T),
    Write(JobRecord, T),
    Remove(T),
}

/// What a person is told that a record is.
pub(super) fn what(key: &str) -> String {
    format!("job {key}")
}

impl Jobs<'_> {
    pub(super) async fn write(&self, record: &JobRecord, when: &When) -> Result<Option<Etag>> {
        self.blobs.put(&names::job(&record.key), document::write(record)?, record.metadata(), when).await
    }

    /// Changes the job of that key by what `change` makes of the version that is stored, again and again until nobody
    /// else was faster.
    pub(super) async fn change<T>(
        &self,
        key: &str,
        repair: bool,
        change: impl Fn(Option<JobRecord>) -> Result<Change<T>>,
    ) -> Result<T> {
        let name = names::job(key);
        for tried in 0..TRIES {
            let (stored, when) = match self.blobs.get(&name).await? {
                None => (None, When::New),
                Some(found) => match document::read::<JobRecord>(&what(key), &found.body) {
                    Ok(record) => (Some(record), When::Still(found.etag)),
                    Err(error) if repair && !document::is_newer(&found.body) => {
                        tracing::error!(%error, "a copy is kept under {}, and the job is made anew", names::DAMAGED);
                        self.blobs
                            .put(&format!("{}{name}", names::DAMAGED), found.body, found.metadata, &When::Always)
                            .await?;
                        (None, When::Still(found.etag))
                    }
                    Err(error) => return Err(error),
                },
            };
            match change(stored)? {
                Change::Nothing(answer) => return Ok(answer),
                Change::Write(record, answer) => {
                    if self.write(&record, &when).await?.is_some() {
                        return Ok(answer);
                    }
                }
                Change::Remove(answer) => {
                    let still = if let When::Still(etag) = &when { Some(etag) } else { None };
                    if self.blobs.delete(&name, still).await? {
                        return Ok(answer);
                    }
                }
            }
            wait(self.ids, tried).await;
        }
        Err(self.blobs.place.contended(&what(key)))
    }

    /// A doorbell that does not ring costs time: the record is stored, and the sweep rings again.
    pub(super) async fn ring(&self, key: &str, ready_at: i64) {
        if let Some(doorbell) = self.doorbell
            && let Err(error) = doorbell.ring(key, ready_at).await
        {
            tracing::warn!(%error, key, "a job is stored and its doorbell did not ring; the next sweep rings it");
        }
    }

    pub(super) fn tell_of_poison<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(doorbell) = self.doorbell else { return };
            let told = async {
                doorbell.tell_of_poison(key).await?;
                self.change(key, false, |stored| match stored {
                    Some(mut stored) if stored.set_aside == Some(Aside::Poison) && !stored.told => {
                        stored.told = true;
                        Ok(Change::Write(stored, ()))
                    }
                    _ => Ok(Change::Nothing(())),
                })
                .await
            };
            if let Err(error) = told.await {
                tracing::warn!(%error, key, "a job is set aside and the poison queue was not told; the next sweep tells it");
            }
        })
    }
}

/// Lets others go first, a little longer each time.
pub(super) async fn wait(ids: &Ids, tried: u32) {
    let longest = 5.0 * f64::from(tried.min(20) + 1);
    tokio::time::sleep(Duration::from_secs_f64(ids.fraction() * longest / 1e3)).await;
}
