//! Opening the file: checked before anything in it is changed.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::fault::{Fault, Outcome};
use super::{care, jobs, schema};
use crate::store::{Result, StoreError};

/// How long a call waits for another program's lock. Azure gives a webhook 10 s; two waits must fit.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// Makes an empty file that only its owner can read, if there is none: incidents name people and resources. SQLite
/// gives the files that it adds (`-wal`, `-shm`) the same rights.
pub(super) fn make_file(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    if !folder.is_dir() {
        return Err(StoreError::Unavailable(format!(
            "the folder {} does not exist; make it, or name another file for the store",
            folder.display()
        )));
    }
    if path.is_dir() {
        return Err(StoreError::Unavailable(format!("{} is a folder; name a file for the store", path.display())));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StoreError::Unavailable(format!(
            "the file {} cannot be made: {error}; let the user that runs keymend write its folder",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// A connection that waits for other programs' locks.
pub(super) fn connect(path: &Path) -> Outcome<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Refuses, without touching it, a file that another program or a newer version of this one has written.
pub(super) fn identify(connection: &Connection, path: &Path) -> Outcome<()> {
    let refuse = |why: String| Err(StoreError::Unreadable { what: format!("the file {}", path.display()), why }.into());
    // One snapshot: another process may be making the tables at this moment.
    let snapshot = connection.unchecked_transaction()?;
    let tables: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = snapshot.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = schema::version(&snapshot)?;
    drop(snapshot);
    match application {
        schema::APPLICATION_ID if version > schema::LATEST => refuse(format!(
            "a newer keymend wrote it (schema {version}, this one knows {}); run that version, or put back a backup",
            schema::LATEST
        )),
        schema::APPLICATION_ID => Ok(()),
        0 if tables == 0 && version == 0 => Ok(()),
        _ => refuse("it is the database of another program; name another file for the store".to_owned()),
    }
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
