//! Any sequence of queue calls, beside the simplest queue that follows the trait's words.

use jiff::{SignedDuration, Timestamp};
use keymend::store::{LeasedJob, POISON_AFTER, Store, StoreError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::kit::{Place, at, pass};

/// How many different jobs the sequences are about: few, so that they meet.
const JOBS: usize = 3;

#[derive(Debug, Clone)]
enum Call {
    Enqueue {
        job: usize,
        in_seconds: i64,
    },
    Lease {
        seconds: i64,
    },
    /// By the holder of the `nth` last lease that was ever given.
    Complete {
        nth: usize,
    },
    Retry {
        nth: usize,
        in_seconds: i64,
    },
    PoisonRetry {
        job: usize,
    },
    Pass {
        seconds: i64,
    },
    /// Leases again and again, and lets each lease fail or run out.
    WearOut {
        times: usize,
        failing: bool,
    },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..JOBS, -20..60_i64).prop_map(|(job, in_seconds)| Call::Enqueue { job, in_seconds }),
        6 => (0..40_i64).prop_map(|seconds| Call::Lease { seconds }),
        2 => (0..4_usize).prop_map(|nth| Call::Complete { nth }),
        4 => (0..3_usize, -5..30_i64).prop_map(|(nth, in_seconds)| Call::Retry { nth, in_seconds }),
        1 => (0..JOBS).prop_map(|job| Call::PoisonRetry { job }),
        4 => (0..50_i64).prop_map(|seconds| Call::Pass { seconds }),
        1 => (1..12_usize, any::<bool>()).prop_map(|(times, failing)| Call::WearOut { times, failing }),
    ]
}

#[derive(Debug, Clone)]
struct Job {
    due: Timestamp,
    again: Option<Timestamp>,
    attempts: u32,
    holder: Option<(usize, Timestamp)>,
    set_aside: bool,
}

impl Job {
    fn ready(&self) -> Timestamp {
        self.holder.map_or(self.due, |(_, until)| until)
    }
}

/// The queue as the words say; leases are numbered in the order in which they were given.
#[derive(Debug, Default)]
struct Model {
    jobs: [Option<Job>; JOBS],
}

impl Model {
    fn enqueue(&mut self, job: usize, due: Timestamp) {
        let slot = &mut self.jobs[job];
        match slot {
            Some(job) if job.set_aside => {
                *job = Job { due, again: job.again, attempts: 0, holder: None, set_aside: false };
            }
            Some(job) if job.holder.is_some() => job.again = Some(job.again.map_or(due, |again| again.min(due))),
            Some(job) => (job.due, job.attempts) = (job.due.min(due), 0),
            None => *slot = Some(Job { due, again: None, attempts: 0, holder: None, set_aside: false }),
        }
    }

    /// Sets worn-out jobs aside as a lease does first, and answers which jobs may be handed out.
    fn candidates(&mut self, now: Timestamp) -> Vec<usize> {
        let due = |job: &Job| !job.set_aside && job.ready() <= now;
        for job in self.jobs.iter_mut().flatten() {
            job.set_aside |= due(job) && job.attempts >= POISON_AFTER;
        }
        let first = self.jobs.iter().flatten().filter(|job| due(job)).map(Job::ready).min();
        let earliest = |job: &Job| due(job) && Some(job.ready()) == first;
        (0..JOBS).filter(|n| self.jobs[*n].as_ref().is_some_and(earliest)).collect()
    }

    fn held_by(&mut self, job: usize, lease: usize) -> Option<&mut Job> {
        self.jobs[job].as_mut().filter(|job| job.holder.is_some_and(|(holder, _)| holder == lease))
    }

    fn complete(&mut self, job: usize, lease: usize) -> bool {
        let Some(held) = self.held_by(job, lease) else { return false };
        self.jobs[job] = held.again.map(|due| Job { due, again: None, attempts: 0, holder: None, set_aside: false });
        true
    }

    fn retry(&mut self, job: usize, lease: usize, due: Timestamp) -> Option<bool> {
        let held = self.held_by(job, lease)?;
        held.holder = None;
        held.due = due;
        held.set_aside = held.attempts >= POISON_AFTER;
        Some(held.set_aside)
    }

    fn poison_retry(&mut self, job: usize, now: Timestamp) -> bool {
        let Some(job) = self.jobs[job].as_mut().filter(|job| job.set_aside) else { return false };
        *job = Job { due: now, again: job.again, attempts: 0, holder: None, set_aside: false };
        true
    }
}

