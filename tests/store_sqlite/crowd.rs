//! Alerts that come in a crowd.

use jiff::{SignedDuration, Timestamp};
use keymend::store::{GATHERED_FOR, LeasedJob, SqliteStore, Store};

use crate::{at, loss};

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn millis(millis: i64) -> Timestamp {
    at(0) + SignedDuration::from_millis(millis)
}

async fn due(store: &SqliteStore, now: Timestamp) -> Option<LeasedJob> {
    store.lease(now, LEASE).await.unwrap()
}

#[tokio::test]
async fn the_first_is_looked_at_at_once_and_those_that_follow_together_soon_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    store.accept(&[loss("sql", "first")], millis(0)).await.unwrap();
    let first = due(&store, millis(0)).await.expect("nobody waits for the first");
    let gathered = i64::try_from(GATHERED_FOR.as_millis()).unwrap();
    for number in 1..gathered / 2 {
        store.accept(&[loss("sql", &number.to_string())], millis(number)).await.unwrap();
    }
    store.complete(&first, millis(gathered / 2)).await.unwrap();
    store.accept(&[loss("sql", "after the first look")], millis(gathered - 1)).await.unwrap();
    assert_eq!(due(&store, millis(gathered)).await, None, "they are gathered");
    let second = due(&store, millis(gathered + 1)).await.expect("that long after the second alert came");
    store.complete(&second, millis(gathered + 10)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None, "one look for all of them");
    store.accept(&[loss("sql", "much later")], millis(2 * gathered)).await.unwrap();
    assert!(due(&store, millis(2 * gathered)).await.is_some(), "it is the first again");
}

#[tokio::test]
async fn a_look_that_was_put_off_is_brought_forward_by_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    store.accept(&[loss("sql", "first")], at(0)).await.unwrap();
    let look = due(&store, at(0)).await.unwrap();
    store.retry(&look, at(600), "Azure did not answer").await.unwrap();
    assert_eq!(due(&store, at(1)).await, None);
    store.accept(&[loss("sql", "second")], at(1)).await.unwrap();
    assert!(due(&store, at(2)).await.is_some());
}

#[tokio::test]
async fn what_another_process_took_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    let (one, other) = (open(), open());
    let new = async |store: &SqliteStore, event| store.accept(&[loss("sql", event)], at(0)).await.unwrap().new;
    assert_eq!((new(&one, "a").await, new(&other, "b").await, new(&one, "c").await), (1, 1, 1));
    for event in ["a", "b", "c"] {
        assert_eq!((new(&one, event).await, new(&other, event).await), (0, 0), "{event}");
    }
    assert_eq!(new(&open(), "a").await, 0, "a process that begins later");
}
