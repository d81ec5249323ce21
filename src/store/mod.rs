//! What must outlive the process: accepted signals, incidents, jobs, and facts worth keeping (vault → servers,
//! settings snapshots). Every implementation passes one conformance suite, `tests/store_conformance`.

pub mod azure;
mod measured;
mod sqlite;

pub use azure::{AzureStorageSettings, AzureStore};
pub use measured::{Measured, take_reading};
pub use sqlite::{SqliteStore, care};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;

/// How often a job is begun before it is set aside as poison.
pub const POISON_AFTER: u32 = 10;

/// How long a signal is remembered as known, so that the same event delivered again changes nothing. Azure delivers an
/// alert again within minutes; the rest is for queues that were held up.
pub const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a signal is kept after it was taken or dismissed, for whoever asks later what was told.
pub const TAKEN_KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long alerts about one target are gathered while it is being looked at, or soon will be: longer than a look takes, so that a
/// storm costs twenty looks a second and not hundreds, and nothing beside the minutes that Azure needs to tell.
pub const GATHERED_FOR: SignedDuration = SignedDuration::from_millis(50);

/// How long a fact is kept that nobody has renewed: the patrol renews what still exists every day.
pub const FACT_KEPT_FOR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster: the incident was saved since it was read, another incident of its key is open, or the
    /// job's lease was taken over. Read again, decide again.
    #[error("somebody else changed it in the meantime; read it again")]
    Conflict,
    /// Full, locked, read-only or broken: nothing was written, and the sender must be asked to try again.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// What is stored can't be read (a newer version wrote it, or it was damaged). It is left alone.
    #[error("{what} in the store cannot be read: {why}")]
    Unreadable {
        /// Which record.
        what: String,
        /// Why.
        why: String,
    },
}

/// What [`Store`] answers with.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The version of a stored incident: a save must name the one it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub i64);

/// The work a job asks for. The JSON is stored, so variants are only added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Work {
    /// Find the incident that accepted signals belong to, or find that none is needed.
    Locate {
        /// The subject of the signals: a server, managed instance or vault, or what else they named.
        target: ResourceId,
    },
    /// One pass of the responder over one incident.
    Pass {
        /// Which.
        incident: IncidentId,
    },
    /// Send one notice of an incident through one channel.
    Tell {
        /// Which incident.
        incident: IncidentId,
        /// The notice's stable id within it.
        notice: String,
        /// The channel's name.
        channel: String,
    },
    /// Send a sign of life through one channel.
    Heartbeat {
        /// The channel's name.
        channel: String,
    },
}

impl Work {
    /// Its kind in a word: `locate`, `pass`, `tell` or `heartbeat`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Locate { .. } => "locate",
            Self::Pass { .. } => "pass",
            Self::Tell { .. } => "tell",
            Self::Heartbeat { .. } => "heartbeat",
        }
    }

    /// Jobs with the same key are the same job: enqueueing one that waits already only moves it earlier.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Locate { target } => format!("locate:{}", target.key()),
            Self::Pass { incident } => format!("pass:{incident}"),
            Self::Tell { incident, notice, channel } => format!("tell:{incident}:{notice}:{channel}"),
            Self::Heartbeat { channel } => format!("heartbeat:{channel}"),
        }
    }
}

/// A job to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What to do.
    pub work: Work,
    /// Not before.
    pub due: Timestamp,
}

/// The store's own name of a stored signal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignalRef(pub String);

/// A job that this process holds until `leased_until`; whoever crashes loses it to the next one from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedJob {
    /// What to do.
    pub work: Work,
    /// How many times it has been leased before without completing, since it was last asked for.
    pub attempts: u32,
    /// When the lease ends.
    pub leased_until: Timestamp,
    /// Which lease this is, in the store's own words, never used twice: a lease that ran out and was taken by another
    /// cannot complete the job.
    pub lease: String,
}

/// What [`Store::lease_by_key`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handout {
    /// It is yours.
    Yours(LeasedJob),
    /// It waits, or somebody holds it: not before this time.
    NotBefore(Timestamp),
    /// It was set aside as poison; nobody gets it until it is retried or asked for anew.
    SetAside,
    /// There is no such job: it was done.
    Gone,
}

/// No job is put off for longer.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// None is held for longer, also on a clock that runs faster.
pub const LONGEST_LEASE: SignedDuration = SignedDuration::from_hours(24);

/// What [`Store::sweep`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Saves that a crash had left half done, completed now.
    pub completed: usize,
    /// Jobs that were due and that nobody had been called for, or that a clock that was ahead put off, called for now.
    pub called: usize,
}

/// What became of signals that were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// How many were new.
    pub new: usize,
    /// How many were known already by their event id (and changed nothing).
    pub repeated: usize,
}

/// The kind of fact that remembers what the patrol found at each vault by the rules of the audit: under `found` how much of
/// each level.
pub const POSTURE: &str = "posture";

/// What [`Store::prune`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Signals that were taken long ago.
    pub signals: usize,
    /// Facts that nobody renewed.
    pub facts: usize,
    /// Incidents that ended long ago.
    pub incidents: usize,
}

