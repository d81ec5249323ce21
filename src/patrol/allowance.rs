//! How many requests a round may still make.

/// Counts down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: usize,
    used: usize,
}

impl Allowance {
    pub fn of(requests: usize) -> Self {
        Self { left: requests, used: 0 }
    }

    /// What has been sent.
    pub const fn used(self) -> usize {
        self.used
    }

    /// What may still be sent.
    pub const fn left(self) -> usize {
        self.left
    }

    /// So many were sent.
    pub fn spend(&mut self, requests: usize) {
        self.left = self.left.saturating_sub(requests);
        self.used += requests;
    }

    /// Azure asks for patience: nothing more in this round.
    pub fn stop(&mut self) {
        self.left = 0;
    }
}
