//! Handing jobs out.

use azure_core::http::Etag;
use jiff::{SignedDuration, Timestamp};

use super::blobs::When;
use super::document::{micros, time};
use super::job_blobs::Jobs;
use super::job_change::{TRIES, wait, what};
use super::job_record::{Aside, JobRecord, Listed};
use super::names;
use crate::clock;
use crate::store::{Handout, LeasedJob, POISON_AFTER, Result, StoreError};

impl Jobs<'_> {
    pub async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>> {
        let now_micros = micros(now);
        for _ in 0..TRIES {
            let mut due = self.open_jobs().await?;
            due.retain(|listed| listed.ready_at <= now_micros);
            if due.is_empty() {
                return Ok(None);
            }
            // What is worn out comes first, so that it is set aside also while others are due.
            let order = |listed: &Listed| (listed.attempts < i64::from(POISON_AFTER), listed.ready_at);
            due.sort_by(|a, b| (order(a), &a.seen.name).cmp(&(order(b), &b.seen.name)));
            for Listed { seen, .. } in due {
                match self.blobs.record(&seen.name, &seen.name).await {
                    Ok(None) => {}
                    Ok(Some((record, etag))) => {
                        if let Handout::Yours(job) = self.hand_out(record, etag, now, length).await? {
                            return Ok(Some(job));
                        }
                    }
                    Err(error @ StoreError::Unreadable { .. }) => {
                        tracing::error!(%error, "left out a job");
                        self.unreadable.remember(&seen);
                    }
                    Err(error) => return Err(error),
                }
            }
            // Those that were due are taken or set aside; look whether there are others.
        }
        Err(self.blobs.place.contended("the list of jobs"))
    }

    pub async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        match self.blobs.record(&names::job(key), &what(key)).await? {
            Some((record, etag)) => self.hand_out(record, etag, now, length).await,
            None => Ok(Handout::Gone),
        }
    }

    /// Tries to take a job that was read. Whoever loses the race for it is told what the winner made of it.
    async fn hand_out(&self, record: JobRecord, etag: Etag, now: Timestamp, length: SignedDuration) -> Result<Handout> {
        let (mut record, mut etag) = (record, etag);
        for tried in 0..TRIES {
            if record.set_aside.is_some() {
                return Ok(Handout::SetAside);
            }
            if !record.is_due(micros(now)) {
                return Ok(Handout::NotBefore(time(record.ready_at)));
            }
            let key = record.key.clone();
            let handout = match record.readable_work() {
                _ if record.is_worn_out(micros(now)) => {
                    record.wear_out();
                    Handout::SetAside
                }
                Err(error) => {
                    tracing::error!(%error, "set aside a job");
                    record.put_aside(Aside::Unreadable, error.to_string());
                    Handout::SetAside
                }
                Ok(work) => {
                    let lease = self.ids.uuid().simple().to_string();
                    let until = micros(clock::add(now, length));
                    let attempts = record.hold(lease.clone(), until);
                    Handout::Yours(LeasedJob { work, attempts, leased_until: time(until), lease })
                }
            };
            if self.write(&record, &When::Still(etag)).await?.is_some() {
                if record.set_aside == Some(Aside::Poison) {
                    self.tell_of_poison(&key).await;
                }
                return Ok(handout);
            }
            wait(self.ids, tried).await;
            match self.blobs.record(&names::job(&key), &what(&key)).await? {
                Some(read) => (record, etag) = read,
                None => return Ok(Handout::Gone),
            }
        }
        Err(self.blobs.place.contended(&what(&record.key)))
    }
}
