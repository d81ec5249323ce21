//! Restore setting: one setting of one database gets back the value that it had before Azure dropped it.
//!
//! It is read right before the write: what has the old value already is left alone, and so is what has a third one, for
//! somebody set it. Tags and the databases of a failover group are lists that the service replaces whole, so what was just
//! read is sent back with what is missing added. There is no `ETag`: what somebody else adds between the read and the write
//! is lost unseen; for that reason these writes go one at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::azure::sql_settings::TaggedDatabase;
use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::evidence::{Database, SECONDARY_TYPE};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{LongTerm, Setting, ShortTerm, named};
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::unread;
use crate::remedy::send::send;

/// The write, as far as it is known without reading: the whole of a list (tags, databases of a group) is sent back with what
/// is missing added.
pub(super) fn write(database: &ResourceId, setting: &Setting) -> Option<PreparedWrite> {
    Some(match setting {
        Setting::ElasticPool { pool } => properties(database, json!({ "elasticPoolId": pool })),
        Setting::ReadScale => properties(database, json!({ "readScale": "Enabled" })),
        Setting::AutoPause { minutes } => properties(database, json!({ "autoPauseDelay": minutes })),
        Setting::Tags { tags } => PreparedWrite::patch_database(database, json!({ "tags": tags })),
        Setting::ShortTerm(policy) => PreparedWrite::put_short_term_retention(database, *policy),
        Setting::LongTerm(policy) => PreparedWrite::put_long_term_retention(database, policy),
        Setting::FailoverGroup { group } => PreparedWrite::patch_failover_group(group, std::slice::from_ref(database)),
    })
}

fn properties(database: &ResourceId, properties: Value) -> PreparedWrite {
    PreparedWrite::patch_database(database, json!({ "properties": properties }))
}

pub(super) async fn apply(azure: &Azure, database: &ResourceId, setting: &Setting) -> Way<Outcome> {
    let before = read(azure, database).await?;
    if !before.database.is_in_service() {
        return Err(differs(format!("{} is {} now", database.name(), before.database.status)));
    }
    if before.database.settings.contains_key(SECONDARY_TYPE) {
        return Err(differs(format!("{} is a secondary now: its settings follow its primary's", database.name())));
    }
    match now(azure, &before, database, setting).await.map_err(|error| unread(&error))? {
        Now::AsBefore => return Err(already(format!("{} is as it was before", setting.name()))),
        Now::Another(is) => {
            return Err(differs(format!("{} is {is} now: somebody set it, and that stays", setting.name())));
        }
        Now::Dropped => {}
    }
    let write = match setting {
        Setting::Tags { tags } => {
            let mut all = before.tags.clone();
            tags.iter().for_each(|(tag, value)| drop(all.insert(tag.clone(), value.clone())));
            PreparedWrite::patch_database(database, json!({ "tags": all }))
        }
        Setting::FailoverGroup { group } => join(azure, database, group).await?,
        _ => write(database, setting).ok_or_else(|| differs("there is nothing to be sent"))?,
    };
    let told = vec![(setting.name(), setting.dropped(), setting.value())];
    let sent = send(azure, &write, told).await?;
    if sent.goes_on() {
        return Ok(sent.not_seen());
    }
    let Ok(after) = azure.one_database(database).await else { return Ok(sent.not_seen()) };
    match now(azure, &after, database, setting).await {
        Ok(Now::AsBefore) => Ok(sent.made()),
        _ => Ok(sent.not_seen()),
    }
}

async fn read(azure: &Azure, database: &ResourceId) -> Way<TaggedDatabase> {
    azure.one_database(database).await.map_err(|error| unread(&error))
}

/// What a setting is now, next to what it was before.
enum Now {
    /// What Azure leaves behind.
    Dropped,
    /// As it was before.
    AsBefore,
    /// Something else, in words.
    Another(String),
}

