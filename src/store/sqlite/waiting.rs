//! What waits to be written, and what of it is written together.
//!
//! An alert's sender waits for its answer; the responder's own changes have time. While alerts come in, those wait a moment for
//! the next alert and are written with it: an fsync of their own would keep the alerts waiting.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::change::Change;

/// How many changes may wait before those who bring more have to wait themselves.
const WAITING: usize = 1024;

/// How many changes share one transaction at most.
const TOGETHER: usize = 256;

/// How long a change that is no alert waits for one to be written with.
const FOR_COMPANY: Duration = Duration::from_millis(5);

/// How long after an alert others are expected.
const MORE_MAY_COME: Duration = Duration::from_millis(50);

/// What waits to be written.
pub(super) struct Waiting {
    changes: mpsc::Receiver<Box<dyn Change>>,
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
    pub(super) fn open() -> io::Result<(mpsc::Sender<Box<dyn Change>>, Self)> {
        let (queue, changes) = mpsc::channel(WAITING);
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok((queue, Self { changes, timer, last_alert: None, for_company: FOR_COMPANY, more_may_come: MORE_MAY_COME }))
    }

    /// What is written next, together; `None` once nothing can come any more.
    pub(super) fn next(&mut self) -> Option<Vec<Box<dyn Change>>> {
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

    /// Everything else that has come, however much.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = Box<dyn Change>> {
        std::iter::from_fn(|| self.changes.try_recv().ok())
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

#[cfg(test)]
mod tests {
    use super::super::change::insert;
    use super::*;

    fn waiting(for_company: Duration) -> (mpsc::Sender<Box<dyn Change>>, Waiting) {
        let (queue, waiting) = Waiting::open().unwrap();
        (queue, Waiting { for_company, more_may_come: Duration::from_secs(600), ..waiting })
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
}
