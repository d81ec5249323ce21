//! What became of a change.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::remedy::Applied;

/// What became of a change, and whether the others of its batch would fare the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) applied: Applied,
    pub(super) stops: bool,
}

/// A change's way through precondition, write and read-back: an early end is the error.
pub(super) type Way<T = Outcome> = Result<T, Outcome>;

impl Outcome {
    /// One that says nothing about others.
    pub(super) const fn of(applied: Applied) -> Self {
        Self { applied, stops: false }
    }

    /// One that the others of its batch would meet too.
    pub(super) const fn stopping(applied: Applied) -> Self {
        Self { applied, stops: true }
    }
}

/// Nothing is to be done.
pub(super) fn already(said: impl Into<String>) -> Outcome {
    Outcome::of(Applied::AlreadyThere { said: said.into() })
}

/// It is not as it was when the plan was made.
pub(super) fn differs(why: impl Into<String>) -> Outcome {
    Outcome::of(Applied::NotApplicable { why: why.into() })
}

/// A moment as people read it.
pub(super) fn when(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}
