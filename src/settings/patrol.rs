//! `[patrol]`: how often Keymend looks by itself, and at what cost.

use jiff::SignedDuration;
use toml::Table;

use super::problem::Problem;
use super::section::{Section, Sources};
use crate::patrol::PatrolSettings;

/// Reads `[patrol]`.
pub(super) fn patrol(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> PatrolSettings {
    let usual = PatrolSettings::default();
    let mut section = Section::open(file, "patrol", sources, problems);
    let seconds = "seconds from one round to the next";
    let health =
        section.number("health_every_seconds", Some("KEYMEND_PATROL_HEALTH_EVERY_SECONDS"), (10, 3600), seconds);
    let between = "seconds from one glance at the vaults to the next, between rounds";
    let glance =
        section.number("glance_every_seconds", Some("KEYMEND_PATROL_GLANCE_EVERY_SECONDS"), (10, 3600), between);
    let minutes = "minutes within which every server is read anew";
    let walk = section.number("walk_every_minutes", Some("KEYMEND_PATROL_WALK_EVERY_MINUTES"), (5, 1440), minutes);
    let jitter = section.number("jitter_percent", None, (0, 50), "by how many percent the time between rounds varies");
    let share = "the percentage of the Resource Manager's read budget that the patrol may use";
    let share = section.number("read_share_percent", Some("KEYMEND_PATROL_READ_SHARE_PERCENT"), (1, 80), share);
    let enabled = section.flag("enabled", Some("KEYMEND_PATROL_ENABLED")).unwrap_or(usual.enabled);
    section.close();
    PatrolSettings {
        enabled,
        health_every: health.map_or(usual.health_every, |seconds| SignedDuration::from_secs(i64::from(seconds))),
        glance_every: glance.map_or(usual.glance_every, |seconds| SignedDuration::from_secs(i64::from(seconds))),
        walk_every: walk.map_or(usual.walk_every, |minutes| SignedDuration::from_mins(i64::from(minutes))),
        jitter_percent: jitter.unwrap_or(usual.jitter_percent),
        read_share_percent: share.unwrap_or(usual.read_share_percent),
    }
}
