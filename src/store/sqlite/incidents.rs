//! Incidents: one document each, saved only over the version it was made from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::document::{self, micros};
use super::fault::{Fault, Outcome, is_duplicate};
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::store::{StoreError, Version};

/// One stored incident, not yet read.
struct Stored {
    id: String,
    version: i64,
    document: String,
}

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, version: row.get(1)?, document: row.get(2)? })
    }

    fn read(&self) -> Result<Incident, StoreError> {
        document::read(|| format!("incident {}", self.id), &self.document)
    }
}

pub(super) fn by_id(connection: &Connection, id: &IncidentId) -> Outcome<Option<(Incident, Version)>> {
    one(connection, "SELECT id, version, document FROM incident WHERE id = ?1", &id.0)
}

pub(super) fn open_by_key(connection: &Connection, key: &IncidentKey) -> Outcome<Option<(Incident, Version)>> {
    one(connection, "SELECT id, version, document FROM incident WHERE key = ?1 AND ended_at IS NULL", &key.0)
}

fn one(connection: &Connection, select: &str, value: &str) -> Outcome<Option<(Incident, Version)>> {
    let stored = connection.prepare_cached(select)?.query_row([value], Stored::from_row).optional()?;
    Ok(stored.map(|stored| stored.read().map(|incident| (incident, Version(stored.version)))).transpose()?)
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
