//! The loop: one pass over one incident is load, observe, decide, act, record, tell, come back.
//!
//! | file | job |
//! |---|---|
//! | [`worker`] | takes due jobs from the store and does them |
//! | `concern` | whom signals concern, and what their kinds say |
//! | [`locate`] | from accepted signals to the incident they belong to |
//! | [`glance`] | whether a change that may take a key away has done so |
//! | [`inventory`] | which server depends on which key |
//! | [`join`] | adds servers and signals to an incident, or opens one |
//! | `draft` | an incident in the hands of a pass |
//! | [`pass`] | one pass over one incident |
//! | [`look`] | what a pass reads, and what that does to the incident |
//! | [`databases`] | which databases are down, came back, lost settings |
//! | [`act`] | carries out a decision: intent, change, outcome |
//! | [`answer`] | what a person answers, when it counts, and that it counts once |
//! | [`ending`] | when an incident is over, and what people are told then |
//! | `dates` | coming back when a date of a key has come |
//! | [`heartbeat`] | a sign of life through channels that were not used for long |
//! | [`expiry`] | warnings that a key expires soon |
//! | [`snapshots`] | what databases are like while all is well |
//! | [`restore`] | after the end: what Azure dropped is compared and put back |
//! | [`tell`] | notices, composed and stored with the incident |
//! | [`deliver`] | through each channel in order, once each |
//! | `partners` | which servers are asked for their geo partners |
//! | [`schedule`] | when to come back, and how much to look at then |
//! | [`merge`] | what joined an incident while a pass was at work |
//! | [`memory`] | what is remembered over all incidents |
//! | [`set_aside`] | jobs that were set aside, and messages that nobody can read: a person is told |
//! | [`upkeep`] | what nobody rings for: sweeping, telling of jobs set aside, forgetting |
//! | [`beat`] | what the patrol needs of the responder's memory |
//! | [`wake`] | how somebody who stored a job tells the worker |

pub mod act;
pub mod answer;
pub mod beat;
mod concern;
pub mod databases;
mod dates;
pub mod deliver;
mod draft;
pub mod ending;
pub mod expiry;
pub mod glance;
pub mod heartbeat;
pub mod inventory;
pub mod join;
pub mod locate;
pub mod look;
pub mod memory;
pub mod merge;
pub mod own_keys;
mod partners;
mod pass;
pub mod restore;
pub mod schedule;
pub mod set_aside;
pub mod snapshots;
pub mod tell;
pub mod upkeep;
pub mod wake;
pub mod worker;

use std::sync::Arc;

use jiff::SignedDuration;

pub use wake::Wake;

use crate::azure::Azure;
use crate::clock::Clock;
use crate::domain::policy::Policy;
use crate::ids::Ids;
use crate::notify::Channel;
use crate::store::{Store, StoreError};

/// Everything a job works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Responder {
    /// Incidents, jobs, facts.
    pub store: Arc<dyn Store>,
    /// Azure.
    pub azure: Azure,
    /// Who is told.
    pub channels: Arc<[Arc<dyn Channel>]>,
    /// What is allowed.
    pub policy: Arc<Policy>,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Ids,
    /// The bell.
    pub wake: Wake,
    /// When channels that were silent get a sign of life; `None`: never.
    pub heartbeat: Option<heartbeat::Heartbeat>,
    /// For how long incidents are kept after they ended; `None`: for ever.
    pub keep_incidents: Option<SignedDuration>,
}

/// Why a job could not be done. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The store failed, or somebody else saved the incident meanwhile.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Azure could not be asked.
    #[error("{0}")]
    Azure(String),
    /// It was given up, so that whoever is called next finds it free.
    #[error("it was not done within {} s and was given up", .0.as_secs())]
    TooLong(std::time::Duration),
    /// A channel could not be reached; not before the given time.
    #[error("{why}")]
    Channel {
        /// Seconds to wait, if the receiver said so.
        after: Option<SignedDuration>,
        /// What happened.
        why: String,
    },
}

/// What a job answers.
pub type JobResult<T = ()> = Result<T, JobError>;
