//! Which files are opened, and what is said about the others.

use std::path::Path;

use keymend::store::{SqliteStore, Store, StoreError};
use rusqlite::Connection;

use crate::{at, loss, server};

fn refusal(file: &Path) -> StoreError {
    SqliteStore::open(file).expect_err("it was opened")
}

/// Asserts that opening is refused as unreadable with these words, and that the file is as it was.
fn refused_untouched(file: &Path, words: &str) {
    let before = std::fs::read(file).unwrap();
    let error = refusal(file);
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(words) && text.contains(file.file_name().unwrap().to_str().unwrap()), "{text}");
    assert_eq!(std::fs::read(file).unwrap(), before, "the file was changed");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = refusal(&missing.join("keymend.db"));
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(error.to_string().contains(&format!("the folder {} does not exist", missing.display())), "{error}");
    assert!(!missing.exists());
    assert!(refusal(folder.path()).to_string().contains("is a folder"));
    assert!(matches!(refusal(Path::new("")), StoreError::Unavailable(_)));
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("notes.txt", "dear diary, ".repeat(2000)), ("short.txt", "hello".to_owned())] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        refused_untouched(&file, "no SQLite database");
    }
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, setup) in [
        ("tables.db", "CREATE TABLE notes (text)"),
        ("marked.db", "PRAGMA application_id = 7"),
        ("versioned.db", "PRAGMA user_version = 3"),
    ] {
        let file = folder.path().join(name);
        Connection::open(&file).unwrap().execute_batch(setup).unwrap();
        refused_untouched(&file, "another program");
    }
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    drop(SqliteStore::open(&file).unwrap());
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused_untouched(&file, "a newer keymend wrote it (schema 99");
}

#[test]
fn a_name_that_means_memory_to_sqlite_is_a_file_here() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file::memory:?mode=memory", "file:x.db?mode=ro"] {
        let file = folder.path().join(name);
        drop(SqliteStore::open(&file).unwrap());
        assert!(std::fs::metadata(&file).unwrap().len() > 0, "{name} was not stored");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    std::fs::write(&file, "").unwrap();
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(store.accept(&[loss("sql", "e1")], at(0)).await.unwrap().new, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    store.accept(&[loss("sql", "e1")], at(0)).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["keymend.db", "keymend.db-shm", "keymend.db-wal"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once() {
    for round in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keymend.db");
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let file = file.clone();
                std::thread::spawn(move || SqliteStore::open(&file).unwrap())
            })
            .collect();
        let stores: Vec<_> = openers.into_iter().map(|opener| opener.join().unwrap()).collect();
        for (n, store) in stores.iter().enumerate() {
            store.accept(&[loss("sql", &format!("{round}-{n}"))], at(0)).await.unwrap();
        }
        assert_eq!(stores[0].untaken_signals(&server("sql")).await.unwrap().len(), 8);
    }
}
