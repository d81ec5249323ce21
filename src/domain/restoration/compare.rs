//! What differs between before and now, and why each difference is there.

use super::{Fate, Item, Retention, Setting, ShortTerm, Snapshot, id_of, named};
use crate::domain::database_ref::DatabaseRef;
use crate::domain::evidence::{Database, is_geo_secondary};
use crate::domain::resource_id::ResourceId;

/// What a setting that is not there is called.
const NONE: &str = "none";

/// Every setting of a database that is not what it was. `retention` is what could be read of it now.
#[must_use]
pub fn compare(server: &ResourceId, before: &Snapshot, now: &Database, retention: Option<&Retention>) -> Vec<Item> {
    let database = DatabaseRef { server: server.clone(), name: now.name.clone() };
    let was_secondary = is_geo_secondary(&before.settings);
    let mut items = Vec::new();
    for (setting, was) in &before.settings {
        let is = now.settings.get(setting).map_or(NONE, String::as_str);
        let case_matters = setting.starts_with(named::TAG);
        if is == was || !case_matters && is.eq_ignore_ascii_case(was) {
            continue;
        }
        items.push(Item {
            database: database.clone(),
            setting: setting.clone(),
            before: was.clone(),
            now: is.to_owned(),
            fate: fate(setting, was, is),
        });
    }
    items.extend(retention_items(&database, before, retention));
    for item in &mut items {
        if was_secondary {
            item.fate = Fate::Explained {
                why: "it was a geo-secondary: Azure breaks the link of one that was inaccessible for too long, and nothing \
                      revives it. Drop it and seed it again from the primary"
                    .to_owned(),
            };
        } else if id_of(&database).is_none() && matches!(item.fate, Fate::ToPutBack { .. }) {
            let why = "Keymend puts settings back on logical SQL servers alone";
            item.fate = left(why);
        }
    }
    items
}

fn fate(setting: &str, was: &str, is: &str) -> Fate {
    if let Some(tag) = setting.strip_prefix(named::TAG) {
        let tags = [(tag.to_owned(), was.to_owned())].into();
        return dropped(is == NONE, Some(Setting::Tags { tags }));
    }
    let id = || ResourceId::parse(was).ok();
    match setting {
        named::ELASTIC_POOL => dropped(is == NONE, id().map(|pool| Setting::ElasticPool { pool })),
        named::FAILOVER_GROUP => dropped(is == NONE, id().map(|group| Setting::FailoverGroup { group })),
        named::READ_SCALE => {
            let enabled = was.eq_ignore_ascii_case("Enabled");
            dropped(is == NONE || is.eq_ignore_ascii_case("Disabled"), enabled.then_some(Setting::ReadScale))
        }
        named::AUTO_PAUSE => {
            let minutes = was.parse::<u32>().ok().filter(|minutes| *minutes > 0);
            dropped(is == NONE || is == "-1", minutes.map(|minutes| Setting::AutoPause { minutes }))
        }
        _ => left(
            "Azure is not known to drop this, so somebody may have changed it; size, price and redundancy are for a person \
             to decide",
        ),
    }
}

fn left(why: &str) -> Fate {
    Fate::Left { why: why.to_owned(), by_hand: None }
}

/// What was dropped is put back; what has another value now was set by somebody.
fn dropped(by_azure: bool, setting: Option<Setting>) -> Fate {
    match (by_azure, setting) {
        (true, Some(setting)) => Fate::ToPutBack { setting },
        (_, _) => left("it has a value that Azure does not leave behind: somebody changed it, and that stays"),
    }
}

fn retention_items(database: &DatabaseRef, before: &Snapshot, now: Option<&Retention>) -> Vec<Item> {
    let Some(was) = &before.retention else { return Vec::new() };
    let item = |setting: &str, before: String, now: String, fate| Item {
        database: database.clone(),
        setting: setting.to_owned(),
        before,
        now,
        fate,
    };
    // What could not be read may be readable in a moment, and the change itself reads before it writes.
    let unread = |setting| dropped(true, Some(setting));
    let mut items = Vec::new();
    match (&was.short, now.and_then(|now| now.short.as_ref())) {
        (Some(was), Some(is)) if !is.is_as(*was) => {
            let fate = dropped(is.days == ShortTerm::DEFAULT_DAYS, Some(Setting::ShortTerm(*was)));
            items.push(item(named::SHORT_TERM, was.to_string(), is.to_string(), fate));
        }
        (Some(was), None) => {
            let fate = unread(Setting::ShortTerm(*was));
            items.push(item(named::SHORT_TERM, was.to_string(), named::UNREAD.to_owned(), fate));
        }
        _ => {}
    }
    match (&was.long, now.and_then(|now| now.long.as_ref())) {
        (Some(was), Some(is)) if !is.is_as(was) => {
            let fate = dropped(is.keeps_nothing(), Some(Setting::LongTerm(was.clone())));
            items.push(item(named::LONG_TERM, was.to_string(), is.to_string(), fate));
        }
        (Some(was), None) if !was.keeps_nothing() => {
            let fate = unread(Setting::LongTerm(was.clone()));
            items.push(item(named::LONG_TERM, was.to_string(), named::UNREAD.to_owned(), fate));
        }
        _ => {}
    }
    items
}

/// Whether a value of the databases list is what Azure leaves behind, so that it says nothing of what there was before.
#[must_use]
pub fn is_dropped(setting: &str, value: &str) -> bool {
    match setting {
        named::READ_SCALE => value.eq_ignore_ascii_case("Disabled"),
        named::AUTO_PAUSE => value == "-1",
        _ => false,
    }
}
