//! The jobs: one blob for each kind of work and target, changed only over the version that was read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use azure_core::http::Etag;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::blobs::{Blobs, Seen, When, all, all_readable};
use super::document::{self, micros, readable, time};
use super::doorbell::Doorbell;
use super::job_record::{Aside, JobRecord, Listed};
use super::names;
use crate::clock;
use crate::ids::Ids;
use crate::store::{Handout, LeasedJob, NewJob, POISON_AFTER, Result, StoreError};

/// How often a change is begun anew because somebody else was faster.
const TRIES: u32 = 40;

/// How long a job is due before its doorbell is taken for lost, when it is asked for again.
const LOST_WHEN_ASKED: SignedDuration = SignedDuration::from_secs(20);

/// The same when nobody asks.
const LOST_WHEN_SWEPT: SignedDuration = SignedDuration::from_secs(30);

/// The jobs of a container, and the doorbell that calls for them.
#[derive(Debug)]
pub(super) struct Jobs<'a> {
    pub blobs: &'a Blobs,
    pub doorbell: Option<&'a Doorbell>,
    pub ids: &'a Ids,
    pub unreadable: &'a Unreadable,
}

/// The versions of job records that could not be read: lists leave them out until somebody changes them.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashMap<String, String>>);

impl Unreadable {
    fn remember(&self, seen: &Seen) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(seen.name.clone(), seen.etag.to_string());
    }

    fn knows(&self, seen: &Seen) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&seen.name).is_some_and(|etag| *etag == seen.etag.to_string())
    }
}

/// What a change makes of a job.
enum Change<T> {
    Nothing(T),
    Write(JobRecord, T),
    Remove(T),
}

fn what(key: &str) -> String {
    format!("job {key}")
}

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

    /// Rings for what nobody came for, tells of poison that was not told of, and looks again at what an older program
    /// could not read. Answers how many jobs were called for.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize> {
        let mut listed = self.blobs.list(names::JOBS).await?;
        let patience = LOST_WHEN_SWEPT.as_micros() as i64;
        listed.retain(|seen| match seen.text("state") {
            "open" => {
                let late = seen.number("ready").map(|ready_at| micros(now).saturating_sub(ready_at));
                self.doorbell.is_some() && late.is_some_and(|late| late > patience)
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
        match record.set_aside {
            Some(Aside::Poison) if !record.told => {
                if let Some(doorbell) = self.doorbell {
                    doorbell.tell_of_poison(&key).await?;
                    record.told = true;
                    self.write(&record, &When::Still(etag)).await?;
                }
                return Ok(false);
            }
            Some(Aside::Unreadable) if record.readable_work().is_ok() => record.revive(micros(now)),
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

    async fn open_jobs(&self) -> Result<Vec<Listed>> {
        let listed = self.blobs.list(names::JOBS).await?;
        let listed = listed.into_iter().filter(|seen| !self.unreadable.knows(seen));
        Ok(listed.filter_map(Listed::read).collect())
    }

    async fn write(&self, record: &JobRecord, when: &When) -> Result<Option<Etag>> {
        self.blobs.put(&names::job(&record.key), document::write(record)?, record.metadata(), when).await
    }

    /// Changes the job of that key by what `change` makes of the version that is stored, again and again until nobody
    /// else was faster.
    async fn change<T>(
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
    async fn ring(&self, key: &str, ready_at: i64) {
        if let Some(doorbell) = self.doorbell
            && let Err(error) = doorbell.ring(key, ready_at).await
        {
            tracing::warn!(%error, key, "a job is stored and its doorbell did not ring; the next sweep rings it");
        }
    }

    fn tell_of_poison<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
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

fn held(stored: Option<JobRecord>, job: &LeasedJob) -> Result<JobRecord> {
    stored.filter(|stored| stored.is_held_by(&job.lease)).ok_or(StoreError::Conflict)
}

/// Lets others go first, a little longer each time.
pub(super) async fn wait(ids: &Ids, tried: u32) {
    let longest = 5.0 * f64::from(tried.min(20) + 1);
    tokio::time::sleep(Duration::from_secs_f64(ids.fraction() * longest / 1e3)).await;
}
