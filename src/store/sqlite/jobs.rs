//! The queue: one row for each kind of work and target.
//!
//! A row is *waiting* (`held = 0`, due at `ready_at`), *held* (`held = 1`; whoever knows `lease` may finish it, also
//! after the lease ended at `ready_at`, until the next one takes it), or *set aside* (`set_aside` says why).

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::document::{self, micros};
use super::fault::Outcome;
use crate::clock;
use crate::domain::resource_id::ResourceId;
use crate::store::{
    GATHERED_FOR, Handout, LONGEST_LEASE, LONGEST_WAIT, LeasedJob, NewJob, POISON_AFTER, StoreError, Work,
};

pub(super) fn enqueue(connection: &Connection, job: &NewJob) -> Outcome<()> {
    put(connection, job, job.due)
}

/// Calls for a look at what was told of a target: at once if nobody was called yet, and otherwise in a moment, so that what comes
/// in a crowd is looked at together.
pub(super) fn call_to(connection: &Connection, target: &ResourceId, now: Timestamp) -> Outcome<()> {
    let work = Work::Locate { target: target.clone() };
    let soon = clock::add(now, GATHERED_FOR);
    let is_called = connection
        .prepare_cached(
            "SELECT 1 FROM job WHERE key = ?1 AND set_aside IS NULL
             AND CASE WHEN held THEN again_at <= ?2 ELSE ready_at <= ?2 AND attempts = 0 END",
        )?
        .exists(params![work.key(), micros(soon)])?;
    if is_called { Ok(()) } else { put(connection, &NewJob { work, due: now }, soon) }
}

/// Stores a job, due at its time. One that is there already is due at `again` at the latest.
fn put(connection: &Connection, job: &NewJob, again: Timestamp) -> Outcome<()> {
    connection
        .prepare_cached(
            // All right-hand sides see the row as it was before.
            "INSERT INTO job (key, work, ready_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET
                again_at = CASE WHEN held AND set_aside IS NULL
                           THEN min(ifnull(again_at, ?4), ?4) ELSE again_at END,
                ready_at = CASE WHEN set_aside IS NOT NULL THEN excluded.ready_at
                                WHEN held THEN ready_at
                                ELSE min(ready_at, ?4) END,
                attempts = CASE WHEN held AND set_aside IS NULL THEN attempts ELSE 0 END,
                work     = CASE WHEN set_aside IS NOT NULL THEN excluded.work ELSE work END,
                held     = CASE WHEN set_aside IS NOT NULL THEN 0 ELSE held END,
                set_aside = NULL",
        )?
        .execute(params![job.work.key(), document::write(&job.work)?, micros(job.due), micros(again)])?;
    Ok(())
}

