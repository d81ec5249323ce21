//! Facts worth keeping: small JSON values under a kind and a key.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::document::{self, micros};
use super::fault::Outcome;
use crate::clock;
use crate::store::FACT_KEPT_FOR;

pub(super) fn keep(connection: &Connection, kind: &str, key: &str, value: &str, now: Timestamp) -> Outcome<()> {
    connection
        .prepare_cached(
            "INSERT INTO fact (kind, key, value, kept_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, kept_at = excluded.kept_at",
        )?
        .execute(params![kind, key, value, micros(now)])?;
    Ok(())
}

pub(super) fn one(connection: &Connection, kind: &str, key: &str) -> Outcome<Option<(Value, Timestamp)>> {
    let stored: Option<(String, i64)> = connection
        .prepare_cached("SELECT value, kept_at FROM fact WHERE kind = ?1 AND key = ?2")?
        .query_row([kind, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((value, kept_at)) = stored else { return Ok(None) };
    Ok(Some((document::read(|| format!("fact {kind} {key}"), &value)?, document::time(kept_at))))
}

pub(super) fn of_kind(connection: &Connection, kind: &str) -> Outcome<Vec<(String, Value, Timestamp)>> {
    let mut select = connection.prepare_cached("SELECT key, value, kept_at FROM fact WHERE kind = ?1 ORDER BY key")?;
    let mut rows = select.query([kind])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, value, kept_at): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let value = document::read(|| format!("fact {kind} {key}"), &value);
        facts.extend(document::readable(value).map(|value| (key, value, document::time(kept_at))));
    }
    Ok(facts)
}

/// Removes up to `limit` facts that nobody has renewed for long.
pub(super) fn prune(connection: &Connection, limit: usize, now: Timestamp) -> Outcome<usize> {
    let before = micros(clock::add(now, -FACT_KEPT_FOR));
    let removed = connection
        .prepare_cached(
            "DELETE FROM fact WHERE (kind, key) IN (SELECT kind, key FROM fact WHERE kept_at < ?1 LIMIT ?2)",
        )?
        .execute(params![before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    Ok(removed)
}
