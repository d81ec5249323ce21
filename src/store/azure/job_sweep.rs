//! Looking after jobs that nobody came for.

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};

use super::blobs::{When, all};
use super::document::{micros, readable};
use super::job_blobs::Jobs;
use super::job_record::{Aside, JobRecord};
use super::names;
use crate::store::{LONGEST_WAIT, Result};

/// How long a job is due before its doorbell is taken for lost.
const LOST_WHEN_SWEPT: SignedDuration = SignedDuration::from_secs(30);

impl Jobs<'_> {
    /// Rings for what nobody came for or was put off for too long, tells of poison that was not told of, and looks again at what an older program
    /// could not read. Answers how many jobs were called for.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize> {
        let mut listed = self.blobs.list(names::JOBS).await?;
        let patience = LOST_WHEN_SWEPT.as_micros() as i64;
        listed.retain(|seen| match seen.text("state") {
            "open" => {
                let late = seen.number("ready").map(|ready_at| micros(now).saturating_sub(ready_at));
                let put_off = late.is_some_and(|late| -late > LONGEST_WAIT.as_micros() as i64);
                put_off && seen.text("kind") != "locate"
                    || self.doorbell.is_some() && late.is_some_and(|late| late > patience)
            }
            "poison" => self.doorbell.is_some(),
            "unreadable" => true,
            _ => false,
        });
        let called = all(listed.iter().map(|seen| self.look_after(&seen.name, now, patience).boxed())).await?;
        Ok(called.into_iter().filter(|called| *called).count())
    }

    async fn look_after(&self, name: &str, now: Timestamp, patience: i64) -> Result<bool> {
        let Some(Some((mut record, etag))) = readable(self.blobs.record::<JobRecord>(name, name).await) else {
            return Ok(false);
        };
        let key = record.key.clone();
        let aside = record.set_aside;
        match aside {
            Some(Aside::Poison) if !record.told => {
                if let Some(doorbell) = self.doorbell {
                    doorbell.tell_of_poison(&key).await?;
                    record.told = true;
                    self.write(&record, &When::Still(etag)).await?;
                }
                return Ok(false);
            }
            Some(Aside::Unreadable) if record.readable_work().is_ok() => record.revive(micros(now)),
            None if record.recall(micros(now)) => {}
            None if record.is_forgotten(micros(now), patience) => record.called_at = Some(micros(now)),
            _ => return Ok(false),
        }
        // Written first: a sweep beside this one then finds nothing to do.
        if self.write(&record, &When::Still(etag)).await?.is_none() {
            return Ok(false);
        }
        if let Some(doorbell) = self.doorbell {
            doorbell.ring(&key, record.ready_at).await?;
        }
        Ok(true)
    }
}
