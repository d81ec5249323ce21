//! How somebody who stored a job in this process tells the worker.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Busy, Clock};

/// Wakes the worker. A stepped clock stands still from the call until the worker has looked.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bell: tokio::sync::Notify,
    held: Mutex<Vec<Busy>>,
}

impl Wake {
    /// There is something new to do.
    pub fn now(&self, clock: &Clock) {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).push(clock.busy());
        self.0.bell.notify_one();
    }

    /// Waits until [`Self::now`] is called (or was, since the last wait). What comes back holds the clock: drop it when
    /// the work has been taken up.
    pub async fn heard(&self) -> Vec<Busy> {
        self.0.bell.notified().await;
        std::mem::take(&mut *self.0.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
