//! ARM's token buckets: per subscription, principal and kind of operation.

use jiff::Timestamp;

/// One bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// Size and refill a second of a bucket (Microsoft, "Understand how Azure Resource Manager throttles requests").
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) size: f64,
    pub(crate) per_second: f64,
}

/// Reads of a subscription.
pub(crate) const READS: Limit = Limit { size: 250.0, per_second: 25.0 };
/// Writes, and deletes, of a subscription.
pub(crate) const WRITES: Limit = Limit { size: 200.0, per_second: 10.0 };
/// Queries of Resource Graph: 15 in 5 seconds.
pub(crate) const GRAPH: Limit = Limit { size: 15.0, per_second: 3.0 };

impl Bucket {
    /// A full one.
    pub(crate) const fn full(limit: Limit, now: Timestamp) -> Self {
        Self { tokens: limit.size, at: now }
    }

    /// Takes a token: how many are left, or how many seconds to wait.
    pub(crate) fn take(&mut self, limit: Limit, now: Timestamp) -> Result<u32, u32> {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * limit.per_second).min(limit.size);
        self.at = now;
        // Both numbers are small and not negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(self.tokens as u32)
        } else {
            Err(((1.0 - self.tokens) / limit.per_second).ceil().max(1.0) as u32)
        }
    }
}
