//! The one thread that writes.
//!
//! Changes that wait while it is busy share its next transaction, and with it one fsync: a storm of alerts costs a few
//! commits, not one each. Every change has its own savepoint, so that one that fails undoes itself alone, and nobody is
//! answered before the commit. Alerts, which come by the hundred and fail for no reason of their own, come first and need none: if
//! one fails, all of them are undone and come again.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;

use super::change::{Change, Pending, stopped};
use super::fault::Outcome;
use super::waiting::Waiting;
use crate::store::{Result, StoreError};

/// The way to the writing thread. Dropping it ends the thread after what waits is done.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<mpsc::Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread over `connection`, which nobody else writes through.
    pub(super) fn start(path: PathBuf, mut connection: Connection) -> Result<Self> {
        let no_thread = |error| StoreError::Unavailable(format!("no thread can be started: {error}"));
        let (queue, mut waiting) = Waiting::open().map_err(no_thread)?;
        let place = path.clone();
        let thread = std::thread::Builder::new()
            .name("keymend-store".to_owned())
            .spawn(move || {
                while let Some(mut batch) = waiting.next() {
                    let fate = commit_together(&mut connection, &mut batch, &place);
                    if fate.is_err() {
                        // Those who came while we waited for a lock would wait as long again, for the same answer.
                        batch.extend(waiting.rest());
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
        let (pending, answer) = Pending::new(self.path.clone(), is_alert, work);
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
    use super::super::change::insert;
    use super::*;

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
