//! Opening the file: checked before anything in it is changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::fault::{Fault, Outcome};
use super::file::{PATIENCE, connect, identify, make_file};
use super::{care, jobs, schema};
use crate::store::{Result, StoreError};

/// How large the write-ahead log may stay after it was written back, in bytes. SQLite writes it back when it has 4 MB: less often,
/// alerts would wait longer while that is done.
const LOG_KEPT: i64 = 16 << 20;

/// The two connections of an opened file.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
}

/// Opens `path`, making the file (not its folder) if there is none.
pub(super) fn open(path: &Path) -> Result<Opened> {
    let path = std::path::absolute(path)
        .map_err(|error| StoreError::Unavailable(format!("the store's path {path:?} cannot be used: {error}")))?;
    make_file(&path)?;
    let connections = || -> Outcome<(Connection, Connection)> {
        let mut writer = connect(&path)?;
        identify(&writer, &path)?;
        if writer.is_readonly(MAIN_DB)? {
            return Err(StoreError::Unavailable(format!(
                "{} is read-only; let the user that runs keymend write it and its folder",
                path.display()
            ))
            .into());
        }
        configure(&writer)?;
        let version = schema::version(&writer)?;
        if (1..schema::LATEST).contains(&version) {
            // A full disk must not keep alerts from being taken: the copy is only wanted by whoever goes back.
            if let Err(error) = care::keep_before_migration(&writer, &path, version) {
                tracing::warn!(%error, "the store is brought up to this version without a copy of the older one");
            }
        }
        schema::migrate(&mut writer)?;
        jobs::reconsider(&writer)?;
        let reader = connect(&path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok((writer, reader))
    };
    let (writer, reader) = connections().map_err(|fault| fault.about(&path))?;
    Ok(Opened { path, writer, reader })
}

/// `FULL` makes every commit reach the disk itself before it is answered; `fullfsync` means the same on macOS, where
/// a plain fsync does not.
fn configure(writer: &Connection) -> Outcome<()> {
    write_ahead(writer)?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "fullfsync", true)?;
    writer.pragma_update(None, "checkpoint_fullfsync", true)?;
    writer.pragma_update(None, "foreign_keys", true)?;
    // What a savepoint could undo is kept in memory. Writing it to a file took longer than writing the log, a profile showed.
    writer.pragma_update(None, "temp_store", "MEMORY")?;
    writer.query_row(&format!("PRAGMA journal_size_limit = {LOG_KEPT}"), [], |_| Ok(()))?;
    Ok(())
}

/// Turns on the write-ahead log. SQLite does not wait for a lock at this step, so two programs that open a new file at
/// once would fail each other.
fn write_ahead(writer: &Connection) -> Outcome<()> {
    let began = Instant::now();
    loop {
        match writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) => {
                if mode != "wal" {
                    tracing::warn!(mode, "the store's file system allows no write-ahead log: slower, as safe");
                }
                return Ok(());
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(Fault::from(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_reaches_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&folder.path().join("keymend.db")).unwrap();
        let ask = |pragma: &str| -> String {
            let text = format!("SELECT cast({pragma} AS TEXT) FROM pragma_{pragma}");
            opened.writer.query_row(&text, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(ask("journal_mode"), "wal");
        assert_eq!(ask("synchronous"), "2", "FULL");
        assert_eq!(ask("fullfsync"), "1");
        assert_eq!(ask("foreign_keys"), "1");
        let write = opened.reader.execute("DELETE FROM job", []);
        assert!(write.is_err(), "the reading connection writes nothing");
    }
}
