//! Looking after the file: a backup while it is in use, a check, and putting a backup back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use super::claim::Claim;
use super::document::time;
use super::fault::{Fault, Outcome};
use super::file::{connect, identify, make_file};
use super::schema;
use crate::store::{Result, StoreError};

/// What the names of a store's files end with: the file, its log, and the index of that.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// What a check found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// The version of its tables.
    pub schema: i64,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What of that is free, and is used before the file grows.
    pub free_bytes: u64,
    /// The size of the write-ahead log beside it.
    pub log_bytes: u64,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Incidents that ended.
    pub ended_incidents: u64,
    /// When the oldest incident was opened.
    pub oldest_incident: Option<Timestamp>,
    /// Signals, and those of them that no incident has taken yet.
    pub signals: u64,
    /// Signals that nobody has taken yet.
    pub untaken_signals: u64,
    /// Jobs that wait or are worked on.
    pub jobs: u64,
    /// Jobs that were set aside.
    pub jobs_set_aside: u64,
    /// Facts worth keeping.
    pub facts: u64,
    /// What is damaged, in SQLite's words. Empty: nothing.
    pub damage: Vec<String>,
}

/// Copies the store at `from` to `to`, as it is at one moment, while it is in use or not. Answers how many bytes the copy
/// has, which only its owner can read.
///
/// # Errors
/// [`StoreError::Unavailable`] if `to` exists or cannot be written; as [`super::SqliteStore::open`] for `from`.
pub fn backup(from: &Path, to: &Path) -> Result<u64> {
    let (from, to) = (absolute(from)?, absolute(to)?);
    copy(&existing(&from)?, &from, &to)
}

/// Looks whether the file at `path` is whole, and what is in it. Changes nothing.
///
/// # Errors
/// As [`super::SqliteStore::open`]; damage that can be told of is no error.
pub fn check(path: &Path) -> Result<Checkup> {
    let path = &absolute(path)?;
    let connection = existing(path)?;
    let look = || -> Outcome<Checkup> {
        connection.pragma_update(None, "query_only", true)?;
        let snapshot = connection.unchecked_transaction()?;
        let count = |what: &str| -> Outcome<u64> {
            let counted: i64 = snapshot.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))?;
            Ok(counted.unsigned_abs())
        };
        let pragma = |name: &str| -> Outcome<u64> {
            let value: i64 = snapshot.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok(value.unsigned_abs())
        };
        let page = pragma("page_size")?;
        let oldest: Option<i64> = snapshot.query_row("SELECT min(opened_at) FROM incident", [], |row| row.get(0))?;
        Ok(Checkup {
            schema: schema::version(&snapshot)?,
            bytes: page * pragma("page_count")?,
            free_bytes: page * pragma("freelist_count")?,
            log_bytes: std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len()),
            open_incidents: count("incident WHERE ended_at IS NULL")?,
            ended_incidents: count("incident WHERE ended_at IS NOT NULL")?,
            oldest_incident: oldest.map(time),
            signals: count("signal")?,
            untaken_signals: count("signal WHERE taken_at IS NULL")?,
            jobs: count("job WHERE set_aside IS NULL")?,
            jobs_set_aside: count("job WHERE set_aside IS NOT NULL")?,
            facts: count("fact")?,
            damage: damage(&snapshot)?,
        })
    };
    look().map_err(|fault| fault.about(path))
}

/// A backup that was copied beside a store, to take its place. Nobody else works on the store as long as this lives.
#[derive(Debug)]
pub struct Arriving {
    store: PathBuf,
    copy: PathBuf,
    _claim: Claim,
}

/// Copies the backup at `from` beside the store at `to`, which stays as it is. Waits up to `patience` for a process that works
/// on it to end.
///
/// # Errors
/// [`StoreError::Unavailable`] if a live process works on the store, or a file cannot be written;
/// [`StoreError::Unreadable`] if the backup is damaged, or no store.
pub fn bring(from: &Path, to: &Path, patience: Duration) -> Result<Arriving> {
    let (from, to) = (&absolute(from)?, &absolute(to)?);
    let found = check(from)?;
    if let Some(first) = found.damage.first() {
        let why = format!("it is damaged ({first}); take another backup");
        return Err(StoreError::Unreadable { what: format!("the backup {}", from.display()), why });
    }
    let claim = Claim::take(to, patience)?;
    let arriving = beside(to, ".arriving");
    for end in FILES {
        remove_if_there(&beside(&arriving, end))?;
    }
    copy(&existing(from)?, from, &arriving)?;
    Ok(Arriving { store: to.to_owned(), copy: arriving, _claim: claim })
}

