//! A backup while the store is in use, a check, a backup put back, and a file of an older version.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::store::{SqliteStore, Store, StoreError, care};
use rusqlite::Connection;

use crate::{at, loss, server};

const AT_ONCE: Duration = Duration::ZERO;

fn restore(from: &Path, to: &Path, now: Timestamp, patience: Duration) -> Result<Option<PathBuf>, StoreError> {
    care::bring(from, to, patience)?.take_place(now)
}

fn incident(id: &str) -> Incident {
    Incident::open(IncidentId(id.to_owned()), IncidentKey(format!("vault:{id}.vault.azure.net")), 30, at(0))
}

async fn untaken(file: &Path) -> usize {
    SqliteStore::open(file).unwrap().untaken_signals(&server("sql")).await.unwrap().len()
}

#[tokio::test]
async fn a_backup_is_what_the_store_was_at_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("keymend.db"), folder.path().join("backup.db"));
    let store = SqliteStore::open_to_work(&file, at(0), AT_ONCE).unwrap();
    store.accept(&[loss("sql", "before")], at(0)).await.unwrap();
    let bytes = care::backup(&file, &backup).unwrap();
    assert_eq!(bytes, std::fs::metadata(&backup).unwrap().len());
    store.accept(&[loss("sql", "after")], at(1)).await.unwrap();
    assert_eq!((untaken(&backup).await, untaken(&file).await), (1, 2));
    let again = care::backup(&file, &backup).unwrap_err().to_string();
    assert!(again.contains("is there already"), "{again}");
    let missing = care::backup(&folder.path().join("none.db"), &folder.path().join("b.db")).unwrap_err();
    assert!(missing.to_string().contains("there is no file"), "{missing}");
    assert!(!folder.path().join("b.db").exists(), "nothing half made is left");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("keymend.db"), folder.path().join("backup.db"));
    drop(SqliteStore::open(&file).unwrap());
    care::backup(&file, &backup).unwrap();
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_a_store_that_nobody_works_on() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("keymend.db"), folder.path().join("backup.db"));
    let store = SqliteStore::open_to_work(&file, at(0), AT_ONCE).unwrap();
    store.accept(&[loss("sql", "before")], at(0)).await.unwrap();
    care::backup(&file, &backup).unwrap();
    store.accept(&[loss("sql", "after")], at(1)).await.unwrap();

    let refused = restore(&backup, &file, at(9), AT_ONCE).unwrap_err();
    assert!(refused.to_string().contains("another keymend works on"), "{refused}");
    assert_eq!(untaken(&file).await, 2, "nothing was changed");
    drop(store);
    let kept = restore(&backup, &file, at(9), AT_ONCE).unwrap().expect("something was there");
    assert_eq!(untaken(&file).await, 1);
    assert_eq!(untaken(&kept).await, 2, "with all that its log held");
    let store = SqliteStore::open_to_work(&file, at(10), AT_ONCE).unwrap();
    assert_eq!(store.accept(&[loss("sql", "after")], at(10)).await.unwrap().new, 1);
}

#[tokio::test]
async fn a_damaged_backup_is_not_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("keymend.db"), folder.path().join("backup.db"));
    let store = SqliteStore::open(&file).unwrap();
    for n in 0..200 {
        store.accept(&[loss("sql", &n.to_string())], at(n)).await.unwrap();
    }
    care::backup(&file, &backup).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 5000].fill(0xa5);
    std::fs::write(&backup, bytes).unwrap();
    let refused = restore(&backup, &file, at(9), AT_ONCE).unwrap_err();
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{refused:?}");
    assert_eq!(untaken(&file).await, 200);
    std::fs::write(&backup, "dear diary").unwrap();
    assert!(restore(&backup, &file, at(9), AT_ONCE).is_err());
}

#[tokio::test]
async fn a_check_tells_what_is_there_and_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let store = SqliteStore::open(&file).unwrap();
    store.accept(&(0..300).map(|n| loss("sql", &n.to_string())).collect::<Vec<_>>(), at(0)).await.unwrap();
    store.save(&incident("a"), None, &[], &[], at(0)).await.unwrap();
    let found = care::check(&file).unwrap();
    assert_eq!((found.open_incidents, found.ended_incidents, found.untaken_signals, found.jobs), (1, 0, 300, 1));
    assert_eq!((found.oldest_incident, found.damage.as_slice()), (Some(at(0)), &[] as &[String]));
    drop(store);

    let unchecked = Connection::open(&file).unwrap();
    unchecked.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    unchecked.execute_batch("UPDATE signal SET incident_id = 'never-made' WHERE id = 9").unwrap();
    drop(unchecked);
    assert_eq!(care::check(&file).unwrap().damage.len(), 1, "a signal of an incident that is not there");
}

/// A file as the first version made it.
fn make_first_version(file: &Path) {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(include_str!("schema_1.sql")).unwrap();
}

#[tokio::test]
async fn a_file_of_an_older_version_is_copied_and_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    make_first_version(&file);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 1, "what it held is there");
    assert_eq!(store.incidents(false, 10).await.unwrap().len(), 1);
    drop(store);
    assert!(care::check(&file).unwrap().schema > 1);
    let copy = folder.path().join("keymend.db.schema-1");
    let copied = care::check(&copy).unwrap();
    assert_eq!((copied.schema, copied.untaken_signals, copied.open_incidents), (1, 1, 1), "as it was");
    // Whoever goes back to the older program puts the copy back.
    restore(&copy, &file, at(5), AT_ONCE).unwrap();
    assert_eq!(care::check(&file).unwrap().schema, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_bring_a_file_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    make_first_version(&file);
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || SqliteStore::open(&file).unwrap())
        })
        .collect();
    for opener in openers {
        assert_eq!(opener.join().unwrap().untaken_signals(&server("sql")).await.unwrap().len(), 1);
    }
    assert_eq!(care::check(&folder.path().join("keymend.db.schema-1")).unwrap().untaken_signals, 1);
}
