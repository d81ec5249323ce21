//! Signals: accepted once, then taken by an incident or dismissed, and forgotten long after that.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::document::{self, micros};
use super::fault::Outcome;
use super::known::Known;
use crate::clock;
use crate::domain::incident::IncidentId;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;
use crate::store::{KNOWN_FOR, SignalRef, TAKEN_KEPT_FOR};

/// A signal made ready outside of the transaction.
pub(super) struct Row {
    pub(super) subject: ResourceId,
    pub(super) fingerprint: String,
    pub(super) document: String,
}

impl Row {
    pub(super) fn new(signal: &Signal) -> Outcome<Self> {
        let subject = signal.subject();
        Ok(Self { fingerprint: signal.fingerprint_about(&subject), subject, document: document::write(signal)? })
    }
}

/// Adds a signal, unless it is known already. Answers whether it was new.
pub(super) fn add(connection: &Connection, known: &mut Known, row: &Row, now: Timestamp) -> Outcome<bool> {
    if known.has(connection, &row.fingerprint, micros(clock::add(now, -KNOWN_FOR)))? {
        return Ok(false);
    }
    let id = connection
        .prepare_cached("INSERT INTO signal (subject, fingerprint, received_at, document) VALUES (?1, ?2, ?3, ?4)")?
        .insert(params![row.subject.key(), row.fingerprint, micros(now), row.document])?;
    known.put(&row.fingerprint, id);
    Ok(true)
}

pub(super) fn untaken(connection: &Connection, subject: &ResourceId) -> Outcome<Vec<(SignalRef, Signal)>> {
    let mut select = connection
        .prepare_cached("SELECT id, document FROM signal WHERE subject = ?1 AND taken_at IS NULL ORDER BY id")?;
    let mut rows = select.query([subject.key()])?;
    let mut signals = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let signal = document::read(|| format!("signal {id}"), row.get_ref(1)?.as_str().unwrap_or_default());
        signals.extend(document::readable(signal).map(|signal| (SignalRef(id.to_string()), signal)));
    }
    Ok(signals)
}

/// Marks signals as taken by `incident`, or by nobody. Those that were taken before stay where they were.
pub(super) fn take(
    connection: &Connection,
    ids: &[SignalRef],
    incident: Option<&IncidentId>,
    now: Timestamp,
) -> Outcome<()> {
    let ids: Vec<i64> = ids.iter().filter_map(|id| id.0.parse().ok()).collect();
    let ids = document::write(&ids)?;
    // One statement for all: in a storm hundreds are taken at a time, and alerts wait meanwhile.
    connection
        .prepare_cached(
            "UPDATE signal SET taken_at = ?2, incident_id = ?3
             WHERE id IN (SELECT value FROM json_each(?1)) AND taken_at IS NULL",
        )?
        .execute(params![ids, micros(now), incident.map(|incident| &incident.0)])?;
    Ok(())
}

/// Removes up to `limit` signals that were taken long ago.
pub(super) fn prune(connection: &Connection, limit: usize, now: Timestamp) -> Outcome<usize> {
    let before = micros(clock::add(now, -TAKEN_KEPT_FOR));
    let removed = connection
        .prepare_cached("DELETE FROM signal WHERE id IN (SELECT id FROM signal WHERE taken_at < ?1 LIMIT ?2)")?
        .execute(params![before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    Ok(removed)
}
