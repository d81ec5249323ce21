//! Signals: accepted once, then taken by an incident or dismissed, and forgotten long after that.
//!
//! A signal is two blobs. `untaken/SUBJECT/FINGERPRINT` is there until somebody takes it; `known/FINGERPRINT` is written
//! last of all, when the jobs are stored: until then a sender who tries again is no repetition. Both name the call that
//! accepted the signal, so that of several calls at once exactly one counts it as new.

use azure_core::http::Etag;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Metadata, Seen, When, all, all_readable};
use super::document::{self, micros};
use super::job_blobs::Jobs;
use super::job_change::wait;
use super::names;
use crate::clock;
use crate::domain::incident::IncidentId;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;
use crate::ids::Ids;
use crate::store::{Accepted, KNOWN_FOR, NewJob, Result, SignalRef, TAKEN_KEPT_FOR, Work};

/// How often a signal's record is tried to be changed.
const TRIES: u32 = 20;

/// A signal that waits to be taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Untaken {
    received_at: i64,
    /// Its place among those that came with it.
    place: usize,
    accepted_by: String,
    signal: Signal,
}

/// A signal that is not new any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    received_at: i64,
    accepted_by: String,
    taken_at: Option<i64>,
    incident: Option<IncidentId>,
    signal: Signal,
}

impl Known {
    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::from([("received".to_owned(), self.received_at.to_string())]);
        metadata.extend(self.taken_at.map(|taken| ("taken".to_owned(), taken.to_string())));
        metadata
    }
}

/// One offered signal that is not known.
struct Offered<'a> {
    fingerprint: String,
    subject: ResourceId,
    signal: &'a Signal,
    place: usize,
    /// The record of the same event, too long ago to count.
    outdated: Option<Etag>,
}

/// The signals of a container.
#[derive(Debug)]
pub(super) struct Signals<'a> {
    pub blobs: &'a Blobs,
    pub ids: &'a Ids,
}

fn what(fingerprint: &str) -> String {
    format!("signal {fingerprint}")
}

/// The hash of the subject of a stored signal.
pub(super) fn subject_of(signal: &SignalRef) -> Option<&str> {
    signal.0.split_once('/').map(|(subject, _)| subject)
}