/// The store and the model, walked through the same calls.
struct Walk<'a> {
    store: &'a dyn Store,
    model: Model,
    leases: Vec<(usize, LeasedJob)>,
    now: Timestamp,
}

fn name(job: usize) -> String {
    format!("j{job}")
}

fn key(job: usize) -> String {
    pass(&name(job), 0).work.key()
}

impl Walk<'_> {
    fn later(&self, seconds: i64) -> Timestamp {
        self.now + SignedDuration::from_secs(seconds)
    }

    fn nth_last(&self, nth: usize) -> Option<(usize, usize, LeasedJob)> {
        let lease = self.leases.len().checked_sub(nth + 1)?;
        let (job, leased) = self.leases[lease].clone();
        Some((job, lease, leased))
    }

    async fn make(&mut self, call: &Call) {
        match *call {
            Call::Enqueue { job, in_seconds } => {
                let mut new = pass(&name(job), 0);
                new.due = self.later(in_seconds);
                self.store.enqueue(&new, self.now).await.unwrap();
                self.model.enqueue(job, new.due);
            }
            Call::Lease { seconds } => self.lease(seconds).await,
            Call::Complete { nth } => {
                let Some((job, lease, leased)) = self.nth_last(nth) else { return };
                let expected = if self.model.complete(job, lease) { Ok(()) } else { Err(StoreError::Conflict) };
                assert_eq!(self.store.complete(&leased, self.now).await, expected);
            }
            Call::Retry { nth, in_seconds } => self.retry(nth, in_seconds).await,
            Call::PoisonRetry { job } => {
                let expected = self.model.poison_retry(job, self.now);
                assert_eq!(self.store.poison_retry(&key(job), self.now).await.unwrap(), expected);
            }
            Call::Pass { seconds } => self.now = self.later(seconds),
            Call::WearOut { times, failing } => {
                for _ in 0..times {
                    self.lease(5).await;
                    if failing {
                        self.retry(0, 0).await;
                    } else {
                        self.now = self.later(5);
                    }
                }
            }
        }
    }

    async fn lease(&mut self, seconds: i64) {
        let leased = self.store.lease(self.now, SignedDuration::from_secs(seconds)).await.unwrap();
        let candidates = self.model.candidates(self.now);
        let Some(leased) = leased else {
            assert!(candidates.is_empty(), "{candidates:?} was due");
            return;
        };
        let chosen = candidates.into_iter().find(|job| key(*job) == leased.work.key());
        let chosen = chosen.unwrap_or_else(|| panic!("{leased:?} was not the earliest due job"));
        let until = self.later(seconds);
        let job = self.model.jobs[chosen].as_mut().unwrap();
        assert_eq!((leased.attempts, leased.leased_until), (job.attempts, until));
        job.attempts += 1;
        job.holder = Some((self.leases.len(), until));
        self.leases.push((chosen, leased));
    }

    async fn retry(&mut self, nth: usize, in_seconds: i64) {
        let Some((job, lease, leased)) = self.nth_last(nth) else { return };
        let due = self.later(in_seconds);
        let expected = self.model.retry(job, lease, due).ok_or(StoreError::Conflict);
        assert_eq!(self.store.retry(&leased, due, "failed").await, expected);
    }

    async fn compare(&self) {
        let waiting = self.model.jobs.iter().flatten().filter(|job| !job.set_aside);
        assert_eq!(self.store.next_due().await.unwrap(), waiting.map(Job::ready).min());
        let mut poison: Vec<_> = self.store.poison().await.unwrap().into_iter().map(|(key, _)| key).collect();
        poison.sort();
        let set_aside = |job: &usize| self.model.jobs[*job].as_ref().is_some_and(|job| job.set_aside);
        assert_eq!(poison, (0..JOBS).filter(set_aside).map(key).collect::<Vec<_>>());
    }
}

pub fn any_sequence_behaves_like_the_model(cases: u32, place: impl Fn() -> Option<Box<dyn Place>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&vec(call(), 1..120), |calls| {
            let Some(place) = place() else { return Ok(()) };
            runtime.block_on(async {
                let store = place.open().await;
                let mut walk = Walk { store: &*store, model: Model::default(), leases: Vec::new(), now: at(0) };
                for call in &calls {
                    walk.make(call).await;
                    walk.compare().await;
                }
            });
            Ok(())
        })
        .unwrap();
}
