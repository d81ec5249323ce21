//! Takes due jobs from the store and does them, several side by side, each under a lease.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use super::{JobError, JobResult, Responder};
use crate::clock::{Busy, add};
use crate::store::{Handout, LeasedJob, NewJob, StoreError, Work};
use crate::telemetry::count;

/// Jobs done side by side, beside messages.
const SIDE_BY_SIDE: usize = 8;
/// Messages under way: they wait for channels, some of which hang, and must not take a repair's place.
const MESSAGES: usize = 64;
/// How long a job is held; after a crash it is taken up again when this is over.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// Other processes (`keymend incidents approve`) store jobs too: look at least this often, in real time.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);
/// Between two looks for jobs because somebody rang, in real time: in a storm of alerts each of them rings.
const BREATH: Duration = Duration::from_millis(20);

/// What became of a job that somebody was called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// It is done.
    Done,
    /// It failed, and waits to be tried again, or was set aside.
    PutBack,
    /// It is not due, or somebody else is at it: called for again then.
    TooEarly,
    /// It was set aside before.
    SetAside,
    /// There is no such job.
    Gone,
}

/// The jobs that are being done.
#[derive(Debug, Default)]
struct UnderWay {
    jobs: JoinSet<()>,
    /// Each message holds a copy.
    messages: Arc<()>,
}

impl UnderWay {
    /// Whether no other job may begin.
    fn is_full(&self) -> bool {
        let messages = Arc::strong_count(&self.messages) - 1;
        messages >= MESSAGES || self.jobs.len().saturating_sub(messages) >= SIDE_BY_SIDE
    }
}

/// How a job ended that was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// Somebody else saved the incident: it is done again.
    Again,
    /// It is tried again.
    Failed,
    SetAside,
}

impl End {
    /// As a label.
    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again => "again",
            Self::Failed => "failed",
            Self::SetAside => "set_aside",
        }
    }
}

impl Responder {
    /// Works until the future is dropped. Dropping it at any point is safe.
    pub async fn run(&self) {
        let mut running = UnderWay::default();
        let mut held: Vec<Busy> = vec![self.clock.busy()];
        let opening = Arc::new(Mutex::new(()));
        let mut looked = None;
        loop {
            let began = Instant::now();
            if let Err(error) = self.take_up(&mut running, &opening).await {
                tracing::error!(%error, "the store cannot be read; trying again");
                self.clock.pause(SignedDuration::from_secs(5)).await;
            }
            // After a look for jobs, which sets aside those that ended the process too often.
            self.look_around(&mut looked).await;
            held = self.rest(&mut running, held, began + BREATH).await;
        }
    }

    /// Does the job of that key, if it is due and nobody is at it, and settles it: for whoever is called for one job. A job
    /// that takes longer than its lease allows is given up and put back. Incidents are opened under `opening`, which all
    /// callers in one process share.
    ///
    /// # Errors
    /// [`StoreError`] if the job could not be had or not be settled: call for it again.
    pub async fn called_for(&self, key: &str, opening: &Mutex<()>) -> Result<Called, StoreError> {
        let now = self.clock.now();
        match self.store.lease_by_key(key, now, self.lease_length()).await? {
            Handout::Yours(job) => {
                let _busy = self.clock.busy();
                let attempt = async {
                    let result = tokio::time::timeout(self.time_for_a_job(), self.attempt(&job, opening)).await;
                    result.unwrap_or_else(|_| Err(JobError::TooLong(self.time_for_a_job())))
                };
                let end = self.carry_through(&job, attempt).await?;
                Ok(if end == End::Done { Called::Done } else { Called::PutBack })
            }
            Handout::NotBefore(at) => self.store.call_again(key, at, now).await.map(|()| Called::TooEarly),
            Handout::SetAside => {
                self.tell_of_set_aside_or_log().await;
                Ok(Called::SetAside)
            }
            Handout::Gone => Ok(Called::Gone),
        }
    }

    /// How long a job may take, in real time: so much less than its lease that it can still be put back.
    fn time_for_a_job(&self) -> Duration {
        let factor = self.clock.factor().unwrap_or(1.0).max(1.0);
        let lease = self.lease_length().as_secs_f64() / factor;
        Duration::try_from_secs_f64(lease * 5.0 / 6.0).unwrap_or(Duration::from_secs(100))
    }

    /// Starts every due job that there is room for.
    async fn take_up(&self, running: &mut UnderWay, opening: &Arc<Mutex<()>>) -> Result<(), StoreError> {
        while !running.is_full() {
            let Some(job) = self.store.lease(self.clock.now(), self.lease_length()).await? else { break };
            let (me, busy, opening) = (self.clone(), self.clock.busy(), opening.clone());
            let message =
                matches!(job.work, Work::Tell { .. } | Work::Heartbeat { .. }).then(|| running.messages.clone());
            running.jobs.spawn(async move {
                me.work(&job, &opening).await;
                drop(message);
                drop(busy);
            });
        }
        Ok(())
    }

