//! Changes Azure: precondition, apply, read back; one file a remedy.

use jiff::SignedDuration;

use crate::domain::evidence::MissingRight;

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Sent, and read back from Azure as done.
    Made(Receipt),
    /// Sent and accepted; Azure works on it. Follow `operation` (or look again, where there is none).
    Running {
        /// What was sent.
        receipt: Receipt,
        /// The validated URL to poll.
        operation: Option<String>,
    },
    /// It was there already; nothing was sent.
    AlreadyThere {
        /// What was seen.
        said: String,
    },
    /// The situation is not the one planned for; nothing was sent.
    NotApplicable {
        /// What is different.
        why: String,
    },
    /// Azure refused it.
    Failed {
        /// Azure's error code.
        code: String,
        /// In words, with what to do.
        why: String,
        /// The right we lack, if that is why.
        missing: Option<MissingRight>,
    },
    /// Nothing was changed; trying again later may work (throttled, busy, not reachable).
    Later {
        /// Not before.
        after: Option<SignedDuration>,
        /// Why.
        why: String,
    },
    /// Sent, and nobody knows whether it was done: look before doing anything again.
    Unknown {
        /// Why.
        why: String,
    },
}

/// The traces of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Azure's correlation or request id.
    pub correlation_id: Option<String>,
    /// `(property, before, after)`, in words.
    pub before_after: Vec<(String, String, String)>,
}
