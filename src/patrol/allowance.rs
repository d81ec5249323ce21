//! How many requests to the Resource Manager a round may still make.

use std::sync::Arc;

use crate::azure::Meter;

/// Counts what was really sent, pages and repetitions included.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    most: usize,
    meter: Arc<Meter>,
}

impl Allowance {
    pub fn of(most: usize, meter: Arc<Meter>) -> Self {
        Self { most, meter }
    }

    /// What has been sent.
    pub fn used(&self) -> usize {
        self.meter.requests()
    }

    /// What may still be sent; nothing once Azure has asked for patience.
    pub fn left(&self) -> usize {
        if self.was_throttled() { 0 } else { self.most.saturating_sub(self.used()) }
    }

    /// Leaves half of the rest to others.
    pub fn leave_half(&mut self) {
        self.most = self.used() + self.left() / 2;
    }

    /// Whether Azure has asked for patience in this round.
    pub fn was_throttled(&self) -> bool {
        self.meter.was_throttled()
    }
}
