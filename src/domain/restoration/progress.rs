//! From items to changes, and from what Azure shows to what became of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Fate, Item, Restoration, Setting, id_of, named};
use crate::domain::database_ref::DatabaseRef;
use crate::domain::remedy::Change;

/// Changes of one pass: so many databases at a time get one setting each.
const SLICE: usize = 10;

/// The changes that put everything back that is still to be put back: one a setting, all tags of a database in one, in the
/// order in which they are made.
#[must_use]
pub fn changes_for(restoration: &Restoration) -> Vec<Change> {
    let mut tags: BTreeMap<&DatabaseRef, BTreeMap<String, String>> = BTreeMap::new();
    let mut all: Vec<(u8, &DatabaseRef, Setting)> = Vec::new();
    for (item, setting) in restoration.pending() {
        match setting {
            Setting::Tags { tags: more } => tags.entry(&item.database).or_default().extend(more.clone()),
            other => all.push((other.rank(), &item.database, other.clone())),
        }
    }
    all.extend(tags.into_iter().map(|(database, tags)| {
        let setting = Setting::Tags { tags };
        (setting.rank(), database, setting)
    }));
    all.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
    let change = |(_, database, setting): (u8, &DatabaseRef, Setting)| {
        Some(Change::RestoreSetting { database: id_of(database)?, setting })
    };
    all.into_iter().filter_map(change).collect()
}

/// The changes that may be made now: a database's first one each, since Azure works on one change of a database at a
/// time, and at most one to a failover group, whose change carries the list of all its databases.
#[must_use]
pub fn next(all: &[Change]) -> Vec<Change> {
    let mut busy = BTreeSet::new();
    let mut grouped = false;
    let mut slice = Vec::new();
    for change in all {
        let Change::RestoreSetting { database, setting } = change else { continue };
        if slice.len() >= SLICE || !busy.insert(database.key().to_owned()) {
            continue;
        }
        if matches!(setting, Setting::FailoverGroup { .. }) && std::mem::replace(&mut grouped, true) {
            continue;
        }
        slice.push(change.clone());
    }
    slice
}

/// Takes in what Azure shows now: `seen` is every difference that there still is. Something that was to be put back and
/// differs no more has been put back; something that has a third value now is somebody's. Answers those put back.
pub fn settle(restoration: &mut Restoration, seen: &[Item], read: &BTreeSet<DatabaseRef>, now: Timestamp) -> Vec<Item> {
    let mut back = Vec::new();
    let still =
        |item: &Item| seen.iter().find(|other| other.database == item.database && other.setting == item.setting);
    // What could not be read at first, and turns out to be as it was, was never dropped.
    restoration
        .items
        .retain(|item| item.now != named::UNREAD || !read.contains(&item.database) || still(item).is_some());
    for item in &mut restoration.items {
        if !matches!(item.fate, Fate::ToPutBack { .. }) || !read.contains(&item.database) {
            continue;
        }
        match still(item).map(|other| (&other.fate, other)) {
            None => {
                item.fate = Fate::PutBack { at: now };
                back.push(item.clone());
            }
            // Not read now: what was known of it stands.
            Some((_, other)) if other.now == named::UNREAD => {}
            Some((fate, other)) => {
                item.now.clone_from(&other.now);
                item.fate = fate.clone();
            }
        }
    }
    back
}