async fn now(
    azure: &Azure,
    seen: &TaggedDatabase,
    database: &ResourceId,
    setting: &Setting,
) -> Result<Now, AzureError> {
    Ok(match setting {
        Setting::ElasticPool { pool } => id_now(&seen.database, named::ELASTIC_POOL, pool),
        Setting::FailoverGroup { group } => id_now(&seen.database, named::FAILOVER_GROUP, group),
        Setting::ReadScale => match value(&seen.database, named::READ_SCALE) {
            Some(is) if is.eq_ignore_ascii_case("Enabled") => Now::AsBefore,
            Some(is) if !is.eq_ignore_ascii_case("Disabled") => Now::Another(is.to_owned()),
            _ => Now::Dropped,
        },
        Setting::AutoPause { minutes } => match value(&seen.database, named::AUTO_PAUSE) {
            None | Some("-1") => Now::Dropped,
            Some(is) if *is == minutes.to_string() => Now::AsBefore,
            Some(is) => Now::Another(is.to_owned()),
        },
        Setting::Tags { tags } => tags_now(&seen.tags, tags),
        Setting::ShortTerm(was) => short_now(azure.short_term_retention(database).await?, *was),
        Setting::LongTerm(was) => long_now(&azure.long_term_retention(database).await?, was),
    })
}

fn value<'a>(database: &'a Database, name: &str) -> Option<&'a str> {
    database.settings.get(name).map(String::as_str)
}

fn id_now(database: &Database, name: &str, was: &ResourceId) -> Now {
    match value(database, name) {
        None => Now::Dropped,
        Some(is) if ResourceId::parse(is).is_ok_and(|is| is == *was) => Now::AsBefore,
        Some(is) => Now::Another(is.to_owned()),
    }
}

/// A tag's name has no case in Azure.
fn tags_now(seen: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Now {
    let mut missing = false;
    for (tag, value) in wanted {
        match seen.iter().find(|(name, _)| name.eq_ignore_ascii_case(tag)) {
            None => missing = true,
            Some((_, is)) if is == value => {}
            Some((name, is)) => return Now::Another(format!("{name}={is}")),
        }
    }
    if missing { Now::Dropped } else { Now::AsBefore }
}

fn short_now(is: ShortTerm, was: ShortTerm) -> Now {
    if is.is_as(was) {
        Now::AsBefore
    } else if is.days == ShortTerm::DEFAULT_DAYS {
        Now::Dropped
    } else {
        Now::Another(is.to_string())
    }
}

fn long_now(is: &LongTerm, was: &LongTerm) -> Now {
    if is.is_as(was) {
        Now::AsBefore
    } else if is.keeps_nothing() {
        Now::Dropped
    } else {
        Now::Another(is.to_string())
    }
}

/// The write that adds a database to its failover group, if the partner side lets it in: Azure seeds it anew there.
async fn join(azure: &Azure, database: &ResourceId, group: &ResourceId) -> Way<PreparedWrite> {
    let now = azure.failover_group(group).await.map_err(|error| unread(&error))?;
    if !now.primary {
        return Err(differs(format!(
            "the failover group {} has failed over: this side is no primary now",
            group.name()
        )));
    }
    for partner in &now.partners {
        let Ok(twin) = partner.child("databases", database.name()) else { continue };
        match azure.one_database(&twin).await {
            Err(AzureError::NotFound { .. }) => {}
            Ok(twin) if twin.database.settings.contains_key(SECONDARY_TYPE) => {}
            Ok(_) => {
                return Err(differs(format!(
                    "{} on {} stands alone: Azure broke its link, and a group takes no database whose name is taken on \
                     the other side. Look whether anybody needs it, drop it, and add {} to {} by hand",
                    database.name(),
                    partner.name(),
                    database.name(),
                    group.name()
                )));
            }
            Err(error) => return Err(unread(&error)),
        }
    }
    if now.partners.is_empty() {
        return Err(differs(format!("the failover group {} has no partner server", group.name())));
    }
    let mut all = now.databases;
    if !all.contains(database) {
        all.push(database.clone());
    }
    Ok(PreparedWrite::patch_failover_group(group, &all))
}
