//! Why an answer does not count, in the words of the command line.

use jiff::Timestamp;

use crate::notify::texts::clocks::{date_and_clock, length};

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The incident is over.
    #[error("{id} ended at {}: {why}", date_and_clock(*at))]
    Ended {
        /// The incident.
        id: String,
        /// When it ended.
        at: Timestamp,
        /// How.
        why: String,
    },
    /// No question waits.
    #[error("nothing waits for an answer in {id}: it is {phase}. See it with: keymend incidents show {id}")]
    NothingAsked {
        /// The incident.
        id: String,
        /// Where it stands.
        phase: &'static str,
    },
    /// Somebody has answered.
    #[error("already {} by {by} at {}; a decision stands", if *approved { "approved" } else { "rejected" }, date_and_clock(*at))]
    Decided {
        /// How it was answered.
        approved: bool,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// It came too late.
    #[error(
        "the question ran out at {}, {} ago: the self-heal window was as good as over, or the key about to expire. A new \
         one is asked if a repair still makes sense: keymend incidents show {id}",
        date_and_clock(*at), length(now.duration_since(*at))
    )]
    RanOut {
        /// The incident.
        id: String,
        /// When the question ran out.
        at: Timestamp,
        /// The time of the answer.
        now: Timestamp,
    },
    /// It came too late, and was about settings to be put back.
    #[error(
        "the question ran out at {}, {} ago: the settings stay as they are. What to do by hand: keymend incidents show {id}",
        date_and_clock(*at), length(now.duration_since(*at))
    )]
    SettingsRanOut {
        /// The incident.
        id: String,
        /// When the question ran out.
        at: Timestamp,
        /// The time of the answer.
        now: Timestamp,
    },
    /// It names another plan.
    #[error(
        "the plan that waits has the code {waits}, not {given}: it may be another one by now. Look at it first: keymend \
         incidents show {id}"
    )]
    OtherCode {
        /// The incident.
        id: String,
        /// The code that was given.
        given: String,
        /// The code of the plan that waits.
        waits: String,
    },
    /// The plan is another one than the person saw.
    #[error(
        "the plan changed while you answered; it has the code {waits} now. Look at it first: keymend incidents show {id}"
    )]
    Changed {
        /// The incident.
        id: String,
        /// The code of the plan that waits.
        waits: String,
    },
    /// Ending an incident needs a reason.
    #[error("say why it is closed: --why TEXT")]
    NoReason,
    /// Somebody holds the incident.
    #[error(
        "{by} holds {id} since {}: nothing is changed before it is released (keymend incidents release {id})",
        date_and_clock(*at)
    )]
    Held {
        /// The incident.
        id: String,
        /// Who holds it.
        by: String,
        /// Since when.
        at: Timestamp,
    },
    /// There is nothing to release.
    #[error("nobody holds {id}, so there is nothing to release")]
    NotHeld {
        /// The incident.
        id: String,
    },
    /// The same form was sent before.
    #[error("this answer was given already")]
    Repeated,
}
