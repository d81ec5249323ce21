//! The one thread that writes.
//!
//! Changes that wait while it is busy share its next transaction, and with it one fsync: a storm of alerts costs a few
//! commits, not one each. Every change has its own savepoint, so that one that fails undoes itself alone, and nobody is
//! answered before the commit. Alerts, which come by the hundred and fail for no reason of their own, come first and need none: if
//! one fails, all of them are undone and come again. Savepoints took a fifth of the time that went into storing alerts.
//!
//! An alert's sender waits for its answer; the responder's own changes have time. While alerts come in, those wait a moment for
//! the next alert and are written with it: an fsync of their own would keep the alerts waiting.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::fault::Outcome;
use crate::store::{Result, StoreError};

/// How many changes may wait before those who bring more have to wait themselves.
const WAITING: usize = 1024;

/// How many changes share one transaction at most.
const TOGETHER: usize = 256;

/// How long a change that is no alert waits for one to be written with.
const FOR_COMPANY: Duration = Duration::from_millis(5);

/// How long after an alert others are expected.
const MORE_MAY_COME: Duration = Duration::from_millis(50);

/// The way to the writing thread. Dropping it ends the thread after what waits is done.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<mpsc::Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

/// A change that waits for its turn and then for the commit.
trait Change: Send {
    fn apply(&mut self, connection: &Connection) -> Result<()>;
    /// Whether it is an alert: its sender waits, and it may be undone because another one beside it failed, and be told so.
    fn is_alert(&self) -> bool;
    /// Takes back that it was applied: it was undone for `why`.
    fn undone(&mut self, why: &StoreError);
    /// Tells whoever waits: `Err` if the transaction as a whole did not happen.
    fn answer(self: Box<Self>, fate: Result<()>);
}

struct Pending<T, F> {
    path: PathBuf,
    is_alert: bool,
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Send + FnOnce(&Connection) -> Outcome<T>> Change for Pending<T, F> {
    fn apply(&mut self, connection: &Connection) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let outcome = work(connection).map_err(|fault| fault.about(&self.path));
        let fate = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        fate
    }

    fn is_alert(&self) -> bool {
        self.is_alert
    }

    fn undone(&mut self, why: &StoreError) {
        self.outcome = Some(Err(why.clone()));
    }

    fn answer(self: Box<Self>, fate: Result<()>) {
        let Self { path, outcome, reply, .. } = *self;
        let answer = fate.and_then(|()| outcome.unwrap_or_else(|| Err(stopped(&path))));
        // Nobody may be waiting any more (the request was given up); the change stands all the same.
        let _ = reply.send(answer);
    }
}

fn stopped(path: &Path) -> StoreError {
    StoreError::Unavailable(format!("{}: the thread that writes it has ended; restart keymend", path.display()))
}

impl Writer {
    /// Starts the thread over `connection`, which nobody else writes through.
    pub(super) fn start(path: PathBuf, mut connection: Connection) -> Result<Self> {
        let (queue, changes) = mpsc::channel::<Box<dyn Change>>(WAITING);
        let no_thread = |error| StoreError::Unavailable(format!("no thread can be started: {error}"));
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(no_thread)?;
        let mut waiting =
            Waiting { changes, timer, last_alert: None, for_company: FOR_COMPANY, more_may_come: MORE_MAY_COME };
        let place = path.clone();
        let thread = std::thread::Builder::new()
            .name("keymend-store".to_owned())
            .spawn(move || {
                while let Some(mut batch) = waiting.next() {
                    let fate = commit_together(&mut connection, &mut batch, &place);
                    if fate.is_err() {
                        // Those who came while we waited for a lock would wait as long again, for the same answer.
                        while let Ok(next) = waiting.changes.try_recv() {
                            batch.push(next);
                        }
                    }
                    for change in batch {
                        change.answer(fate.clone());
                    }
                }
            })
            .map_err(no_thread)?;
        Ok(Self { path, queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in a transaction and answers when it is durable. An `Err` undoes what `work` did.
    pub(super) async fn change<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        self.queue(work, false).await
    }

    /// The same for an alert: a change that fails only where the store does, and may then be undone with others of its kind.
    pub(super) async fn change_at_once<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        self.queue(work, true).await
    }

    async fn queue<T, F>(&self, work: F, is_alert: bool) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { path: self.path.clone(), is_alert, work: Some(work), outcome: None, reply };
        let queue = self.queue.as_ref().ok_or_else(|| stopped(&self.path))?;
        queue.send(Box::new(pending)).await.map_err(|_| stopped(&self.path))?;
        answer.await.map_err(|_| stopped(&self.path))?
    }
}

