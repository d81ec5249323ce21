//! One job, and what may happen to it. The same rules as the embedded store's, without a line of I/O.
//!
//! A job is *waiting* (due at `ready_at`), *held* (whoever knows `lease` may finish it, also after the lease ended at
//! `ready_at`, until the next one takes it), or *set aside*.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blobs::{Metadata, Seen};
use super::document::micros;
use crate::store::{LONGEST_LEASE, LONGEST_WAIT, NewJob, POISON_AFTER, Result, StoreError, Work};

/// How the keys of jobs begin that wait for a date.
const DATED: &str = "locate:";

/// Why a job is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aside {
    /// It failed too often.
    Poison,
    /// This version of the program does not know such work.
    Unreadable,
}

/// A job as it is stored. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JobRecord {
    pub key: String,
    pub work: Value,
    pub ready_at: i64,
    pub again_at: Option<i64>,
    pub held: bool,
    pub lease: String,
    pub attempts: u32,
    pub error: Option<String>,
    pub set_aside: Option<Aside>,
    /// When its doorbell was rung once more because nobody came.
    pub called_at: Option<i64>,
    /// Whether the poison queue was told.
    pub told: bool,
}

impl JobRecord {
    fn new(job: &NewJob) -> Result<Self> {
        Ok(Self {
            key: job.work.key(),
            work: work(job)?,
            ready_at: micros(job.due),
            again_at: None,
            held: false,
            lease: String::new(),
            attempts: 0,
            error: None,
            set_aside: None,
            called_at: None,
            told: false,
        })
    }

    /// The job as it is after somebody asked for it; `None` if that changes nothing.
    pub fn asked(stored: Option<&Self>, job: &NewJob) -> Result<Option<Self>> {
        let Some(stored) = stored else { return Self::new(job).map(Some) };
        let due = micros(job.due);
        let mut asked = stored.clone();
        if stored.set_aside.is_some() {
            asked = Self { again_at: stored.again_at, error: stored.error.clone(), ..Self::new(job)? };
        } else if stored.held {
            asked.again_at = Some(stored.again_at.map_or(due, |again| again.min(due)));
        } else {
            if due < stored.ready_at {
                asked.wait_until(due);
            }
            asked.attempts = 0;
        }
        Ok((asked != *stored).then_some(asked))
    }

    fn wait_until(&mut self, ready_at: i64) {
        self.ready_at = ready_at;
        self.called_at = None;
    }

    /// The work, if this version of the program knows it.
    pub fn readable_work(&self) -> Result<Work> {
        serde_json::from_value(self.work.clone())
            .map_err(|error| StoreError::Unreadable { what: format!("job {}", self.key), why: error.to_string() })
    }

    pub fn is_due(&self, now: i64) -> bool {
        self.set_aside.is_none() && self.ready_at <= now
    }

    /// A job whose last lease ran out like all before it has ended its process, or hung, each time.
    pub fn is_worn_out(&self, now: i64) -> bool {
        self.is_due(now) && self.attempts >= POISON_AFTER
    }

    pub fn wear_out(&mut self) {
        let last = self.error.as_ref().map_or_else(String::new, |error| format!("; the last error: {error}"));
        let begun = format!("begun {} times and not finished: the process ended or hung at it{last}", self.attempts);
        self.put_aside(Aside::Poison, begun);
    }

    pub fn put_aside(&mut self, why: Aside, error: String) {
        self.set_aside = Some(why);
        self.error = Some(error);
        self.told = false;
    }

    /// Gives it out until `until`; answers how often it was begun before.
    pub fn hold(&mut self, lease: String, until: i64) -> u32 {
        self.held = true;
        self.lease = lease;
        self.wait_until(until);
        self.attempts += 1;
        self.attempts - 1
    }

    pub fn is_held_by(&self, lease: &str) -> bool {
        self.held && self.lease == lease
    }

    /// The job after it was done: `None` if nobody asked for it meanwhile.
    pub fn done(mut self) -> Option<Self> {
        let again = self.again_at.take()?;
        self.held = false;
        self.set_aside = None;
        self.attempts = 0;
        self.error = None;
        self.wait_until(again);
        Some(self)
    }

    /// It failed; answers whether that was once too often.
    pub fn failed(&mut self, due: i64, error: &str) -> bool {
        self.held = false;
        self.wait_until(due);
        self.error = Some(error.to_owned());
        let poisoned = self.attempts >= POISON_AFTER;
        self.set_aside = poisoned.then_some(Aside::Poison);
        self.told = false;
        poisoned
    }

    /// Puts it back, due at `now`.
    pub fn revive(&mut self, now: i64) {
        self.held = false;
        self.set_aside = None;
        self.attempts = 0;
        self.wait_until(now);
    }

    /// Whether its doorbell seems lost: it has been due for longer than `patience`, and for twice as long as when it was
    /// rung last, so that a long queue is not made longer with every look.
    pub fn is_forgotten(&self, now: i64, patience: i64) -> bool {
        let late = now.saturating_sub(self.ready_at);
        let then = self.called_at.map_or(0, |called| called.saturating_sub(self.ready_at));
        self.set_aside.is_none() && late > patience && late > then.saturating_mul(2)
    }

    /// Makes it due, if a clock that was ahead put it off for longer than any job is put off, but for looks at the date of a
    /// key. Answers whether it was.
    pub fn recall(&mut self, now: i64) -> bool {
        if self.set_aside.is_some() || self.key.starts_with(DATED) {
            return false;
        }
        let ahead = |time: i64, most: SignedDuration| time.saturating_sub(now) > most.as_micros() as i64;
        let again = self.again_at.is_some_and(|at| ahead(at, LONGEST_WAIT));
        if again {
            self.again_at = Some(now);
        }
        let put_off = ahead(self.ready_at, if self.held { LONGEST_LEASE } else { LONGEST_WAIT });
        if put_off {
            self.wait_until(now);
        }
        again || put_off
    }

    /// What a list tells of it.
    pub fn metadata(&self) -> Metadata {
        let state = match self.set_aside {
            None => "open",
            Some(Aside::Poison) if self.told => "told",
            Some(Aside::Poison) => "poison",
            Some(Aside::Unreadable) => "unreadable",
        };
        Metadata::from([
            ("state".to_owned(), state.to_owned()),
            ("ready".to_owned(), self.ready_at.to_string()),
            ("attempts".to_owned(), self.attempts.to_string()),
            ("kind".to_owned(), self.key.split(':').next().unwrap_or_default().to_owned()),
        ])
    }
}

/// A job that is not set aside, by what a list tells of it.
#[derive(Debug)]
pub(super) struct Listed {
    pub ready_at: i64,
    pub attempts: i64,
    pub seen: Seen,
}

impl Listed {
    pub fn read(seen: Seen) -> Option<Self> {
        if seen.text("state") != "open" {
            return None;
        }
        Some(Self { ready_at: seen.number("ready")?, attempts: seen.number("attempts")?, seen })
    }
}

fn work(job: &NewJob) -> Result<Value> {
    serde_json::to_value(&job.work)
        .map_err(|error| StoreError::Unavailable(format!("a job cannot be written as JSON: {error}")))
}
