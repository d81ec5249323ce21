//! Microsoft.Sql: what a database loses past the self-heal window, read and written one by one (REST reference, api-version
//! 2025-01-01): retention policies, failover groups, and the database itself.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::azure::error::AzureError;
use crate::azure::json::{shaped, tags};
use crate::azure::request::Request;
use crate::azure::sql::API;
use crate::azure::sql_databases::parse_database;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::evidence::Database;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{LongTerm, ShortTerm};

/// A failover group, as far as it matters for putting a database back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverGroup {
    /// Whether it is seen from the primary side.
    pub primary: bool,
    /// Its databases on this side.
    pub databases: Vec<ResourceId>,
    /// The servers on the other side.
    pub partners: Vec<ResourceId>,
}

/// A database with the tags that it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedDatabase {
    /// Status and settings.
    pub database: Database,
    /// Its tags, whole.
    pub tags: BTreeMap<String, String>,
}

const READ_DATABASE: &str = "Microsoft.Sql/servers/databases/read";
const WRITE_DATABASE: &str = "Microsoft.Sql/servers/databases/write";

impl Azure {
    /// One database, whatever key it uses.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn one_database(&self, id: &ResourceId) -> Result<TaggedDatabase, AzureError> {
        let answer = self.perform(&Request::get(id.as_str(), API, READ_DATABASE)).await?;
        parse_tagged(&answer.body).map_err(|why| answer.bad(why))
    }

    /// A database's policy of point-in-time restore. Azure refuses it while the database is inaccessible.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn short_term_retention(&self, database: &ResourceId) -> Result<ShortTerm, AzureError> {
        let action = "Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/read";
        let answer = self.perform(&Request::get(&short_term(database), API, action)).await?;
        parse_short_term(&answer.body).map_err(|why| answer.bad(why))
    }

    /// A database's policy of long-term retention. Azure refuses it while the database is inaccessible.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn long_term_retention(&self, database: &ResourceId) -> Result<LongTerm, AzureError> {
        let action = "Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/read";
        let answer = self.perform(&Request::get(&long_term(database), API, action)).await?;
        parse_long_term(&answer.body).map_err(|why| answer.bad(why))
    }

    /// A failover group.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn failover_group(&self, group: &ResourceId) -> Result<FailoverGroup, AzureError> {
        let answer =
            self.perform(&Request::get(group.as_str(), API, "Microsoft.Sql/servers/failoverGroups/read")).await?;
        parse_failover_group(&answer.body).map_err(|why| answer.bad(why))
    }
}

fn short_term(database: &ResourceId) -> String {
    format!("{database}/backupShortTermRetentionPolicies/default")
}

fn long_term(database: &ResourceId) -> String {
    format!("{database}/backupLongTermRetentionPolicies/default")
}

/// Writes; each may be sent again and then changes nothing more.
impl PreparedWrite {
    /// PATCHes a database: only what the body names is changed, but `tags` as a whole.
    #[must_use]
    pub fn patch_database(database: &ResourceId, body: Value) -> Self {
        Self::arm(Method::PATCH, database.as_str(), API, Some(body), WRITE_DATABASE)
    }

    /// Sets a database's policy of point-in-time restore.
    #[must_use]
    pub fn put_short_term_retention(database: &ResourceId, policy: ShortTerm) -> Self {
        let mut properties = json!({ "retentionDays": policy.days });
        if let Some(hours) = policy.diff_hours {
            properties["diffBackupIntervalInHours"] = json!(hours);
        }
        let action = "Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/write";
        Self::arm(Method::PUT, &short_term(database), API, Some(json!({ "properties": properties })), action)
    }

    /// Sets a database's policy of long-term retention.
    #[must_use]
    pub fn put_long_term_retention(database: &ResourceId, policy: &LongTerm) -> Self {
        let mut properties = json!({
            "weeklyRetention": policy.weekly,
            "monthlyRetention": policy.monthly,
            "yearlyRetention": policy.yearly,
        });
        if let Some(week) = policy.week_of_year {
            properties["weekOfYear"] = json!(week);
        }
        let action = "Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/write";
        Self::arm(Method::PUT, &long_term(database), API, Some(json!({ "properties": properties })), action)
    }

    /// Gives a failover group the list of its databases, which replaces the one that it has.
    #[must_use]
    pub fn patch_failover_group(group: &ResourceId, databases: &[ResourceId]) -> Self {
        let body = json!({ "properties": { "databases": databases } });
        Self::arm(Method::PATCH, group.as_str(), API, Some(body), "Microsoft.Sql/servers/failoverGroups/write")
    }
}

#[derive(Deserialize)]
struct WireTags {
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
}

pub(super) fn parse_tagged(body: &Value) -> Result<TaggedDatabase, String> {
    let WireTags { tags } = shaped(body)?;
    Ok(TaggedDatabase { database: parse_database(body)?, tags })
}

#[derive(Deserialize)]
struct Wire<T> {
    properties: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireShortTerm {
    retention_days: u32,
    diff_backup_interval_in_hours: Option<u32>,
}

pub(super) fn parse_short_term(body: &Value) -> Result<ShortTerm, String> {
    let Wire { properties: WireShortTerm { retention_days: days, diff_backup_interval_in_hours: diff_hours } } =
        shaped(body)?;
    Ok(ShortTerm { days, diff_hours })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLongTerm {
    weekly_retention: Option<String>,
    monthly_retention: Option<String>,
    yearly_retention: Option<String>,
    week_of_year: Option<u32>,
}

pub(super) fn parse_long_term(body: &Value) -> Result<LongTerm, String> {
    let Wire { properties: wire } = shaped::<Wire<WireLongTerm>>(body)?;
    let told = [&wire.weekly_retention, &wire.monthly_retention, &wire.yearly_retention];
    if told.iter().all(|told| told.is_none()) {
        // "It keeps nothing" must not be read out of an answer that says nothing.
        return Err("a long-term retention policy tells no retention".to_owned());
    }
    let kept = |told: Option<String>| told.filter(|told| !told.is_empty()).unwrap_or_else(|| "PT0S".to_owned());
    Ok(LongTerm {
        weekly: kept(wire.weekly_retention),
        monthly: kept(wire.monthly_retention),
        yearly: kept(wire.yearly_retention),
        week_of_year: wire.week_of_year,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    replication_role: Option<String>,
    // Not defaulted by serde: a list that is missing must not become an empty one, which would be sent back.
    databases: Option<Vec<ResourceId>>,
    partner_servers: Vec<WirePartner>,
}

#[derive(Deserialize)]
struct WirePartner {
    id: ResourceId,
}

pub(super) fn parse_failover_group(body: &Value) -> Result<FailoverGroup, String> {
    let Wire { properties: wire } = shaped::<Wire<WireGroup>>(body)?;
    let databases = wire.databases.ok_or("a failover group does not list its databases")?;
    Ok(FailoverGroup {
        primary: wire.replication_role.is_some_and(|role| role.eq_ignore_ascii_case("Primary")),
        databases,
        partners: wire.partner_servers.into_iter().map(|partner| partner.id).collect(),
    })
}
