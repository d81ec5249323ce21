//! The right to work on the jobs of a file: one process has it at a time.
//!
//! It is SQLite's own lock on a second, empty file beside the store. The operating system gives it back when the process
//! ends, however it ends, so whoever has it knows that every lease in the store is of a process that is gone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::fault::Fault;
use super::file::make_file;
use crate::store::{Result, StoreError};

/// Held for as long as it lives.
#[derive(Debug)]
pub(super) struct Claim {
    /// In a transaction that locks the file and changes nothing.
    _lock: Mutex<Connection>,
}

impl Claim {
    /// Claims the store at `store`, waiting up to `patience` for a process that is about to end.
    pub(super) fn take(store: &Path, patience: Duration) -> Result<Self> {
        let file = file(store);
        make_file(&file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let lock = || {
            let connection = Connection::open_with_flags(&file, flags)?;
            connection.busy_timeout(patience)?;
            connection.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(connection)
        };
        match lock() {
            Ok(connection) => Ok(Self { _lock: Mutex::new(connection) }),
            Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::DatabaseBusy => {
                Err(StoreError::Unavailable(format!(
                    "another keymend works on {}; stop it first, or give this one a store of its own",
                    store.display()
                )))
            }
            Err(error) => Err(Fault::from(error).about(&file)),
        }
    }
}

/// `keymend.db.lock` for `keymend.db`.
fn file(store: &Path) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(".lock");
    PathBuf::from(name)
}
