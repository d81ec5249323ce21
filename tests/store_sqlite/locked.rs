//! Another program that holds the file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use keymend::store::{SqliteStore, Store, StoreError};
use rusqlite::Connection;

use crate::{at, loss, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_told_to_all_soon_and_used_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let store = Arc::new(SqliteStore::open(&file).unwrap());
    store.accept(&[loss("sql", "before")], at(0)).await.unwrap();

    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let offers = (0..50).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.accept(&[loss("sql", &format!("during-{n}"))], at(1)).await })
    });
    for answer in join_all(offers).await {
        match answer.unwrap() {
            Err(StoreError::Unavailable(why)) => {
                assert!(why.contains("keymend.db") && why.contains("locked"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let read = Instant::now();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 1, "reading goes on");
    assert!(read.elapsed() < Duration::from_secs(1));

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.accept(&[loss("sql", "during-7")], at(2)).await.unwrap().new, 1, "it was not stored by half");
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_short_lock_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let store = SqliteStore::open(&file).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        other.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(store.accept(&[loss("sql", "e1")], at(0)).await.unwrap().new, 1);
    release.join().unwrap();
}
