//! The loop: one pass over one incident is load, observe, decide, act, record, tell, come back.

use std::sync::Arc;

use crate::clock::Clock;
use crate::store::Store;

/// Wakes the worker when jobs were stored by somebody else in this process.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<tokio::sync::Notify>);

impl Wake {
    /// There is something new to do.
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Waits until [`Self::now`] is called (or was, since the last wait).
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}

/// The responder's worker: takes due jobs from the store and does them.
#[derive(Clone, Debug)]
pub struct Responder {
    store: Arc<dyn Store>,
    clock: Clock,
    wake: Wake,
}

impl Responder {
    /// Works until the future is dropped. Dropping it at any point is safe.
    pub async fn run(&self) {
        let _ = (&self.store, &self.clock);
        loop {
            self.wake.heard().await;
        }
    }
}
