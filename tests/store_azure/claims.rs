//! Two processes make the open incident of a key at once, and one of them stands still at any of its requests while the
//! other goes through. There is one incident in the end, and whoever was refused is told so.

use keymend::store::{Store, StoreError};

use crate::azurite::Azurite;
use crate::kit::{at, drain, incident, key, open, pass, place, through};
use crate::proxy::{Proxy, Stop};

const MOST_REQUESTS: usize = 40;

/// What the slow one does, and what the fast one does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    Opens,
    ChangesItsKey,
    Reopens,
}

async fn stands_still_at(azurite: &Azurite, proxy: &Proxy, slow: Slow, nth: usize, stop: Stop) -> bool {
    let way = format!("{slow:?}, standing still at {nth} {stop:?}");
    let place = place(azurite);
    let slow_store = open(&through(&place, &proxy.connection_string())).await;
    let mut mine = incident("slow", "kv");
    let version = match slow {
        Slow::Opens => None,
        Slow::ChangesItsKey => {
            let mut before = mine.clone();
            before.key = key("not-known-yet");
            Some(slow_store.save(&before, None, &[], &[], at(0)).await.unwrap())
        }
        Slow::Reopens => {
            let first = slow_store.save(&mine, None, &[], &[], at(0)).await.unwrap();
            let mut over = mine.clone();
            over.ended_at = Some(at(1));
            Some(slow_store.save(&over, Some(first), &[], &[], at(1)).await.unwrap())
        }
    };
    mine.window_minutes = 77;
    proxy.stop_at(nth, stop);
    let saving = {
        let mine = mine.clone();
        tokio::spawn(async move { slow_store.save(&mine, version, &[pass(&mine)], &[], at(2)).await })
    };
    let mut saving = saving;
    let stopped = tokio::select! {
        () = proxy.reached() => true,
        _ = &mut saving => false,
    };
    if !stopped {
        proxy.let_go();
        return false;
    }

    let store = open(&place).await;
    let theirs = incident("fast", "kv");
    let fast = store.save(&theirs, None, &[pass(&theirs)], &[], at(3)).await;
    let seen_meanwhile = store.open_incident(&theirs.key).await.unwrap().map(|(incident, _)| incident.id);
    proxy.let_go();
    let slow_answer = saving.await.unwrap();

    let winner = if fast.is_ok() { &theirs } else { &mine };
    assert_eq!(fast.is_ok(), slow_answer == Err(StoreError::Conflict), "{way}: {fast:?} {slow_answer:?}");
    assert_eq!(seen_meanwhile.as_ref(), Some(&winner.id), "{way}");
    let open_ones: Vec<_> =
        store.incidents(true, 9).await.unwrap().into_iter().filter(|incident| incident.key == theirs.key).collect();
    assert_eq!(open_ones, std::slice::from_ref(winner), "{way}");
    let (found, version) = store.open_incident(&theirs.key).await.unwrap().unwrap();
    assert_eq!(found, *winner, "{way}");
    store.save(&found, Some(version), &[], &[], at(4)).await.unwrap();
    if winner.id != mine.id {
        let undone = store.incident(&mine.id).await.unwrap();
        let as_before = undone.is_none_or(|(before, _)| before.window_minutes == 30);
        assert!(as_before, "{way}: what was refused is still there");
    }
    store.sweep(at(9000)).await.unwrap();
    assert_eq!(drain(&store, 9000).await, [pass(winner).work.key()], "{way}");
    true
}

async fn stands_still_everywhere(slow: Slow) {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    for stop in [Stop::Before, Stop::After] {
        let mut nth = 1;
        while stands_still_at(azurite, &proxy, slow, nth, stop).await {
            nth += 1;
            assert!(nth < MOST_REQUESTS, "the call never came to its end");
        }
        assert!(nth > 6, "{nth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_open_an_incident_of_one_key() {
    stands_still_everywhere(Slow::Opens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_opens_an_incident_of_the_key_that_another_is_to_get() {
    stands_still_everywhere(Slow::ChangesItsKey).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_opens_an_incident_while_another_is_opened_again() {
    stands_still_everywhere(Slow::Reopens).await;
}
