//! One process at a time works on the jobs of a store, and takes up at once what the one before it left.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use keymend::domain::resource_id::ResourceId;
use keymend::store::{NewJob, SqliteStore, Store, StoreError, Work};

use crate::{at, child, server};

const LONG: SignedDuration = SignedDuration::from_hours(1);

fn job(name: &str) -> NewJob {
    NewJob { work: Work::Locate { target: server(name) }, due: at(0) }
}

fn target(work: &Work) -> &ResourceId {
    let Work::Locate { target } = work else { panic!("{work:?}") };
    target
}

#[tokio::test]
async fn what_a_killed_process_was_at_is_taken_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    SqliteStore::open(&file).unwrap().enqueue(&job("sql"), at(0)).await.unwrap();

    let mut child = child::command("hold", &file, None).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_deref().is_ok_and(|line| line == "holds")).expect("the child holds the job").unwrap();

    let beside = SqliteStore::open(&file).unwrap();
    assert_eq!(beside.lease(at(10), LONG).await.unwrap(), None, "whoever opens it beside a worker takes nothing away");
    let began = Instant::now();
    let refused = SqliteStore::open_to_work(&file, at(10), Duration::from_millis(300));
    let Err(StoreError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("another keymend") && why.contains("keymend.db"), "{why}");
    assert!(began.elapsed() >= Duration::from_millis(250), "one that is about to end is waited for");
    assert_eq!(beside.lease(at(10), LONG).await.unwrap(), None, "nor does one that was refused");

    child.kill().unwrap();
    child.wait().unwrap();
    let next = SqliteStore::open_to_work(&file, at(10), Duration::ZERO).unwrap();
    let taken = next.lease(at(10), LONG).await.unwrap().expect("the lease ended with the process that held it");
    assert_eq!((target(&taken.work), taken.attempts), (&server("sql"), 1));
    next.complete(&taken, at(11)).await.unwrap();
    assert_eq!(next.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn the_claim_goes_with_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let first = SqliteStore::open_to_work(&file, at(0), Duration::ZERO).unwrap();
    assert!(SqliteStore::open_to_work(&file, at(0), Duration::ZERO).is_err(), "also within one process");
    let leaving = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(first);
    });
    SqliteStore::open_to_work(&file, at(0), Duration::from_secs(30)).unwrap();
    leaving.join().unwrap();
}

#[tokio::test]
async fn what_waits_or_was_set_aside_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let store = SqliteStore::open(&file).unwrap();
    store.enqueue(&job("poison"), at(0)).await.unwrap();
    for _ in 0..keymend::store::POISON_AFTER {
        let leased = store.lease(at(0), LONG).await.unwrap().unwrap();
        store.retry(&leased, at(0), "it does not work").await.unwrap();
    }
    store.enqueue(&NewJob { due: at(500), ..job("later") }, at(0)).await.unwrap();
    store.enqueue(&job("held"), at(0)).await.unwrap();
    store.lease(at(0), LONG).await.unwrap().unwrap();
    drop(store);

    let next = SqliteStore::open_to_work(&file, at(100), Duration::ZERO).unwrap();
    assert_eq!(next.poison().await.unwrap().len(), 1);
    let taken = next.lease(at(100), LONG).await.unwrap().unwrap();
    assert_eq!(target(&taken.work), &server("held"));
    assert_eq!(next.lease(at(100), LONG).await.unwrap(), None);
    next.complete(&taken, at(100)).await.unwrap();
    assert_eq!(next.next_due().await.unwrap(), Some(at(500)));
}