    /// Waits until a job ends, a job is due, or somebody rings, who is not heard before `rested`; lets go of the clock once it
    /// knows of the wait. Comes back holding it.
    async fn rest(&self, running: &mut UnderWay, held: Vec<Busy>, rested: Instant) -> Vec<Busy> {
        let full = running.is_full();
        let due = self.store.next_due().await.ok().flatten().filter(|_| !full);
        let until_due = async {
            match due {
                Some(due) => self.clock.idle_until(due).await,
                None => std::future::pending().await,
            }
        };
        let somebody_rings = async {
            let held = self.wake.heard().await;
            // A stepped clock stands still meanwhile.
            if self.clock.factor().is_some() {
                tokio::time::sleep_until(rested).await;
            }
            held
        };
        let let_go = async move {
            drop(held);
            std::future::pending().await
        };
        tokio::select! {
            biased;
            Some(_) = running.jobs.join_next() => vec![self.clock.busy()],
            held = somebody_rings => held,
            held = until_due => vec![held],
            () = tokio::time::sleep(LOOK_AT_LEAST) => vec![self.clock.busy()],
            never = let_go => never,
        }
    }

    /// On a clock that runs faster, a lease lasts at least half a minute of real time too.
    fn lease_length(&self) -> SignedDuration {
        let factor = self.clock.factor().unwrap_or(1.0);
        LEASE.max(SignedDuration::try_from_secs_f64(30.0 * factor).unwrap_or(LEASE))
    }

    /// Does one job and settles it.
    async fn work(&self, job: &LeasedJob, opening: &Mutex<()>) {
        if let Err(error) = self.carry_through(job, self.attempt(job, opening)).await {
            // The lease runs out by itself and the job is done again: every job can be.
            tracing::warn!(job = job.work.key(), %error, "the job could not be settled");
        }
    }

    /// Attempts a job and settles it, in a span of its own, and counts it.
    async fn carry_through(
        &self,
        job: &LeasedJob,
        attempt: impl Future<Output = JobResult>,
    ) -> Result<End, StoreError> {
        let started = Instant::now();
        let through = async {
            let result = attempt.await;
            if result.as_ref().is_err_and(|error| !is_conflict(error)) {
                Span::current().record("otel.status_code", "ERROR");
            }
            self.settle(job, result).await
        };
        let end = through.instrument(span(job)).await;
        let word = end.as_ref().map_or("unsettled", |end| end.word());
        count::job(job.work.kind(), word, started.elapsed());
        end
    }

    /// Boxed: a pass is a future of 100 KB, and unoptimized every caller above it holds it on the stack some times over.
    fn attempt<'a>(&'a self, job: &'a LeasedJob, opening: &'a Mutex<()>) -> BoxFuture<'a, JobResult> {
        match &job.work {
            Work::Locate { target } => Box::pin(self.locate(target, opening)),
            Work::Pass { incident } => Box::pin(self.pass(incident)),
            Work::Tell { incident, notice, channel } => Box::pin(self.deliver(incident, notice, channel)),
            Work::Heartbeat { channel } => Box::pin(self.send_heartbeat(channel)),
        }
    }

    async fn settle(&self, job: &LeasedJob, result: JobResult) -> Result<End, StoreError> {
        match result {
            Ok(()) => self.store.complete(job, self.clock.now()).await.map(|()| End::Done),
            Err(error) => self.put_back(job, &error).await,
        }
    }

    async fn put_back(&self, job: &LeasedJob, error: &JobError) -> Result<End, StoreError> {
        let key = job.work.key();
        if is_conflict(error) {
            // No failure of the job's: it must not wear out and be set aside because others saved.
            tracing::debug!(job = key, "the incident was saved by somebody else; doing it again");
            let now = self.clock.now();
            self.store.enqueue(&NewJob { work: job.work.clone(), due: now }, now).await?;
            return self.store.complete(job, now).await.map(|()| End::Again);
        }
        tracing::warn!(job = key, attempts = job.attempts, %error, "the job failed; trying again later");
        let due = self.due_again(job.attempts, error);
        if self.store.retry(job, due, &error.to_string()).await? {
            tracing::error!(job = key, %error, "the job failed too often and was set aside");
            self.tell_of_set_aside_or_log().await;
            return Ok(End::SetAside);
        }
        Ok(End::Failed)
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

const fn is_conflict(error: &JobError) -> bool {
    matches!(error, JobError::Store(StoreError::Conflict))
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
        Work::Heartbeat { channel } => {
            tracing::info_span!("heartbeat", channel, key, attempts, otel.status_code = field::Empty)
        }
        Work::Tell { incident, channel, .. } => {
            tracing::info_span!("tell", %incident, channel, key, attempts, otel.status_code = field::Empty)
        }
    }
}
