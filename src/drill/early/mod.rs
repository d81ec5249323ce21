//! How early: from a loss to the first corrective write, over many random losses, by what Keymend is told by.
//!
//! | file | job |
//! |---|---|
//! | `losses` | the random losses |
//! | `play` | one loss, from its moment until every database is in service |
//! | `table` | the result, as Markdown |

mod losses;
mod play;
mod table;

use jiff::SignedDuration;
use serde::Serialize;

use super::side_by_side::{side_by_side, threads};

pub use table::markdown;

/// What tells Keymend of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The TDE events of databases alone, by webhook.
    TdeWebhook,
    /// The same, and Activity Log alerts on what causes a loss.
    CauseAlerts,
    /// The same, and Event Grid.
    EventGrid,
    /// The patrol alone; every webhook and event is lost.
    Patrol,
    /// All of them: how it is installed.
    All,
}

impl Told {
    /// Every one, in the order of the table.
    pub const ALL: [Self; 5] = [Self::TdeWebhook, Self::CauseAlerts, Self::EventGrid, Self::Patrol, Self::All];

    /// In words, for the table.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::TdeWebhook => "(a) the TDE webhook alone",
            Self::CauseAlerts => "(b) and Activity Log alerts on causes",
            Self::EventGrid => "(c) and Event Grid",
            Self::Patrol => "(d) the patrol alone, all else lost",
            Self::All => "(e) everything, as installed",
        }
    }
}

/// Which losses: whether anything in Azure announces what causes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Losses {
    /// Changes through the Resource Manager: permission, vault, firewall, identity.
    Announced,
    /// Changes within the vault, which neither the Activity Log nor Event Grid tells of: key disabled, deleted, expired.
    Silent,
}

impl Losses {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Announced, Self::Silent];
}

/// What became of one loss.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What tells Keymend.
    pub told: Told,
    /// Which losses.
    pub losses: Losses,
    /// What was lost, in words.
    pub loss: &'static str,
    /// From the loss to the first write that took effect.
    pub first_write: Option<SignedDuration>,
    /// From the loss until SQL could use its key again.
    pub access_back: Option<SignedDuration>,
    /// From the loss until SQL's next look at its key: earlier than that no connection is denied.
    pub next_look: SignedDuration,
    /// Whether a connection was denied, because a look at the key failed.
    pub denied: bool,
    /// Whether every database was in service in the end.
    pub healed: bool,
}

impl Outcome {
    /// Whether a repair at the moment of the loss itself would have worked before SQL looked.
    #[must_use]
    pub fn could_be_saved(&self) -> bool {
        match (self.access_back, self.first_write) {
            (Some(back), Some(write)) => back - write <= self.next_look,
            _ => false,
        }
    }
}

/// Plays `count` losses of each kind for everything that may tell of them. `done` is called after each.
///
/// # Errors
/// If the machine does not let us listen on loopback or write a file.
pub fn measure(
    count: u64,
    seed: u64,
    told: &[Told],
    mut done: impl FnMut(usize, usize),
) -> anyhow::Result<Vec<Outcome>> {
    let rows = told.iter().flat_map(|told| Losses::BOTH.map(|losses| (*told, losses)));
    let all: Vec<_> = rows.flat_map(|(told, losses)| (0..count).map(move |n| (told, losses, seed + n))).collect();
    let total = all.len();
    let mut played = 0;
    let play = |(told, losses, seed)| play::one(told, losses, seed);
    let outcomes = side_by_side(all, threads(), play, |_| {
        played += 1;
        done(played, total);
    })?;
    outcomes.into_iter().collect()
}