impl Signals<'_> {
    pub async fn accept(&self, signals: &[Signal], jobs: &Jobs<'_>, now: Timestamp) -> Result<Accepted> {
        let (fresh, mut repeated) = self.unknown(signals, now).await?;
        let call = self.ids.uuid().simple().to_string();
        all(fresh.iter().map(|offered| self.store(offered, &call, now).boxed())).await?;
        let mut subjects: Vec<&ResourceId> = fresh.iter().map(|offered| &offered.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let asked: Vec<_> = subjects
            .into_iter()
            .map(|target| NewJob { work: Work::Locate { target: target.clone() }, due: now })
            .collect();
        all(asked.iter().map(|job| jobs.enqueue(job, now).boxed())).await?;
        let counted = all(fresh.iter().map(|offered| self.make_known(offered, &call, now).boxed())).await?;
        let new = counted.into_iter().filter(|new| *new).count();
        repeated += fresh.len() - new;
        Ok(Accepted { new, repeated })
    }

    /// Those that are not known, each once, and how many are.
    async fn unknown<'a>(&self, signals: &'a [Signal], now: Timestamp) -> Result<(Vec<Offered<'a>>, usize)> {
        let mut offered: Vec<Offered<'a>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (place, signal) in signals.iter().enumerate() {
            let fingerprint = signal.fingerprint();
            if seen.insert(fingerprint.clone()) {
                offered.push(Offered { fingerprint, subject: signal.subject(), signal, place, outdated: None });
            }
        }
        let since = micros(clock::add(now, -KNOWN_FOR));
        let known: Vec<_> = offered.iter().map(|offered| names::known(&offered.fingerprint)).collect();
        let known = all(known.iter().map(|name| self.blobs.look(name).boxed())).await?;
        let mut fresh = Vec::new();
        for (mut offered, known) in offered.into_iter().zip(known) {
            let outdated = |known: &Seen| known.number("received").is_some_and(|received| received < since);
            if known.as_ref().is_none_or(outdated) {
                offered.outdated = known.map(|known| known.etag);
                fresh.push(offered);
            }
        }
        let repeated = signals.len() - fresh.len();
        Ok((fresh, repeated))
    }

    async fn store(&self, offered: &Offered<'_>, call: &str, now: Timestamp) -> Result<()> {
        let untaken = Untaken {
            received_at: micros(now),
            place: offered.place,
            accepted_by: call.to_owned(),
            signal: offered.signal.clone(),
        };
        let name = format!("{}{}", names::untaken_of(&offered.subject), offered.fingerprint);
        // One that is there already was left by a call that ended early, or is another's at this moment: it stays.
        self.blobs.put(&name, document::write(&untaken)?, Metadata::new(), &When::New).await?;
        Ok(())
    }

    /// Answers whether this call is the one that counts it as new.
    async fn make_known(&self, offered: &Offered<'_>, call: &str, now: Timestamp) -> Result<bool> {
        let known = Known {
            received_at: micros(now),
            accepted_by: call.to_owned(),
            taken_at: None,
            incident: None,
            signal: offered.signal.clone(),
        };
        let name = names::known(&offered.fingerprint);
        let when = offered.outdated.clone().map_or(When::New, When::Still);
        if self.blobs.put(&name, document::write(&known)?, known.metadata(), &when).await?.is_some() {
            return Ok(true);
        }
        // Another call was faster, or somebody took it before we came here.
        let theirs = self.blobs.record::<Known>(&name, &what(&offered.fingerprint)).await?;
        Ok(theirs.is_some_and(|(known, _)| known.accepted_by == call))
    }

    pub async fn untaken(&self, subject: &ResourceId) -> Result<Vec<(SignalRef, Signal)>> {
        let listed = self.blobs.list(&names::untaken_of(subject)).await?;
        let read = listed.into_iter().map(|Seen { name, .. }| {
            async move {
                let read = self.blobs.record::<Untaken>(&name, &name).await?;
                Ok(read.map(|(untaken, _)| (name, untaken)))
            }
            .boxed()
        });
        let mut untaken = all_readable(read).await?;
        untaken.sort_by(|(one, a), (other, b)| (a.received_at, a.place, one).cmp(&(b.received_at, b.place, other)));
        let signal = |(name, untaken): (String, Untaken)| {
            (SignalRef(name.trim_start_matches(names::UNTAKEN).to_owned()), untaken.signal)
        };
        Ok(untaken.into_iter().map(signal).collect())
    }

    /// Marks signals as taken by `incident`, or by nobody. Those that were taken before stay where they were.
    pub async fn take(&self, taken: &[SignalRef], incident: Option<&IncidentId>, now: Timestamp) -> Result<()> {
        all(taken.iter().map(|signal| self.take_one(signal, incident, now).boxed())).await?;
        Ok(())
    }

    async fn take_one(&self, signal: &SignalRef, incident: Option<&IncidentId>, now: Timestamp) -> Result<()> {
        let Some((_, fingerprint)) = signal.0.split_once('/') else { return Ok(()) };
        let (untaken, known) = (format!("{}{}", names::UNTAKEN, signal.0), names::known(fingerprint));
        for tried in 0..TRIES {
            let (record, when) = match self.blobs.record::<Known>(&known, &what(fingerprint)).await? {
                Some((record, etag)) => (record, When::Still(etag)),
                None => match self.blobs.record::<Untaken>(&untaken, &what(fingerprint)).await? {
                    Some((untaken, _)) => (untaken.into(), When::New),
                    None => return Ok(()),
                },
            };
            let stands = match record.taken_at {
                Some(_) => true,
                None => {
                    let taken = Known { taken_at: Some(micros(now)), incident: incident.cloned(), ..record };
                    self.blobs.put(&known, document::write(&taken)?, taken.metadata(), &when).await?.is_some()
                }
            };
            if stands {
                self.blobs.delete(&untaken, None).await?;
                return Ok(());
            }
            wait(self.ids, tried).await;
        }
        Err(self.blobs.place.contended(&what(fingerprint)))
    }

    /// Removes signals that were taken long ago; answers how many.
    pub async fn prune(&self, now: Timestamp) -> Result<usize> {
        let before = micros(clock::add(now, -TAKEN_KEPT_FOR));
        let mut old = self.blobs.list(names::KNOWN).await?;
        old.retain(|seen: &Seen| seen.number("taken").is_some_and(|taken| taken < before));
        let removed = all(old.iter().map(|seen| self.blobs.delete(&seen.name, Some(&seen.etag)).boxed())).await?;
        Ok(removed.into_iter().filter(|removed| *removed).count())
    }
}

impl From<Untaken> for Known {
    fn from(untaken: Untaken) -> Self {
        let Untaken { received_at, accepted_by, signal, .. } = untaken;
        Self { received_at, accepted_by, taken_at: None, incident: None, signal }
    }
}
