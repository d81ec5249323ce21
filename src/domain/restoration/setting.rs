//! One setting of a database, complete: the value that it gets back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::named;
use crate::domain::resource_id::ResourceId;

/// A setting and the value that is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Setting {
    /// `properties.elasticPoolId`.
    ElasticPool {
        /// The pool.
        pool: ResourceId,
    },
    /// `properties.readScale: Enabled`.
    ReadScale,
    /// `properties.autoPauseDelay`.
    AutoPause {
        /// Minutes.
        minutes: u32,
    },
    /// Tags that are missing; the others are sent back as they are.
    Tags {
        /// Name → value.
        tags: BTreeMap<String, String>,
    },
    /// `backupShortTermRetentionPolicies/default`.
    ShortTerm(ShortTerm),
    /// `backupLongTermRetentionPolicies/default`.
    LongTerm(LongTerm),
    /// The database in the failover group's `properties.databases`.
    FailoverGroup {
        /// The group.
        group: ResourceId,
    },
}

/// Point-in-time restore (REST reference, `BackupShortTermRetentionPolicyProperties`, 2025-01-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortTerm {
    /// `retentionDays`.
    pub days: u32,
    /// `diffBackupIntervalInHours`.
    pub diff_hours: Option<u32>,
}

impl ShortTerm {
    /// What a database has of which nobody ever said otherwise: 7 days (Microsoft, "Automated backups in Azure SQL Database").
    pub const DEFAULT_DAYS: u32 = 7;

    /// Whether both are the same, where either may not tell the hours between differential backups.
    #[must_use]
    pub fn is_as(self, other: Self) -> bool {
        let hours = self.diff_hours.zip(other.diff_hours).is_none_or(|(one, other)| one == other);
        self.days == other.days && hours
    }
}

/// Long-term retention (REST reference, `LongTermRetentionPolicyProperties`, 2025-01-01): ISO 8601 durations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongTerm {
    /// Of weekly backups.
    pub weekly: String,
    /// Of monthly ones.
    pub monthly: String,
    /// Of yearly ones.
    pub yearly: String,
    /// Which week of the year the yearly one is of.
    pub week_of_year: Option<u32>,
}

/// No retention, in Azure's words.
const NOT_KEPT: &str = "PT0S";

impl LongTerm {
    /// Whether no backup is kept.
    #[must_use]
    pub fn keeps_nothing(&self) -> bool {
        [&self.weekly, &self.monthly, &self.yearly].into_iter().all(|kept| kept.eq_ignore_ascii_case(NOT_KEPT))
    }

    /// Whether both keep the same. The week counts only where a yearly backup is kept.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let yearly = !same(&self.yearly, NOT_KEPT);
        same(&self.weekly, &other.weekly)
            && same(&self.monthly, &other.monthly)
            && same(&self.yearly, &other.yearly)
            && (!yearly || self.week_of_year.unwrap_or(0) == other.week_of_year.unwrap_or(0))
    }
}

impl std::fmt::Display for ShortTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} days", self.days)?;
        self.diff_hours.map_or(Ok(()), |hours| write!(f, ", differential every {hours} h"))
    }
}

impl std::fmt::Display for LongTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.keeps_nothing() {
            return f.write_str("none");
        }
        write!(f, "weekly {}, monthly {}, yearly {}", self.weekly, self.monthly, self.yearly)?;
        self.week_of_year.filter(|week| *week > 0).map_or(Ok(()), |week| write!(f, " (week {week})"))
    }
}

impl Setting {
    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::ElasticPool { .. } => named::ELASTIC_POOL.to_owned(),
            Self::ReadScale => named::READ_SCALE.to_owned(),
            Self::AutoPause { .. } => named::AUTO_PAUSE.to_owned(),
            Self::Tags { tags } if tags.len() == 1 => {
                tags.keys().next().map_or_else(String::new, |tag| format!("{}{tag}", named::TAG))
            }
            Self::Tags { tags } => format!("{} tags", tags.len()),
            Self::ShortTerm(_) => named::SHORT_TERM.to_owned(),
            Self::LongTerm(_) => named::LONG_TERM.to_owned(),
            Self::FailoverGroup { .. } => named::FAILOVER_GROUP.to_owned(),
        }
    }

    /// The value that is put back, for people.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::ElasticPool { pool } => pool.name().to_owned(),
            Self::ReadScale => "Enabled".to_owned(),
            Self::AutoPause { minutes } => format!("{minutes} minutes"),
            Self::Tags { tags } => {
                tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>().join(", ")
            }
            Self::ShortTerm(policy) => policy.to_string(),
            Self::LongTerm(policy) => policy.to_string(),
            Self::FailoverGroup { group } => group.name().to_owned(),
        }
    }

    /// What Azure leaves behind, for people.
    #[must_use]
    pub fn dropped(&self) -> String {
        match self {
            Self::ReadScale => "Disabled".to_owned(),
            Self::ShortTerm(_) => format!("{} days", ShortTerm::DEFAULT_DAYS),
            _ => "none".to_owned(),
        }
    }

    /// The right that putting it back takes.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::ElasticPool { .. } | Self::ReadScale | Self::AutoPause { .. } | Self::Tags { .. } => {
                "Microsoft.Sql/servers/databases/write"
            }
            Self::ShortTerm(_) => "Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/write",
            Self::LongTerm(_) => "Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/write",
            Self::FailoverGroup { .. } => "Microsoft.Sql/servers/failoverGroups/write",
        }
    }

    /// The order in which they are put back: what may change others first, what takes longest last.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self {
            Self::ElasticPool { .. } => 0,
            Self::ReadScale => 1,
            Self::AutoPause { .. } => 2,
            Self::Tags { .. } => 3,
            Self::ShortTerm(_) => 4,
            Self::LongTerm(_) => 5,
            Self::FailoverGroup { .. } => 6,
        }
    }

    /// Whether putting `self` back is part of putting `whole` back: the same, or some of the same tags.
    #[must_use]
    pub fn is_part_of(&self, whole: &Self) -> bool {
        match (self, whole) {
            (Self::Tags { tags }, Self::Tags { tags: all }) => {
                tags.iter().all(|(tag, value)| all.get(tag) == Some(value))
            }
            _ => self == whole,
        }
    }
}