/// What waits to be written.
struct Waiting {
    changes: mpsc::Receiver<Box<dyn Change>>,
    timer: Runtime,
    last_alert: Option<Instant>,
    for_company: Duration,
    more_may_come: Duration,
}

impl Waiting {
    /// What is written next, together; `None` once nothing can come any more.
    fn next(&mut self) -> Option<Vec<Box<dyn Change>>> {
        let mut batch = vec![self.changes.blocking_recv()?];
        self.take_what_is_there(&mut batch);
        let now = Instant::now();
        if !goes_now(&batch) && self.last_alert.is_some_and(|last| now < last + self.more_may_come) {
            while !goes_now(&batch)
                && let Some(next) = self.next_until(now + self.for_company)
            {
                batch.push(next);
                self.take_what_is_there(&mut batch);
            }
        }
        if batch.iter().any(|change| change.is_alert()) {
            self.last_alert = Some(Instant::now());
        }
        Some(batch)
    }

    fn take_what_is_there(&mut self, batch: &mut Vec<Box<dyn Change>>) {
        while batch.len() < TOGETHER
            && let Ok(next) = self.changes.try_recv()
        {
            batch.push(next);
        }
    }

    fn next_until(&mut self, until: Instant) -> Option<Box<dyn Change>> {
        let changes = &mut self.changes;
        self.timer.block_on(async { timeout_at(until, changes.recv()).await.ok().flatten() })
    }
}

