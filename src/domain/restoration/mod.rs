//! What Azure drops from a database that was inaccessible past the self-heal window, and what may be put back. Pure.
//!
//! "Some settings are lost" by Microsoft's overview of customer-managed TDE: membership in failover group and elastic pool,
//! tags, read scale, auto-pause, restore history, long-term retention "and others". What was there before is known from a
//! [`Snapshot`]; what differs afterwards is an [`Item`]. Only what is now exactly what Azure leaves behind is put back: any
//! third value is somebody's change and stays.

mod compare;
mod lost_setting;
mod progress;
mod setting;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::database_ref::DatabaseRef;
use crate::domain::dependent::Kind;
use crate::domain::resource_id::ResourceId;

pub use compare::{compare, is_dropped};
pub use lost_setting::{LostSetting, still_lost};
pub use progress::{changes_for, next, settle};
pub use setting::{LongTerm, Setting, ShortTerm};

/// The name under which people see each setting. The first few are those of the databases list.
pub mod named {
    /// The elastic pool a database is in.
    pub const ELASTIC_POOL: &str = "elastic pool";
    /// Its failover group.
    pub const FAILOVER_GROUP: &str = "failover group";
    /// Whether reads may go to a replica.
    pub const READ_SCALE: &str = "read scale";
    /// Minutes until it pauses by itself.
    pub const AUTO_PAUSE: &str = "auto-pause delay";
    /// Days of point-in-time restore.
    pub const SHORT_TERM: &str = "short-term retention";
    /// How long weekly, monthly and yearly backups are kept.
    pub const LONG_TERM: &str = "long-term retention";
    /// Begins the name of a tag.
    pub const TAG: &str = "tag ";
    /// Stands for a value that could not be read.
    pub(in crate::domain) const UNREAD: &str = "not read";
}

/// What a database was like at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was read.
    pub taken_at: Timestamp,
    /// The databases list's settings, as name → value.
    pub settings: BTreeMap<String, String>,
    /// Retention, if it was read.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// It was read while the database was in service. Otherwise it holds only what Azure still showed of one that was down.
    pub whole: bool,
}

/// Both retention policies of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Point-in-time restore.
    pub short: Option<ShortTerm>,
    /// Long-term retention.
    pub long: Option<LongTerm>,
}

/// Snapshots of one server's databases, by name.
pub type Snapshots = BTreeMap<String, Snapshot>;

/// One setting that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Whose.
    pub database: DatabaseRef,
    /// Which, by its name for people.
    pub setting: String,
    /// What it was.
    pub before: String,
    /// What it was when it was compared.
    pub now: String,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a setting that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// Azure dropped it, and it can be put back.
    ToPutBack {
        /// What is put back.
        setting: Setting,
    },
    /// It was put back, and Azure shows it.
    PutBack {
        /// When that was seen.
        at: Timestamp,
    },
    /// It stays as it is, and a person may want to do something about it.
    Left {
        /// Why.
        why: String,
        /// What Keymend would have put back, so that a person can.
        #[serde(default)]
        by_hand: Option<Setting>,
    },
    /// It stays as it is, and nothing can or need be done about it here.
    Explained {
        /// Why.
        why: String,
    },
}

/// The settings of an incident's databases after they came back, and what became of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// When they were compared.
    pub begun_at: Timestamp,
    /// When nothing was left to be done; `None` while it goes on.
    pub ended_at: Option<Timestamp>,
    /// Servers whose databases could not be compared yet.
    #[serde(default)]
    pub uncompared: BTreeSet<ResourceId>,
    /// Every difference.
    pub items: Vec<Item>,
    /// Databases of which no snapshot is known from before they went down.
    pub without_snapshot: Vec<DatabaseRef>,
    /// Databases whose retention was never read before they went down.
    #[serde(default)]
    pub without_retention: Vec<DatabaseRef>,
    /// Passes in a row that could do nothing but wait.
    #[serde(default)]
    pub waited: u32,
}

impl Restoration {
    /// Begins: nothing is compared yet.
    #[must_use]
    pub const fn of(servers: BTreeSet<ResourceId>, now: Timestamp) -> Self {
        Self {
            begun_at: now,
            ended_at: None,
            uncompared: servers,
            items: Vec::new(),
            without_snapshot: Vec::new(),
            without_retention: Vec::new(),
            waited: 0,
        }
    }

    /// Whether something is still to be put back.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// What is still to be put back, with the item it belongs to.
    pub fn pending(&self) -> impl Iterator<Item = (&Item, &Setting)> {
        self.items.iter().filter_map(|item| match &item.fate {
            Fate::ToPutBack { setting } => Some((item, setting)),
            _ => None,
        })
    }

    /// Leaves everything that is still to be put back as it is.
    pub fn leave_the_rest(&mut self, why: &str) {
        self.leave(why, |_| true);
    }

    /// Leaves those as they are that are still to be put back.
    pub fn leave(&mut self, why: &str, which: impl Fn(&Item) -> bool) {
        for item in &mut self.items {
            if let Fate::ToPutBack { setting } = &item.fate
                && which(item)
            {
                item.fate = Fate::Left { why: why.to_owned(), by_hand: Some(setting.clone()) };
            }
        }
    }

    /// How many were put back.
    #[must_use]
    pub fn put_back(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.fate, Fate::PutBack { .. })).count()
    }
}

/// The id of a database whose settings can be put back: of logical SQL servers alone, and of one with a key of its own.
#[must_use]
pub fn id_of(database: &DatabaseRef) -> Option<ResourceId> {
    let kind = Kind::of(&database.server);
    database.id().filter(|_| matches!(kind, Some(Kind::SqlServer | Kind::Database)))
}
