//! The one thread that writes.
//!
//! Changes that wait while it is busy share its next transaction, and with it one fsync: a storm of alerts costs a few
//! commits, not one each. Every change has its own savepoint, so that one that fails undoes itself alone, and nobody is
//! answered before the commit. Alerts, which come by the hundred and fail for no reason of their own, share one: a savepoint
//! for each took a seventh of the time that went into taking alerts, as a profile showed.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::fault::Outcome;
use crate::store::{Result, StoreError};

/// How many changes may wait before those who bring more have to wait themselves.
const WAITING: usize = 1024;

/// How many changes share one transaction at most.
const TOGETHER: usize = 256;

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
    /// Whether it may be undone because another one beside it failed, and be told so.
    fn shares(&self) -> bool;
    /// Takes back that it was applied: it was undone for `why`.
    fn undone(&mut self, why: &StoreError);
    /// Tells whoever waits: `Err` if the transaction as a whole did not happen.
    fn answer(self: Box<Self>, fate: Result<()>);
}

struct Pending<T, F> {
    path: PathBuf,
    shares: bool,
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

    fn shares(&self) -> bool {
        self.shares
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
        let (queue, mut changes) = mpsc::channel::<Box<dyn Change>>(WAITING);
        let place = path.clone();
        let thread = std::thread::Builder::new()
            .name("keymend-store".to_owned())
            .spawn(move || {
                while let Some(first) = changes.blocking_recv() {
                    let mut batch = vec![first];
                    while batch.len() < TOGETHER
                        && let Ok(next) = changes.try_recv()
                    {
                        batch.push(next);
                    }
                    let fate = commit_together(&mut connection, &mut batch, &place);
                    if fate.is_err() {
                        // Those who came while we waited for a lock would wait as long again, for the same answer.
                        while let Ok(next) = changes.try_recv() {
                            batch.push(next);
                        }
                    }
                    for change in batch {
                        change.answer(fate.clone());
                    }
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread can be started: {error}")))?;
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

    /// The same for a change that fails only where the store does, and may then be undone with others of its kind.
    pub(super) async fn change_with_others<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        self.queue(work, true).await
    }

    async fn queue<T, F>(&self, work: F, shares: bool) -> Result<T>
    where
        T: Send + 'static,
        F: Send + 'static + FnOnce(&Connection) -> Outcome<T>,
    {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { path: self.path.clone(), shares, work: Some(work), outcome: None, reply };
        let queue = self.queue.as_ref().ok_or_else(|| stopped(&self.path))?;
        queue.send(Box::new(pending)).await.map_err(|_| stopped(&self.path))?;
        answer.await.map_err(|_| stopped(&self.path))?
    }
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
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    for together in batch.chunk_by_mut(|one, next| one.shares() && next.shares()) {
        let savepoint = transaction.savepoint().map_err(explain)?;
        let fate = together.iter_mut().try_for_each(|change| change.apply(&savepoint));
        match &fate {
            Ok(()) => savepoint.commit().map_err(explain)?,
            Err(why) => {
                drop(savepoint);
                together.iter_mut().for_each(|change| change.undone(why));
            }
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

    fn insert(word: &'static str, fails: bool, shares: bool) -> (Box<dyn Change>, oneshot::Receiver<Result<()>>) {
        let (reply, answer) = oneshot::channel();
        let work = move |connection: &Connection| -> Outcome<()> {
            connection.execute("INSERT INTO word VALUES (?1)", [word])?;
            if fails { Err(StoreError::Conflict.into()) } else { Ok(()) }
        };
        (Box::new(Pending { path: PathBuf::new(), shares, work: Some(work), outcome: None, reply }), answer)
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
    fn of_changes_that_share_all_are_undone_and_refused_and_no_other() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE word (word)").unwrap();
        let words_of =
            [("a", false, true), ("b", false, false), ("c", false, true), ("d", true, true), ("e", false, true)];
        let (mut batch, answers): (Vec<_>, Vec<_>) =
            words_of.into_iter().map(|(word, fails, shares)| insert(word, fails, shares)).unzip();
        assert_eq!(commit_together(&mut connection, &mut batch, Path::new("x")), Ok(()));
        assert_eq!(words(&connection), ["a", "b"]);
        batch.into_iter().for_each(|change| change.answer(Ok(())));
        let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        let refused = Err(StoreError::Conflict);
        assert_eq!(answers, [Ok(()), Ok(()), refused.clone(), refused.clone(), refused]);
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