impl Arriving {
    /// The copy: what must be changed in it is changed before it takes the place. Nobody may have it open when it does.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.copy
    }

    /// Puts the copy in the store's place. What was there before is kept beside it, under the name that is answered, with
    /// `now` in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a file cannot be renamed.
    pub fn take_place(self, now: Timestamp) -> Result<Option<PathBuf>> {
        let end = format!(".before-{}", now.strftime("%Y%m%dT%H%M%SZ"));
        let kept = self.store.exists().then(|| beside(&self.store, &end));
        if let Some(kept) = &kept {
            // With its log: together they are what was there.
            for end in FILES {
                let file = beside(&self.store, end);
                if file.exists() {
                    rename(&file, &beside(kept, end))?;
                }
            }
        }
        for end in FILES {
            let file = beside(&self.copy, end);
            if file.exists() {
                rename(&file, &beside(&self.store, end))?;
            }
        }
        Ok(kept)
    }
}

/// Copies a file of an older version before its tables are changed: `keymend.db.schema-1` for `keymend.db`. A copy that is
/// there already is of the same version, and is kept.
pub(super) fn keep_before_migration(connection: &Connection, path: &Path, version: i64) -> Result<()> {
    let copied = beside(path, &format!(".schema-{version}"));
    if copied.exists() {
        return Ok(());
    }
    // Of each opener its own: several may open the file at once.
    static OPENERS: AtomicU64 = AtomicU64::new(0);
    let opener = OPENERS.fetch_add(1, Ordering::Relaxed);
    let arriving = beside(path, &format!(".arriving-{}-{opener}", std::process::id()));
    remove_if_there(&arriving)?;
    copy(connection, path, &arriving)?;
    if check(&arriving)?.schema != version {
        // Another one was faster, and has copied what there was.
        return remove_if_there(&arriving);
    }
    rename(&arriving, &copied)?;
    tracing::info!(copy = %copied.display(), "the store is of an older version, and was copied before it is brought up to this one");
    Ok(())
}

/// A connection to a store that is there. It is not made, and not brought up to this version.
fn existing(path: &Path) -> Result<Connection> {
    if !path.is_file() {
        return Err(StoreError::Unavailable(format!("there is no file {}", path.display())));
    }
    let open = || {
        let connection = connect(path)?;
        identify(&connection, path)?;
        Ok(connection)
    };
    open().map_err(|fault: Fault| fault.about(path))
}

/// Copies what `connection` sees to a new file, wholly or not at all, and onto the disk itself.
fn copy(connection: &Connection, from: &Path, to: &Path) -> Result<u64> {
    if to.exists() {
        return Err(StoreError::Unavailable(format!("{} is there already; name a new file", to.display())));
    }
    // SQLite writes into an empty file that is there, and leaves its rights as they are: for its owner alone.
    make_file(to)?;
    let name = to.to_str().ok_or_else(|| StoreError::Unavailable(format!("{} is no name in UTF-8", to.display())))?;
    let copied = connection.execute("VACUUM INTO ?1", [name]);
    let durable = copied.map_err(|error| Fault::from(error).about(from)).and_then(|_| {
        let file = std::fs::File::open(to).map_err(|error| cannot(to, &error))?;
        file.sync_all().map_err(|error| cannot(to, &error))?;
        file.metadata().map(|file| file.len()).map_err(|error| cannot(to, &error))
    });
    if durable.is_err() {
        let _ = std::fs::remove_file(to);
    }
    durable
}

fn damage(connection: &Connection) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for pragma in ["PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"] {
        let mut statement = connection.prepare(pragma)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get::<_, rusqlite::types::Value>(0).map(|value| match value {
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })?;
            if text != "ok" {
                found.push(text);
            }
        }
    }
    Ok(found)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let unusable = |error| StoreError::Unavailable(format!("the path {} cannot be used: {error}", path.display()));
    std::path::absolute(path).map_err(unusable)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| cannot(to, &error))
}

fn remove_if_there(path: &Path) -> Result<()> {
    if path.exists() { std::fs::remove_file(path).map_err(|error| cannot(path, &error)) } else { Ok(()) }
}

fn cannot(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "{} cannot be written: {error}; let the user that runs keymend write its folder",
        path.display()
    ))
}