/// Where the responder's memory lives. All calls are atomic: they happen wholly or not at all, and what they
/// answered stays true after a power cut. Times are kept to the microsecond.
///
/// A record that can't be read (a newer version wrote it, or it was damaged) is left as it is and reported in the log;
/// lists leave it out, and a call that asks for it alone answers [`StoreError::Unreadable`].
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Stores signals and, for each distinct [`Signal::subject`] of a new one, a [`Work::Locate`] job due at `now`:
    /// alerts about 400 databases of 40 servers make 40 jobs. Where that job waits or is being done already, it is due (again)
    /// [`GATHERED_FOR`] after `now` at the latest.
    ///
    /// A signal whose [`Signal::fingerprint`] was stored within the last 7 days ([`KNOWN_FOR`]) is repeated and changes
    /// nothing: that of an event is its id, kind and subject, that of one without an id its kind, target, time and text. The
    /// SQLite file's store knows the latest 100,000 signals; a repetition of one before those is looked into again.
    async fn accept(&self, signals: &[Signal], now: Timestamp) -> Result<Accepted>;

    /// The stored signals whose subject is `subject` (as a [`Work::Locate`] names it) that have not been taken by an
    /// incident yet, in the order in which they were accepted.
    async fn untaken_signals(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>>;

    /// The incident of that id.
    async fn incident(&self, id: &IncidentId) -> Result<Option<(Incident, Version)>>;

    /// The open incident of that key, if there is one. There is never more than one.
    async fn open_incident(&self, key: &IncidentKey) -> Result<Option<(Incident, Version)>>;

    /// All incidents, newest first, `limit` at most; `open_only` leaves out those that ended.
    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>>;

    /// Saves an incident made from `expected` (`None`: a new one), stores `jobs` as [`Self::enqueue`] does, and marks
    /// `taken` signals as taken, in one transaction. A signal that was taken before stays where it was.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the stored version is not `expected`, or a second incident of an open key is made.
    async fn save(
        &self,
        incident: &Incident,
        expected: Option<Version>,
        jobs: &[NewJob],
        taken: &[SignalRef],
        now: Timestamp,
    ) -> Result<Version>;

    /// Marks signals as taken without an incident (they turned out to be nobody's concern).
    async fn dismiss(&self, taken: &[SignalRef], now: Timestamp) -> Result<()>;

    /// Stores a job, or moves the waiting one of the same key to the earlier of both times. A job that is leased when
    /// its key is enqueued is run once more after it completes.
    ///
    /// Whoever enqueues asks anew: a waiting job's failed attempts are forgotten (a storm of alerts during a short
    /// outage must not use them up), and one that was set aside waits again.
    async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()>;

    /// Takes the earliest due job that nobody holds, for `length`. There is one job for each kind of work and target,
    /// so no two holders ever work on the same thing. A job that was leased [`POISON_AFTER`] times without completing
    /// is set aside as poison and not handed out.
    async fn lease(&self, now: Timestamp, length: SignedDuration) -> Result<Option<LeasedJob>>;

    /// Takes the job of that key ([`Work::key`]) for `length`, if it is due and nobody holds it: for those who are called
    /// for one job, as by a queue message. Sets a worn-out job aside as [`Self::lease`] does.
    async fn lease_by_key(&self, key: &str, now: Timestamp, length: SignedDuration) -> Result<Handout>;

    /// Calls for the job of that key once more at `at`, and changes nothing else: its record, its time and its attempts
    /// stay as they are. For whoever was called too early ([`Handout::NotBefore`]) and gives the call back. A store whose
    /// workers look by themselves has nothing to do here.
    async fn call_again(&self, _key: &str, _at: Timestamp, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    /// The job is done.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the lease ran out and the job was taken by another, or is no longer leased.
    async fn complete(&self, job: &LeasedJob, now: Timestamp) -> Result<()>;

    /// The job failed: it is due again at `due`, or set aside as poison after [`POISON_AFTER`] attempts (then `true`
    /// is answered).
    ///
    /// # Errors
    /// As [`Self::complete`].
    async fn retry(&self, job: &LeasedJob, due: Timestamp, error: &str) -> Result<bool>;

    /// Whether there is a job of that key ([`Work::key`]): waiting, held or set aside.
    async fn knows_job(&self, key: &str) -> Result<bool>;

    /// When the next job is due (a leased one: when its lease ends).
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Jobs that were set aside: key and last error.
    async fn poison(&self) -> Result<Vec<(String, String)>>;

    /// Sets the job of that key aside as poison, whoever holds it, because of `error`; `false` if there is none or it was
    /// set aside before.
    async fn set_aside(&self, key: &str, error: &str, now: Timestamp) -> Result<bool>;

    /// Puts a job that was set aside back, due at `now`; `false` if there is none of that key.
    async fn poison_retry(&self, key: &str, now: Timestamp) -> Result<bool>;

    /// Keeps a fact under `(kind, key)`, replacing the one before.
    async fn keep_fact(&self, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()>;

    /// A kept fact and when it was kept.
    async fn fact(&self, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>>;

    /// All kept facts of a kind, by key: key, value, when.
    async fn facts(&self, kind: &str) -> Result<Vec<(String, Value, Timestamp)>>;

    /// Removes signals that were taken longer ago than [`TAKEN_KEPT_FOR`], facts not renewed for [`FACT_KEPT_FOR`], and
    /// incidents that ended before `incidents_before` (`None`: none). Open incidents, jobs and untaken signals stay, however
    /// old, and an incident may stay as long as a signal that it took.
    async fn prune(&self, incidents_before: Option<Timestamp>, now: Timestamp) -> Result<Pruned>;

    /// Completes what a crash left half done, calls anew for jobs that are due and were forgotten, and makes due what waits
    /// until after [`LONGEST_WAIT`], or is held until after [`LONGEST_LEASE`]: a clock that was ahead put it there. To be
    /// called every minute or so, by anybody.
    async fn sweep(&self, now: Timestamp) -> Result<Swept>;
}
