//! The file itself: made for its owner alone, connected to, and known as ours.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Outcome;
use super::schema;
use crate::store::{Result, StoreError};

/// How long a call waits for another program's lock. Azure gives a webhook 10 s; two waits must fit.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

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
