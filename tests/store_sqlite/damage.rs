//! Records that can't be read, and a file with torn pages: reported, left alone, in nobody's way.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use jiff::SignedDuration;
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::store::{NewJob, SqliteStore, Store, StoreError, Work};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::{at, loss, server};

const LEASE: SignedDuration = SignedDuration::from_mins(5);

fn incident(name: &str) -> Incident {
    Incident::open(IncidentId(name.to_owned()), IncidentKey(format!("vault:{name}")), 30, at(0))
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    (folder, file)
}

fn is_unreadable<T: std::fmt::Debug>(answer: Result<T, StoreError>, what: &str) {
    match answer {
        Err(StoreError::Unreadable { what: told, .. }) => assert!(told.contains(what), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unreadable_incident_is_reported_and_blocks_no_other() {
    let (_folder, file) = place();
    let store = SqliteStore::open(&file).unwrap();
    for name in ["a", "b"] {
        store.save(&incident(name), None, &[], &[], at(0)).await.unwrap();
    }
    let beside = Connection::open(&file).unwrap();
    beside.execute("UPDATE incident SET document = '{\"id\": 7' WHERE id = 'a'", []).unwrap();
    // Another process has not read it before.
    let store = SqliteStore::open(&file).unwrap();

    is_unreadable(store.incident(&incident("a").id).await, "incident a");
    is_unreadable(store.open_incident(&incident("a").key).await, "incident a");
    let twin = Incident { id: IncidentId("twin".to_owned()), ..incident("a") };
    assert_eq!(store.save(&twin, None, &[], &[], at(1)).await, Err(StoreError::Conflict), "it still holds its key");
    assert_eq!(store.incidents(true, 10).await.unwrap(), [incident("b")]);
    let left: String = beside.query_row("SELECT document FROM incident WHERE id = 'a'", [], |row| row.get(0)).unwrap();
    assert_eq!(left, "{\"id\": 7");
}

#[tokio::test]
async fn an_unreadable_signal_or_fact_blocks_no_other() {
    let (_folder, file) = place();
    let store = SqliteStore::open(&file).unwrap();
    store.accept(&[loss("sql", "e1"), loss("sql", "e2")], at(0)).await.unwrap();
    store.keep_fact("servers", "a", &json!(1), at(0)).await.unwrap();
    store.keep_fact("servers", "b", &json!(2), at(0)).await.unwrap();
    let beside = Connection::open(&file).unwrap();
    beside
        .execute("UPDATE signal SET document = json_set(document, '$.kind', 'from_the_future') WHERE id = 1", [])
        .unwrap();
    beside.execute("UPDATE fact SET value = '' WHERE key = 'a'", []).unwrap();

    let untaken = store.untaken_signals(&server("sql")).await.unwrap();
    assert_eq!(untaken.iter().map(|(id, _)| id.0.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(store.accept(&[loss("sql", "e1")], at(1)).await.unwrap().repeated, 1, "it is still known");
    is_unreadable(store.fact("servers", "a").await, "fact servers a");
    assert_eq!(store.facts("servers").await.unwrap(), [("b".to_owned(), json!(2), at(0))]);
}

#[tokio::test]
async fn work_from_a_newer_version_waits_for_it() {
    let (_folder, file) = place();
    let store = SqliteStore::open(&file).unwrap();
    let pass = |name: &str, due| NewJob { work: Work::Pass { incident: IncidentId(name.to_owned()) }, due: at(due) };
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    store.enqueue(&pass("b", 5), at(0)).await.unwrap();
    let beside = Connection::open(&file).unwrap();
    let readable: String = beside.query_row("SELECT work FROM job WHERE id = 1", [], |row| row.get(0)).unwrap();
    beside.execute("UPDATE job SET work = '{\"job\":\"from_the_future\"}' WHERE id = 1", []).unwrap();

    assert_eq!(store.lease(at(9), LEASE).await.unwrap().unwrap().work, pass("b", 0).work);
    assert_eq!(store.lease(at(9), LEASE).await.unwrap(), None);
    assert!(store.next_due().await.unwrap() > Some(at(9)), "it must not be looked at again and again");
    let poison = store.poison().await.unwrap();
    assert!(poison.len() == 1 && poison[0].0 == "pass:a" && poison[0].1.contains("cannot be read"), "{poison:?}");
    drop(store);

    beside.execute("UPDATE job SET work = ?1 WHERE id = 1", [readable]).unwrap();
    let newer = SqliteStore::open(&file).unwrap();
    assert_eq!(newer.lease(at(9), LEASE).await.unwrap().unwrap().work, pass("a", 0).work);
    assert_eq!(newer.poison().await.unwrap(), []);
}

#[tokio::test]
async fn torn_pages_are_told_and_not_made_worse() {
    let (_folder, file) = place();
    let store = SqliteStore::open(&file).unwrap();
    let signals: Vec<_> = (0..500).map(|n| loss("sql", &format!("e{n}"))).collect();
    store.accept(&signals, at(0)).await.unwrap();
    drop(store);
    let length = std::fs::metadata(&file).unwrap().len();
    let mut raw = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    raw.seek(SeekFrom::Start(4096 * 4)).unwrap();
    raw.write_all(&vec![0xA5; usize::try_from(length - 4096 * 4).unwrap()]).unwrap();
    drop(raw);

    let told = match SqliteStore::open(&file) {
        Err(error) => error,
        Ok(store) => store.accept(&[loss("sql", "new")], at(1)).await.expect_err("torn pages were written over"),
    };
    assert!(matches!(told, StoreError::Unreadable { .. }), "{told:?}");
    assert!(told.to_string().contains("damaged"), "{told}");
}
