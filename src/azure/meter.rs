//! What was sent to the Resource Manager by work that must not use up the subscription's requests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts tries, pages and repetitions alike: the Resource Manager counts each of them.
#[derive(Debug, Default)]
pub struct Meter {
    sent: AtomicUsize,
    throttled: AtomicBool,
}

impl Meter {
    /// Requests to the Resource Manager so far. Those to vaults have limits of their own and are not counted.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether Azure has asked for patience.
    #[must_use]
    pub fn was_throttled(&self) -> bool {
        self.throttled.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn throttled(&self) {
        self.throttled.store(true, Ordering::Relaxed);
    }
}