fn goes_now(batch: &[Box<dyn Change>]) -> bool {
    batch.len() >= TOGETHER || batch.iter().any(|change| change.is_alert())
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn commit_together(connection: &mut Connection, batch: &mut [Box<dyn Change>], path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| super::fault::Fault::from(error).about(path);
    // Nobody brings a change before the one before it was answered, so those of a batch may come in any order.
    batch.sort_by_key(|change| !change.is_alert());
    let (alerts, others) = batch.split_at_mut(batch.partition_point(|change| change.is_alert()));
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    if let Err(why) = alerts.iter_mut().try_for_each(|change| change.apply(&transaction)) {
        drop(transaction);
        alerts.iter_mut().for_each(|change| change.undone(&why));
        transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    }
    for change in others {
        let savepoint = transaction.savepoint().map_err(explain)?;
        let fate = change.apply(&savepoint);
        match &fate {
            Ok(()) => savepoint.commit().map_err(explain)?,
            Err(_) => drop(savepoint),
        }
        // A full disk makes SQLite undo the whole transaction by itself: then nobody's change has happened.
        if transaction.is_autocommit() {
            return fate.and_then(|()| Err(stopped(path)));
        }
    }
    transaction.commit().map_err(explain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(word: &'static str, fails: bool, is_alert: bool) -> (Box<dyn Change>, oneshot::Receiver<Result<()>>) {
        let (reply, answer) = oneshot::channel();
        let work = move |connection: &Connection| -> Outcome<()> {
            connection.execute("INSERT INTO word VALUES (?1)", [word])?;
            if fails { Err(StoreError::Conflict.into()) } else { Ok(()) }
        };
        (Box::new(Pending { path: PathBuf::new(), is_alert, work: Some(work), outcome: None, reply }), answer)
    }

    fn words(connection: &Connection) -> Vec<String> {
        let mut select = connection.prepare("SELECT word FROM word ORDER BY word").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    }

    #[test]
    fn a_change_that_fails_undoes_itself_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE word (word)").unwrap();
        let (changes, answers): (Vec<_>, Vec<_>) =
            [insert("a", false, false), insert("b", true, false), insert("c", false, false)].into_iter().unzip();
        let mut batch = changes;
        let fate = commit_together(&mut connection, &mut batch, Path::new("x"));
        assert_eq!(fate, Ok(()));
        assert_eq!(words(&connection), ["a", "c"]);
        batch.into_iter().for_each(|change| change.answer(Ok(())));
        let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        assert_eq!(answers, [Ok(()), Err(StoreError::Conflict), Ok(())]);
    }

    #[test]
    fn of_alerts_written_together_all_are_undone_and_refused_and_no_other() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE word (word)").unwrap();
        let words_of =
            [("a", false, true), ("b", false, false), ("c", false, true), ("d", true, true), ("e", false, true)];
        let (mut batch, answers): (Vec<_>, Vec<_>) =
            words_of.into_iter().map(|(word, fails, is_alert)| insert(word, fails, is_alert)).unzip();
        assert_eq!(commit_together(&mut connection, &mut batch, Path::new("x")), Ok(()));
        assert_eq!(words(&connection), ["b"]);
        batch.into_iter().for_each(|change| change.answer(Ok(())));
        let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Err(StoreError::Conflict)).count(), 4);
        assert_eq!(answers[1], Ok(()));
    }

    fn waiting(for_company: Duration) -> (mpsc::Sender<Box<dyn Change>>, Waiting) {
        let (queue, changes) = mpsc::channel(WAITING);
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        (queue, Waiting { changes, timer, last_alert: None, for_company, more_may_come: Duration::from_secs(600) })
    }

    #[test]
    fn while_alerts_come_other_changes_are_written_with_the_next_one() {
        let (queue, mut waiting) = waiting(Duration::from_secs(600));
        let send = |is_alert| queue.blocking_send(insert("a", false, is_alert).0).unwrap();
        send(false);
        assert_eq!(waiting.next().unwrap().len(), 1, "without alerts nothing waits for one");
        send(true);
        assert_eq!(waiting.next().unwrap().len(), 1, "an alert never waits");
        send(false);
        let company = std::thread::spawn({
            let queue = queue.clone();
            move || {
                queue.blocking_send(insert("b", false, false).0).unwrap();
                queue.blocking_send(insert("c", false, true).0).unwrap();
            }
        });
        let together = waiting.next().unwrap();
        company.join().unwrap();
        assert!(together.iter().any(|change| change.is_alert()), "{} changes and no alert", together.len());
        drop(queue);
        assert!(waiting.next().is_none());
    }

    #[test]
    fn an_alert_that_does_not_come_is_not_waited_for_long() {
        let (queue, mut waiting) = waiting(Duration::from_millis(1));
        queue.blocking_send(insert("a", false, true).0).unwrap();
        assert_eq!(waiting.next().unwrap().len(), 1);
        queue.blocking_send(insert("b", false, false).0).unwrap();
        assert_eq!(waiting.next().unwrap().len(), 1);
    }

    #[test]
    fn a_commit_that_fails_undoes_and_refuses_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        // Whether a word is known is only looked at by the commit.
        let tables = "PRAGMA foreign_keys = ON; CREATE TABLE known (word PRIMARY KEY);
            CREATE TABLE word (word REFERENCES known DEFERRABLE INITIALLY DEFERRED)";
        connection.execute_batch(tables).unwrap();
        let (change, mut answer) = insert("a", false, false);
        let mut batch = vec![change];
        let fate = commit_together(&mut connection, &mut batch, Path::new("x"));
        assert!(matches!(fate, Err(StoreError::Unavailable(_))), "{fate:?}");
        batch.into_iter().for_each(|change| change.answer(fate.clone()));
        assert_eq!(answer.try_recv().unwrap(), fate);
        assert_eq!(words(&connection), Vec::<String>::new());
    }
}
