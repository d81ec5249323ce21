//! The jobs: one blob for each kind of work and target, changed only over the version that was read.

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};

use super::blobs::all_readable;
use super::document::{micros, time};
use super::job_blobs::Jobs;
use super::job_change::Change;
use super::job_record::{Aside, JobRecord, Listed};
use super::names;
use crate::store::{LeasedJob, NewJob, Result, StoreError};

/// How long a job is due before its doorbell is taken for lost, when it is asked for again.
const LOST_WHEN_ASKED: SignedDuration = SignedDuration::from_secs(20);

impl Jobs<'_> {
    pub async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        let key = job.work.key();
        let patience = LOST_WHEN_ASKED.as_micros() as i64;
        let ring = self
            .change(&key, true, |stored| {
                if let Some(asked) = JobRecord::asked(stored.as_ref(), job)? {
                    let waits = stored.filter(|stored| stored.set_aside.is_none() && !stored.held);
                    let called = waits.is_some_and(|stored| stored.ready_at <= asked.ready_at);
                    let ring = (!asked.held && !called).then_some(asked.ready_at);
                    return Ok(Change::Write(asked, ring));
                }
                match stored {
                    Some(mut stored) if self.doorbell.is_some() && stored.is_forgotten(micros(now), patience) => {
                        stored.called_at = Some(micros(now));
                        let ready_at = stored.ready_at;
                        Ok(Change::Write(stored, Some(ready_at)))
                    }
                    _ => Ok(Change::Nothing(None)),
                }
            })
            .await?;
        if let Some(ready_at) = ring {
            self.ring(&key, ready_at).await;
        }
        Ok(())
    }

    pub async fn complete(&self, job: &LeasedJob) -> Result<()> {
        let key = job.work.key();
        let again = self
            .change(&key, false, |stored| {
                let stored = held(stored, job)?;
                Ok(match stored.done() {
                    Some(again) => {
                        let ready_at = again.ready_at;
                        Change::Write(again, Some(ready_at))
                    }
                    None => Change::Remove(None),
                })
            })
            .await?;
        if let Some(ready_at) = again {
            self.ring(&key, ready_at).await;
        }
        Ok(())
    }

    pub async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool> {
        let key = job.work.key();
        let poisoned = self
            .change(&key, false, |stored| {
                let mut stored = held(stored, job)?;
                let poisoned = stored.failed(micros(due), error);
                Ok(Change::Write(stored, poisoned))
            })
            .await?;
        if poisoned {
            self.tell_of_poison(&key).await;
        } else {
            self.ring(&key, micros(due)).await;
        }
        Ok(poisoned)
    }

    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        Ok(self.open_jobs().await?.into_iter().map(|listed| listed.ready_at).min().map(time))
    }

    pub async fn is_known(&self, key: &str) -> Result<bool> {
        Ok(self.blobs.look(&names::job(key)).await?.is_some())
    }

    /// By key, for people: there is no order in which they were set aside.
    pub async fn poison(&self) -> Result<Vec<(String, String)>> {
        let mut listed = self.blobs.list(names::JOBS).await?;
        listed.retain(|seen| seen.text("state") != "open");
        let read = listed.iter().map(|seen| self.blobs.record::<JobRecord>(&seen.name, &seen.name).boxed());
        let mut poison: Vec<_> = all_readable(read)
            .await?
            .into_iter()
            .map(|(record, _)| record)
            .filter(|record| record.set_aside.is_some())
            .map(|record| (record.key, record.error.unwrap_or_default()))
            .collect();
        poison.sort();
        Ok(poison)
    }

    /// Whoever sets a job aside by its key knows of it: the poison queue is not told.
    pub async fn set_aside(&self, key: &str, error: &str) -> Result<bool> {
        self.change(key, false, |stored| match stored {
            Some(mut stored) if stored.set_aside.is_none() => {
                stored.put_aside(Aside::Poison, error.to_owned());
                stored.told = true;
                Ok(Change::Write(stored, true))
            }
            _ => Ok(Change::Nothing(false)),
        })
        .await
    }

    pub async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool> {
        let found = self
            .change(key, false, |stored| match stored {
                Some(mut stored) if stored.set_aside.is_some() => {
                    stored.revive(micros(now));
                    Ok(Change::Write(stored, true))
                }
                _ => Ok(Change::Nothing(false)),
            })
            .await?;
        if found {
            self.ring(key, micros(now)).await;
        }
        Ok(found)
    }

    pub(super) async fn open_jobs(&self) -> Result<Vec<Listed>> {
        let listed = self.blobs.list(names::JOBS).await?;
        let listed = listed.into_iter().filter(|seen| !self.unreadable.knows(seen));
        Ok(listed.filter_map(Listed::read).collect())
    }
}

fn held(stored: Option<JobRecord>, job: &LeasedJob) -> Result<JobRecord> {
    stored.filter(|stored| stored.is_held_by(&job.lease)).ok_or(StoreError::Conflict)
}
