//! Settings that are other than before the loss.

use serde::{Deserialize, Serialize};

use super::{Fate, Restoration};
use crate::domain::database_ref::DatabaseRef;

/// A setting that is other than before the loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostSetting {
    /// Whose.
    pub database: DatabaseRef,
    /// Which.
    pub setting: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub now: String,
}

/// The settings of a restoration that are not what they were, as far as they have not been put back.
#[must_use]
pub fn still_lost(restoration: &Restoration) -> Vec<LostSetting> {
    let lost = restoration.items.iter().filter(|item| !matches!(item.fate, Fate::PutBack { .. }));
    lost.map(|item| LostSetting {
        database: item.database.clone(),
        setting: item.setting.clone(),
        before: item.before.clone(),
        now: item.now.clone(),
    })
    .collect()
}
