//! The one thread that writes.
//!
//! Changes that wait while it is busy share its next transaction, and with it one fsync: a storm of alerts costs a few
//! commits, not one each. Every change has its own savepoint, so that one that fails undoes itself alone, and nobody is
//! answered before the commit. Alerts, which come by the hundred and fail for no reason of their own, come first and are written as
//! one; only if that fails has each a savepoint.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::alert::{self, Alert};
use super::change::{Pending, stopped};
use super::fault::{Fault, Outcome};
use super::known::Known;
use super::signals::Row;
use super::waiting::{Batch, Brought, Waiting};
use crate::store::{Accepted, Result, StoreError};

/// The way to the writing thread. Dropping it ends the thread after what waits is done.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<mpsc::Sender<Brought>>,
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
                let mut known = Known::default();
                while let Some(mut batch) = waiting.next() {
                    let fate = commit_together(&mut connection, &mut known, &mut batch, &place);
                    if fate.is_err() {
                        // Those who came while we waited for a lock would wait as long again, for the same answer.
                        waiting.rest(&mut batch);
                    }
                    batch.answer(&fate);
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
        let (pending, answer) = Pending::new(self.path.clone(), work);
        self.bring(Brought::Change(Box::new(pending)), answer).await
    }

    /// Stores the signals of an alert, and answers when they are durable.
    pub(super) async fn accept(&self, rows: Vec<Row>, received_at: Timestamp) -> Result<Accepted> {
        let (alert, answer) = Alert::new(rows, received_at);
        self.bring(Brought::Alert(alert), answer).await
    }

    async fn bring<T>(&self, brought: Brought, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        let queue = self.queue.as_ref().ok_or_else(|| stopped(&self.path))?;
        queue.send(brought).await.map_err(|_| stopped(&self.path))?;
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

fn commit_together(connection: &mut Connection, known: &mut Known, batch: &mut Batch, path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| Fault::from(error).about(path);
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    if alert::write(&transaction, known, &mut batch.alerts).is_err() {
        drop(transaction);
        transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
        for one in &mut batch.alerts {
            let write = |savepoint: &Connection| alert::write(savepoint, known, std::slice::from_mut(one));
            if let Err(why) = by_itself(&mut transaction, path, write)? {
                one.failed(why);
            }
        }
    }
    for change in &mut batch.changes {
        // What became of it is told by its own answer.
        let _ = by_itself(&mut transaction, path, |savepoint| change.apply(savepoint).map_err(Fault::from))?;
    }
    transaction.commit().map_err(explain)
}

/// Writes something that undoes itself alone if it fails. The outer `Err`: the transaction as a whole did not happen.
fn by_itself(
    transaction: &mut Transaction<'_>,
    path: &Path,
    write: impl FnOnce(&Connection) -> Outcome<()>,
) -> Result<Result<()>> {
    let explain = |fault: Fault| fault.about(path);
    let savepoint = transaction.savepoint().map_err(|error| explain(error.into()))?;
    let fate = write(&savepoint).map_err(explain);
    match &fate {
        Ok(()) => savepoint.commit().map_err(|error| explain(error.into()))?,
        Err(_) => drop(savepoint),
    }
    // A full disk makes SQLite undo the whole transaction by itself: then nobody's change has happened.
    if transaction.is_autocommit() {
        return Err(fate.err().unwrap_or_else(|| stopped(path)));
    }
    Ok(fate)
}

#[cfg(test)]
mod tests {
    use super::super::change::insert;
    use super::*;
    use crate::domain::resource_id::ResourceId;

    fn words(connection: &Connection) -> Vec<String> {
        let mut select = connection.prepare("SELECT word FROM word ORDER BY word").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    }

    fn commit(connection: &mut Connection, batch: &mut Batch) -> Result<()> {
        commit_together(connection, &mut Known::default(), batch, Path::new("x"))
    }

    #[test]
    fn a_change_that_fails_undoes_itself_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE word (word)").unwrap();
        let (changes, answers): (Vec<_>, Vec<_>) =
            [insert("a", false), insert("b", true), insert("c", false)].into_iter().unzip();
        let mut batch = Batch { changes, ..Batch::default() };
        assert_eq!(commit(&mut connection, &mut batch), Ok(()));
        assert_eq!(words(&connection), ["a", "c"]);
        batch.answer(&Ok(()));
        let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        assert_eq!(answers, [Ok(()), Err(StoreError::Conflict), Ok(())]);
    }

    #[test]
    fn an_alert_that_fails_is_refused_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::schema::migrate(&mut connection).unwrap();
        let refuse = "CREATE TABLE word (word);
            CREATE TRIGGER refuse BEFORE INSERT ON signal WHEN new.document = 'bad'
            BEGIN SELECT RAISE(ABORT, 'not this one'); END";
        connection.execute_batch(refuse).unwrap();
        let alert = |document: &str| {
            let subject =
                ResourceId::parse("/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/a").unwrap();
            let row = Row { subject, fingerprint: document.to_owned(), document: document.to_owned() };
            Alert::new(vec![row], Timestamp::UNIX_EPOCH)
        };
        let (alerts, answers): (Vec<_>, Vec<_>) = ["a", "bad", "b", "a"].into_iter().map(alert).unzip();
        let (change, mut changed) = insert("c", false);
        let mut batch = Batch { alerts, changes: vec![change] };
        assert_eq!(commit(&mut connection, &mut batch), Ok(()));
        batch.answer(&Ok(()));
        let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        let (new, repeated) = (Ok(Accepted { new: 1, repeated: 0 }), Ok(Accepted { new: 0, repeated: 1 }));
        assert!(matches!(answers[1], Err(StoreError::Unavailable(_))), "{answers:?}");
        assert_eq!((&answers[0], &answers[2], &answers[3]), (&new, &new, &repeated));
        assert_eq!(changed.try_recv().unwrap(), Ok(()));
        let count = |table: &str| -> i64 {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!([count("signal"), count("job"), count("word")], [2, 1, 1]);
    }

    #[test]
    fn a_commit_that_fails_undoes_and_refuses_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        // Whether a word is known is only looked at by the commit.
        let tables = "PRAGMA foreign_keys = ON; CREATE TABLE known (word PRIMARY KEY);
            CREATE TABLE word (word REFERENCES known DEFERRABLE INITIALLY DEFERRED)";
        connection.execute_batch(tables).unwrap();
        let (change, mut answer) = insert("a", false);
        let mut batch = Batch { changes: vec![change], ..Batch::default() };
        let fate = commit(&mut connection, &mut batch);
        assert!(matches!(fate, Err(StoreError::Unavailable(_))), "{fate:?}");
        batch.answer(&fate);
        assert_eq!(answer.try_recv().unwrap(), fate);
        assert_eq!(words(&connection), Vec::<String>::new());
    }
}