pub(super) fn lease(connection: &Connection, now: Timestamp, length: SignedDuration) -> Outcome<Option<LeasedJob>> {
    set_aside_worn_out(connection, now)?;
    loop {
        let due: Option<(i64, String, String)> = connection
            .prepare_cached(
                "SELECT id, key, work FROM job
                 WHERE set_aside IS NULL AND ready_at <= ?1 ORDER BY ready_at, id LIMIT 1",
            )?
            .query_row([micros(now)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((id, key, work)) = due else { return Ok(None) };
        match document::read(|| format!("job {key}"), &work) {
            Ok(work) => return hold(connection, id, work, clock::add(now, length)).map(Some),
            Err(error) => set_aside_unreadable(connection, id, &error)?,
        }
    }
}

pub(super) fn lease_by_key(
    connection: &Connection,
    key: &str,
    now: Timestamp,
    length: SignedDuration,
) -> Outcome<Handout> {
    set_aside_worn_out(connection, now)?;
    let found: Option<(i64, String, i64, bool)> = connection
        .prepare_cached("SELECT id, work, ready_at, set_aside IS NOT NULL FROM job WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    match found {
        None => Ok(Handout::Gone),
        Some((_, _, _, true)) => Ok(Handout::SetAside),
        Some((_, _, ready_at, _)) if ready_at > micros(now) => Ok(Handout::NotBefore(document::time(ready_at))),
        Some((id, work, _, _)) => match document::read(|| format!("job {key}"), &work) {
            Ok(work) => hold(connection, id, work, clock::add(now, length)).map(Handout::Yours),
            Err(error) => {
                set_aside_unreadable(connection, id, &error)?;
                Ok(Handout::SetAside)
            }
        },
    }
}

fn set_aside_unreadable(connection: &Connection, id: i64, error: &StoreError) -> Outcome<()> {
    tracing::error!(%error, "set aside a job");
    connection
        .prepare_cached("UPDATE job SET set_aside = 'unreadable', error = ?2 WHERE id = ?1")?
        .execute(params![id, error.to_string()])?;
    Ok(())
}

pub(super) fn set_aside(connection: &Connection, key: &str, error: &str) -> Outcome<bool> {
    let found = connection
        .prepare_cached("UPDATE job SET set_aside = 'poison', error = ?2 WHERE key = ?1 AND set_aside IS NULL")?
        .execute(params![key, error])?;
    Ok(found == 1)
}

/// A job whose last lease ran out like all before it has ended its process, or hung, each time.
fn set_aside_worn_out(connection: &Connection, now: Timestamp) -> Outcome<()> {
    connection
        .prepare_cached(
            "UPDATE job SET set_aside = 'poison',
                error = 'begun ' || attempts || ' times and not finished: the process ended or hung at it'
                    || ifnull('; the last error: ' || error, '')
             WHERE set_aside IS NULL AND ready_at <= ?1 AND attempts >= ?2",
        )?
        .execute(params![micros(now), POISON_AFTER])?;
    Ok(())
}

fn hold(connection: &Connection, id: i64, work: Work, until: Timestamp) -> Outcome<LeasedJob> {
    let (attempts, lease, ends): (u32, i64, i64) = connection
        .prepare_cached(
            "UPDATE job SET held = 1, lease = lease + 1, attempts = attempts + 1, ready_at = ?2
             WHERE id = ?1 RETURNING attempts - 1, lease, ready_at",
        )?
        .query_row(params![id, micros(until)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(LeasedJob { work, attempts, leased_until: document::time(ends), lease: format!("{id}.{lease}") })
}

/// The row and the number of its lease. A lease that is none of ours is one that nobody holds.
fn row_and_lease(job: &LeasedJob) -> Outcome<(i64, i64)> {
    let parts = job.lease.split_once('.').and_then(|(id, lease)| Some((id.parse().ok()?, lease.parse().ok()?)));
    parts.ok_or_else(|| StoreError::Conflict.into())
}

pub(super) fn complete(connection: &Connection, job: &LeasedJob) -> Outcome<()> {
    let (id, lease) = row_and_lease(job)?;
    let again = connection
        .prepare_cached(
            "UPDATE job SET held = 0, set_aside = NULL, attempts = 0, error = NULL, ready_at = again_at, again_at = NULL
             WHERE id = ?1 AND lease = ?2 AND held AND again_at IS NOT NULL",
        )?
        .execute([id, lease])?;
    if again == 1 {
        return Ok(());
    }
    let done =
        connection.prepare_cached("DELETE FROM job WHERE id = ?1 AND lease = ?2 AND held")?.execute([id, lease])?;
    if done == 1 { Ok(()) } else { Err(StoreError::Conflict.into()) }
}

pub(super) fn retry(connection: &Connection, job: &LeasedJob, due: Timestamp, error: &str) -> Outcome<bool> {
    let (id, lease) = row_and_lease(job)?;
    let poisoned = connection
        .prepare_cached(
            "UPDATE job SET held = 0, ready_at = ?3, error = ?4,
                set_aside = CASE WHEN attempts >= ?5 THEN 'poison' END
             WHERE id = ?1 AND lease = ?2 AND held RETURNING set_aside IS NOT NULL",
        )?
        .query_row(params![id, lease, micros(due), error, POISON_AFTER], |row| row.get(0))
        .optional()?;
    poisoned.ok_or_else(|| StoreError::Conflict.into())
}

/// Ends every lease, as if its time had run out: whoever held it is known to be gone. Answers how many there were.
pub(super) fn end_leases(connection: &Connection, now: Timestamp) -> Outcome<usize> {
    let ended = connection
        .execute("UPDATE job SET ready_at = ?1 WHERE held AND set_aside IS NULL AND ready_at > ?1", [micros(now)])?;
    Ok(ended)
}

/// Makes due what a clock that was ahead put off for longer than any job is put off, but for looks at the date of a key.
/// Answers how many there were.
pub(super) fn recall(connection: &Connection, now: Timestamp) -> Outcome<usize> {
    let (now, waits, leases) =
        (micros(now), micros(clock::add(now, LONGEST_WAIT)), micros(clock::add(now, LONGEST_LEASE)));
    let recalled = connection
        .prepare_cached(
            "UPDATE job SET ready_at = min(ready_at, CASE WHEN held AND ready_at <= ?3 THEN ready_at ELSE ?1 END),
                again_at = CASE WHEN again_at > ?2 THEN ?1 ELSE again_at END
             WHERE set_aside IS NULL AND key NOT LIKE 'locate:%'
                AND (ready_at > ?3 OR again_at > ?2 OR NOT held AND ready_at > ?2)",
        )?
        .execute([now, waits, leases])?;
    Ok(recalled)
}

pub(super) fn next_due(connection: &Connection) -> Outcome<Option<Timestamp>> {
    let next: Option<i64> = connection
        .prepare_cached("SELECT min(ready_at) FROM job WHERE set_aside IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(next.map(document::time))
}

pub(super) fn poison(connection: &Connection) -> Outcome<Vec<(String, String)>> {
    let mut select =
        connection.prepare_cached("SELECT key, ifnull(error, '') FROM job WHERE set_aside IS NOT NULL ORDER BY id")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn is_known(connection: &Connection, key: &str) -> Outcome<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM job WHERE key = ?1")?.exists([key])?)
}

pub(super) fn poison_retry(connection: &Connection, key: &str, now: Timestamp) -> Outcome<bool> {
    let found = connection
        .prepare_cached(
            "UPDATE job SET held = 0, set_aside = NULL, attempts = 0, ready_at = ?2
             WHERE key = ?1 AND set_aside IS NOT NULL",
        )?
        .execute(params![key, micros(now)])?;
    Ok(found == 1)
}

/// Gives jobs that a program before this one could not read another chance: this one may be newer.
pub(super) fn reconsider(connection: &Connection) -> Outcome<()> {
    let any = connection.prepare("SELECT 1 FROM job WHERE set_aside = 'unreadable'")?.exists([])?;
    if any {
        connection.execute("UPDATE job SET set_aside = NULL WHERE set_aside = 'unreadable'", [])?;
    }
    Ok(())
}
