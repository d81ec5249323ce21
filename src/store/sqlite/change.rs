//! A change that waits to be written, and for its answer.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Outcome;
use crate::store::{Result, StoreError};

/// A change that waits for its turn and then for the commit.
pub(super) trait Change: Send {
    fn apply(&mut self, connection: &Connection) -> Result<()>;
    /// Tells whoever waits: `Err` if the transaction as a whole did not happen.
    fn answer(self: Box<Self>, fate: Result<()>);
}

/// One that is made by a closure.
pub(super) struct Pending<T, F> {
    path: PathBuf,
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Pending<T, F> {
    /// A change of the store at `path`, and where its answer will come.
    pub(super) fn new(path: PathBuf, work: F) -> (Self, oneshot::Receiver<Result<T>>) {
        let (reply, answer) = oneshot::channel();
        (Self { path, work: Some(work), outcome: None, reply }, answer)
    }
}

impl<T: Send, F: Send + FnOnce(&Connection) -> Outcome<T>> Change for Pending<T, F> {
    fn apply(&mut self, connection: &Connection) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let outcome = work(connection).map_err(|fault| fault.about(&self.path));
        let fate = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        fate
    }

    fn answer(self: Box<Self>, fate: Result<()>) {
        let Self { path, outcome, reply, .. } = *self;
        let answer = fate.and_then(|()| outcome.unwrap_or_else(|| Err(stopped(&path))));
        // Nobody may be waiting any more (the request was given up); the change stands all the same.
        let _ = reply.send(answer);
    }
}

/// Nobody writes any more.
pub(super) fn stopped(path: &Path) -> StoreError {
    StoreError::Unavailable(format!("{}: the thread that writes it has ended; restart keymend", path.display()))
}

/// A change for tests: a row in the table `word`.
#[cfg(test)]
pub(super) fn insert(word: &'static str, fails: bool) -> (Box<dyn Change>, oneshot::Receiver<Result<()>>) {
    let work = move |connection: &Connection| -> Outcome<()> {
        connection.execute("INSERT INTO word VALUES (?1)", [word])?;
        if fails { Err(StoreError::Conflict.into()) } else { Ok(()) }
    };
    let (pending, answer) = Pending::new(PathBuf::new(), work);
    (Box::new(pending), answer)
}
