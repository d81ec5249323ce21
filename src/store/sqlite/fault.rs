//! What went wrong inside the database, and how it is told to people.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Inside this room: an error of SQLite, or one that means something to the caller already.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

/// What the functions of this room answer with.
pub(super) type Outcome<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The error for the caller, naming the file and what to do about it.
    pub(super) fn about(self, path: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => explain(&error, path),
        }
    }
}

fn explain(error: &rusqlite::Error, path: &Path) -> StoreError {
    let file = path.display();
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return StoreError::Unreadable {
                what: format!("the file {file}"),
                why: "it is no SQLite database; move it away, or name another file for the store".to_owned(),
            };
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return StoreError::Unreadable {
                what: format!("the file {file}"),
                why: format!(
                    "it is damaged ({error}); keep a copy of it, and put back a backup or start with a new file"
                ),
            };
        }
        Some(ErrorCode::DiskFull) => "its disk is full; free some space",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it locked; if that does not pass by itself, find out which (`fuser` or `lsof` on the file)"
        }
        Some(ErrorCode::ReadOnly) => "it or its folder is read-only; let the user that runs keymend write both",
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened; check its folder and the rights of the user that runs keymend"
        }
        Some(ErrorCode::SystemIoFailure) => "reading or writing it failed; check its disk",
        _ => "SQLite refused",
    };
    StoreError::Unavailable(format!("{file}: {advice} ({error})"))
}

/// Whether a row broke a rule that rows are unique: somebody else was there first.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    error
        .sqlite_error()
        .is_some_and(|cause| matches!(cause.extended_code, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE))
}
