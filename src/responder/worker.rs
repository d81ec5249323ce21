//! Takes due jobs from the store and does them, several side by side, each under a lease.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use super::{JobError, Responder};
use crate::clock::{Busy, add};
use crate::store::{LeasedJob, NewJob, StoreError, Work};
use crate::telemetry::count;

/// Jobs done side by side.
const SIDE_BY_SIDE: usize = 8;
/// How long a job is held; after a crash it is taken up again when this is over.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// How often old signals and facts are removed.
const TIDY_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Other processes (`keymend incidents approve`) store jobs too: look at least this often, in real time.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);

impl Responder {
    /// Works until the future is dropped. Dropping it at any point is safe.
    pub async fn run(&self) {
        let mut running: JoinSet<()> = JoinSet::new();
        let mut held: Vec<Busy> = vec![self.clock.busy()];
        let opening = Arc::new(Mutex::new(()));
        let mut tidied = None;
        loop {
            self.tidy(&mut tidied).await;
            if let Err(error) = self.take_up(&mut running, &opening).await {
                tracing::error!(%error, "the store cannot be read; trying again");
                self.clock.pause(SignedDuration::from_secs(5)).await;
            }
            held.clear();
            held.extend(self.rest(&mut running).await);
        }
    }

    /// Once a day, lets the store forget what is too old to matter.
    async fn tidy(&self, tidied: &mut Option<Timestamp>) {
        let now = self.clock.now();
        if tidied.is_some_and(|last| now < add(last, TIDY_EVERY)) {
            return;
        }
        *tidied = Some(now);
        match self.store.prune(now).await {
            Ok(pruned) => tracing::debug!(signals = pruned.signals, facts = pruned.facts, "the store was tidied"),
            Err(error) => tracing::warn!(%error, "the store could not be tidied; trying again in a day"),
        }
    }

    /// Starts every due job that there is room for.
    async fn take_up(&self, running: &mut JoinSet<()>, opening: &Arc<Mutex<()>>) -> Result<(), StoreError> {
        while running.len() < SIDE_BY_SIDE {
            let Some(job) = self.store.lease(self.clock.now(), self.lease_length()).await? else { break };
            let (me, busy, opening) = (self.clone(), self.clock.busy(), opening.clone());
            running.spawn(async move {
                me.work(&job, &opening).await;
                drop(busy);
            });
        }
        Ok(())
    }

    /// Waits until a job ends, a job is due, or somebody rings. Comes back holding the clock.
    async fn rest(&self, running: &mut JoinSet<()>) -> Vec<Busy> {
        let full = running.len() >= SIDE_BY_SIDE;
        let due = self.store.next_due().await.ok().flatten().filter(|_| !full);
        let until_due = async {
            match due {
                Some(due) => self.clock.idle_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(_) = running.join_next() => vec![self.clock.busy()],
            held = self.wake.heard() => held,
            held = until_due => vec![held],
            () = tokio::time::sleep(LOOK_AT_LEAST) => vec![self.clock.busy()],
        }
    }

    /// On a clock that runs faster, a lease lasts at least half a minute of real time too.
    fn lease_length(&self) -> SignedDuration {
        let factor = self.clock.factor().unwrap_or(1.0);
        LEASE.max(SignedDuration::try_from_secs_f64(30.0 * factor).unwrap_or(LEASE))
    }

    /// Does one job and settles it.
    async fn work(&self, job: &LeasedJob, opening: &Mutex<()>) {
        let (span, started) = (span(job), Instant::now());
        let result = self.work_on(job, opening).instrument(span).await;
        count::job(job.work.kind(), result, started.elapsed());
    }

    /// The same. Answers how it ended, in a word for whoever counts.
    async fn work_on(&self, job: &LeasedJob, opening: &Mutex<()>) -> &'static str {
        let result = match &job.work {
            Work::Locate { target } => self.locate(target, opening).await,
            Work::Pass { incident } => self.pass(incident).await,
            Work::Tell { incident, notice, channel } => self.deliver(incident, notice, channel).await,
        };
        let settled = match result {
            Ok(()) => self.store.complete(job, self.clock.now()).await.map(|()| "done"),
            Err(error) => self.put_back(job, &error).await,
        };
        settled.unwrap_or_else(|error| {
            // The lease runs out by itself and the job is done again: every job can be.
            tracing::warn!(job = job.work.key(), %error, "the job could not be settled");
            "unsettled"
        })
    }

    async fn put_back(&self, job: &LeasedJob, error: &JobError) -> Result<&'static str, StoreError> {
        let key = job.work.key();
        if matches!(error, JobError::Store(StoreError::Conflict)) {
            // No failure of the job's: it must not wear out and be set aside because others saved.
            tracing::debug!(job = key, "the incident was saved by somebody else; doing it again");
            let now = self.clock.now();
            self.store.enqueue(&NewJob { work: job.work.clone(), due: now }, now).await?;
            return self.store.complete(job, now).await.map(|()| "again");
        }
        Span::current().record("otel.status_code", "ERROR");
        tracing::warn!(job = key, attempts = job.attempts, %error, "the job failed; trying again later");
        let due = self.due_again(job.attempts, error);
        if self.store.retry(job, due, &error.to_string()).await? {
            tracing::error!(job = key, %error, "the job failed too often and was set aside");
            return Ok("set_aside");
        }
        Ok("failed")
    }

    /// 1, 2, 4 … 64 s, never more than 5 min, plus up to a fifth by chance.
    fn due_again(&self, attempts: u32, error: &JobError) -> Timestamp {
        let now = self.clock.now();
        let wait = match error {
            JobError::Channel { after: Some(after), .. } => *after,
            _ => SignedDuration::from_secs(1_i64 << attempts.min(6)),
        };
        let spread = wait.as_secs_f64() * 0.2 * self.ids.fraction();
        let jitter = SignedDuration::try_from_secs_f64(spread).unwrap_or_default();
        add(now, wait.min(SignedDuration::from_mins(5)) + jitter)
    }
}

/// The span of a job. What belongs to one incident is found by its id: a job may run in another process than the one that
/// asked for it, and long after.
fn span(job: &LeasedJob) -> Span {
    let (key, attempts) = (job.work.key(), job.attempts);
    match &job.work {
        Work::Locate { .. } => tracing::info_span!("locate", key, attempts, otel.status_code = field::Empty),
        Work::Pass { incident } => tracing::info_span!(
            "pass",
            %incident,
            key,
            attempts,
            phase = field::Empty,
            servers = field::Empty,
            vault = field::Empty,
            otel.status_code = field::Empty
        ),
        Work::Tell { incident, channel, .. } => {
            tracing::info_span!("tell", %incident, channel, key, attempts, otel.status_code = field::Empty)
        }
    }
}
