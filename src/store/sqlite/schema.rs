//! The tables, and how an older file becomes a newer one.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Outcome;

/// "KMND": marks a database file as ours, in its header.
pub(super) const APPLICATION_ID: i64 = 0x4B4D_4E44;

/// The version that this program writes: how many of [`MIGRATIONS`] were applied.
#[allow(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub(super) const LATEST: i64 = MIGRATIONS.len() as i64;

/// One text for each step from a version to the next. Steps that were released are never edited.
///
/// Times are microseconds since 1970. `job.ready_at` is when a waiting job is due and when a held one's lease ends, so
/// that one index answers both "what is next" and "when".
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE incident (
        id        TEXT PRIMARY KEY,
        key       TEXT NOT NULL,
        version   INTEGER NOT NULL,
        opened_at INTEGER NOT NULL,
        ended_at  INTEGER,
        document  TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX incident_open_key ON incident (key) WHERE ended_at IS NULL;
    CREATE INDEX incident_newest ON incident (opened_at, id);
    CREATE INDEX incident_open_newest ON incident (opened_at, id) WHERE ended_at IS NULL;

    CREATE TABLE signal (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        subject     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        taken_at    INTEGER,
        incident_id TEXT REFERENCES incident (id),
        document    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX signal_known ON signal (fingerprint, received_at);
    CREATE INDEX signal_untaken ON signal (subject, id) WHERE taken_at IS NULL;
    CREATE INDEX signal_taken ON signal (taken_at) WHERE taken_at IS NOT NULL;

    CREATE TABLE job (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        key       TEXT NOT NULL UNIQUE,
        work      TEXT NOT NULL,
        ready_at  INTEGER NOT NULL,
        again_at  INTEGER,
        held      INTEGER NOT NULL DEFAULT 0,
        lease     INTEGER NOT NULL DEFAULT 0,
        attempts  INTEGER NOT NULL DEFAULT 0,
        error     TEXT,
        set_aside TEXT CHECK (set_aside IN ('poison', 'unreadable'))
    ) STRICT;
    CREATE INDEX job_ready ON job (ready_at, id) WHERE set_aside IS NULL;

    CREATE TABLE fact (
        kind    TEXT NOT NULL,
        key     TEXT NOT NULL,
        kept_at INTEGER NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX fact_kept ON fact (kept_at);
",
    "
    CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;
    CREATE INDEX signal_incident ON signal (incident_id) WHERE incident_id IS NOT NULL;
",
    "
    DROP INDEX signal_known;
    CREATE INDEX signal_received ON signal (received_at, fingerprint);
",
];

/// The schema version of the file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the file up to [`LATEST`]. Two processes may try at once: the second finds nothing left to do.
pub(super) fn migrate(connection: &mut Connection) -> Outcome<()> {
    if version(connection)? >= LATEST {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = usize::try_from(version(&transaction)?).unwrap_or(MIGRATIONS.len());
    for step in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    if from < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", LATEST)?;
    }
    transaction.commit()?;
    Ok(())
}
