//! Incidents: one document each, saved only over the version it was made from.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::document::{self, micros};
use super::fault::{Fault, Outcome, is_duplicate};
use super::recent::Recent;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::store::{StoreError, Version};

/// One stored incident, not yet read.
struct Stored {
    id: String,
    document: String,
}

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, document: row.get(2)? })
    }

    fn read(&self) -> Result<Incident, StoreError> {
        document::read(|| format!("incident {}", self.id), &self.document)
    }
}

pub(super) fn by_id(connection: &Connection, recent: &Recent, id: &IncidentId) -> Outcome<Option<(Incident, Version)>> {
    one(connection, recent, "SELECT id, version, document FROM incident WHERE id = ?1", &id.0)
}

pub(super) fn open_by_key(
    connection: &Connection,
    recent: &Recent,
    key: &IncidentKey,
) -> Outcome<Option<(Incident, Version)>> {
    let select = "SELECT id, version, document FROM incident WHERE key = ?1 AND ended_at IS NULL";
    one(connection, recent, select, &key.0)
}

fn one(connection: &Connection, recent: &Recent, select: &str, value: &str) -> Outcome<Option<(Incident, Version)>> {
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([value])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let version = Version(row.get(1)?);
    if let Some(known) = recent.get(row.get_ref(0)?.as_str().unwrap_or_default(), version) {
        return Ok(Some((Incident::clone(&known), version)));
    }
    let incident = Arc::new(Stored::from_row(row)?.read()?);
    recent.put(Arc::clone(&incident), version);
    Ok(Some((Incident::clone(&incident), version)))
}

pub(super) fn newest(connection: &Connection, open_only: bool, limit: usize) -> Outcome<Vec<Incident>> {
    let mut select = connection.prepare_cached(if open_only {
        "SELECT id, version, document FROM incident WHERE ended_at IS NULL ORDER BY opened_at DESC, id DESC"
    } else {
        "SELECT id, version, document FROM incident ORDER BY opened_at DESC, id DESC"
    })?;
    let mut rows = select.query([])?;
    let mut incidents = Vec::new();
    while incidents.len() < limit
        && let Some(row) = rows.next()?
    {
        incidents.extend(document::readable(Stored::from_row(row)?.read()));
    }
    Ok(incidents)
}

pub(super) fn save(
    connection: &Connection,
    incident: &Incident,
    document: &str,
    expected: Option<Version>,
) -> Outcome<Version> {
    let Incident { id, key, opened_at, ended_at, .. } = incident;
    let new = Version(expected.map_or(0, |version| version.0) + 1);
    let columns = params![id.0, key.0, new.0, micros(*opened_at), ended_at.map(micros), document];
    let changed = if expected.is_none() {
        connection
            .prepare_cached(
                "INSERT INTO incident (id, key, version, opened_at, ended_at, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(columns)
    } else {
        connection
            .prepare_cached(
                "UPDATE incident SET key = ?2, version = ?3, opened_at = ?4, ended_at = ?5, document = ?6
                 WHERE id = ?1 AND version = ?3 - 1",
            )?
            .execute(columns)
    };
    match changed {
        Ok(1) => Ok(new),
        Ok(_) => Err(StoreError::Conflict.into()),
        Err(error) if is_duplicate(&error) => Err(StoreError::Conflict.into()),
        Err(error) => Err(Fault::from(error)),
    }
}

/// Removes up to `limit` incidents that ended before `before`, but for those that a stored signal names.
pub(super) fn prune(connection: &Connection, limit: usize, before: Timestamp) -> Outcome<usize> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM incident WHERE id IN (
                 SELECT id FROM incident WHERE ended_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM signal WHERE incident_id = incident.id) LIMIT ?2)",
        )?
        .execute(params![micros(before), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    Ok(removed)
}
