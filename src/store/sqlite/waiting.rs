//! What waits to be written, and what of it is written together.
//!
//! An alert's sender waits for its answer; the responder's own changes have time. While alerts come in, those wait a moment for
//! the next alert and are written with it: an fsync of their own would keep the alerts waiting.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::alert::Alert;
use super::change::Change;
use crate::store::Result;

/// How many changes may wait before those who bring more have to wait themselves.
const WAITING: usize = 1024;

/// How many changes share one transaction at most.
const TOGETHER: usize = 256;

/// How long a change that is no alert waits for one to be written with.
const FOR_COMPANY: Duration = Duration::from_millis(5);

/// How long after an alert others are expected.
const MORE_MAY_COME: Duration = Duration::from_millis(50);

/// What is brought to be written.
pub(super) enum Brought {
    Alert(Alert),
    Change(Box<dyn Change>),
}

/// What is written together. Nobody brings a change before the one before it was answered, so alerts may come before changes.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) alerts: Vec<Alert>,
    pub(super) changes: Vec<Box<dyn Change>>,
}

impl Batch {
    pub(super) fn add(&mut self, brought: Brought) {
        match brought {
            Brought::Alert(alert) => self.alerts.push(alert),
            Brought::Change(change) => self.changes.push(change),
        }
    }

    fn is_full(&self) -> bool {
        self.alerts.len() + self.changes.len() >= TOGETHER
    }

    /// An alert never waits for company.
    fn goes_now(&self) -> bool {
        self.is_full() || !self.alerts.is_empty()
    }

    /// Tells everybody who waits; `Err` if the transaction did not happen.
    pub(super) fn answer(self, fate: &Result<()>) {
        for alert in self.alerts {
            alert.answer(fate.clone());
        }
        for change in self.changes {
            change.answer(fate.clone());
        }
    }
}

/// What waits to be written.
pub(super) struct Waiting {
    queue: mpsc::Receiver<Brought>,
    timer: Runtime,
    last_alert: Option<Instant>,
    for_company: Duration,
    more_may_come: Duration,
}

impl Waiting {
    /// Nothing yet, and the way to bring something.
    ///
    /// # Errors
    /// If the machine has no more timers to give.
    pub(super) fn open() -> io::Result<(mpsc::Sender<Brought>, Self)> {
        let (way, queue) = mpsc::channel(WAITING);
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok((way, Self { queue, timer, last_alert: None, for_company: FOR_COMPANY, more_may_come: MORE_MAY_COME }))
    }

    /// What is written next, together; `None` once nothing can come any more.
    pub(super) fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        batch.add(self.queue.blocking_recv()?);
        self.take_what_is_there(&mut batch);
        let now = Instant::now();
        if !batch.goes_now() && self.last_alert.is_some_and(|last| now < last + self.more_may_come) {
            while !batch.goes_now()
                && let Some(next) = self.next_until(now + self.for_company)
            {
                batch.add(next);
                self.take_what_is_there(&mut batch);
            }
        }
        if !batch.alerts.is_empty() {
            self.last_alert = Some(Instant::now());
        }
        Some(batch)
    }

    /// Adds everything else that has come, however much.
    pub(super) fn rest(&mut self, batch: &mut Batch) {
        while let Ok(next) = self.queue.try_recv() {
            batch.add(next);
        }
    }

    fn take_what_is_there(&mut self, batch: &mut Batch) {
        while !batch.is_full()
            && let Ok(next) = self.queue.try_recv()
        {
            batch.add(next);
        }
    }

    fn next_until(&mut self, until: Instant) -> Option<Brought> {
        let queue = &mut self.queue;
        self.timer.block_on(async { timeout_at(until, queue.recv()).await.ok().flatten() })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::change::insert;
    use super::*;

    fn waiting(for_company: Duration) -> (mpsc::Sender<Brought>, Waiting) {
        let (queue, waiting) = Waiting::open().unwrap();
        (queue, Waiting { for_company, more_may_come: Duration::from_secs(600), ..waiting })
    }

    fn change() -> Brought {
        Brought::Change(insert("a", false).0)
    }

    fn alert() -> Brought {
        Brought::Alert(Alert::new(Vec::new(), Timestamp::UNIX_EPOCH).0)
    }

    fn counts(batch: &Batch) -> (usize, usize) {
        (batch.alerts.len(), batch.changes.len())
    }

    #[test]
    fn while_alerts_come_other_changes_are_written_with_the_next_one() {
        let (queue, mut waiting) = waiting(Duration::from_secs(600));
        queue.blocking_send(change()).unwrap();
        assert_eq!(counts(&waiting.next().unwrap()), (0, 1), "without alerts nothing waits for one");
        queue.blocking_send(alert()).unwrap();
        assert_eq!(counts(&waiting.next().unwrap()), (1, 0), "an alert never waits");
        queue.blocking_send(change()).unwrap();
        let company = std::thread::spawn({
            let queue = queue.clone();
            move || {
                queue.blocking_send(change()).unwrap();
                queue.blocking_send(alert()).unwrap();
            }
        });
        let together = waiting.next().unwrap();
        company.join().unwrap();
        assert_eq!(counts(&together), (1, 2));
        drop(queue);
        assert!(waiting.next().is_none());
    }

    #[test]
    fn an_alert_that_does_not_come_is_not_waited_for_long() {
        let (queue, mut waiting) = waiting(Duration::from_millis(1));
        queue.blocking_send(alert()).unwrap();
        assert_eq!(counts(&waiting.next().unwrap()), (1, 0));
        queue.blocking_send(change()).unwrap();
        assert_eq!(counts(&waiting.next().unwrap()), (0, 1));
    }
}
