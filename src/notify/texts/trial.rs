//! Messages that are about no incident: tests and heartbeats.

use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::words::clean;
use crate::notify::{Trial, TrialMessage};

/// The longest sender's name that is shown.
const LINE: usize = 120;

/// In capitals, as every message begins.
#[must_use]
pub const fn banner(trial: Trial) -> &'static str {
    match trial {
        Trial::Test => "TEST MESSAGE",
        Trial::Heartbeat => "HEARTBEAT",
    }
}

/// What it is about, in a line. Holds the sender's name: show it as text.
#[must_use]
pub fn headline(trial: &TrialMessage) -> String {
    let what = match trial.trial {
        Trial::Test => "This is a test of Keymend's messages. Nothing is wrong, and there is nothing to do",
        Trial::Heartbeat => "Keymend runs and can reach you. Nothing is wrong, and there is nothing to do",
    };
    format!("{what}.")
}

/// Why it was sent.
#[must_use]
pub const fn why(trial: Trial) -> &'static str {
    match trial {
        Trial::Test => "Somebody ran `keymend doctor --send-test`.",
        Trial::Heartbeat => {
            "Incidents are rare, and a flow that is not used for 90 days is switched off on some plans. If these messages \
             stop, check Keymend and this channel."
        }
    }
}

/// Who sent it, and when.
#[must_use]
pub fn footer(trial: &TrialMessage) -> String {
    format!("Keymend \u{b7} {} \u{b7} {} \u{b7} {}", clean(&trial.sender, LINE), date_and_clock(trial.at), trial.id)
}
