//! A process is killed at any of the requests that a call sends, before Azurite has it or after. What comes next (the
//! sender tries again, the job is done again, the sweep passes by) must find nothing lost and nothing done by halves.

use keymend::domain::incident::Incident;
use keymend::store::{AzureStorageSettings, SignalRef, Store, StoreError, Version};

use crate::azurite::Azurite;
use crate::kit::{at, drain, incident, key, loss, open, pass, place, server, through, untaken};
use crate::proxy::{Proxy, Stop};

/// More requests than any of these calls sends.
const MOST_REQUESTS: usize = 80;

/// Calls `scene` with every way to be killed, until a call ends before it is. Answers how many ways there were.
async fn killed_everywhere(scene: impl AsyncFn(usize, Stop) -> bool) -> usize {
    let mut ways = 0;
    for stop in [Stop::Before, Stop::After] {
        let mut ended = false;
        for nth in 1..=MOST_REQUESTS {
            if !scene(nth, stop).await {
                ended = true;
                break;
            }
            ways += 1;
        }
        assert!(ended, "the call never came to its end");
    }
    ways
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_was_being_accepted_is_accepted_when_it_comes_again() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    let signals = [loss("a", "one"), loss("a", "two"), loss("b", "three")];
    let ways = killed_everywhere(async |nth, stop| {
        let place = place(azurite);
        let doomed = open(&through(&place, &proxy.connection_string())).await;
        proxy.stop_at(nth, stop);
        let killed = proxy.until_killed(doomed.accept(&signals, at(0))).await.is_none();

        let store = open(&place).await;
        let accepted = store.accept(&signals, at(5)).await.unwrap();
        assert_eq!(accepted.new + accepted.repeated, 3);
        assert_eq!(untaken(&store, "a").await, ["one", "two"], "killed at {nth} {stop:?}");
        assert_eq!(untaken(&store, "b").await, ["three"], "killed at {nth} {stop:?}");
        let jobs = [format!("locate:{}", server("a").key()), format!("locate:{}", server("b").key())];
        assert_eq!(drain(&store, 5).await, jobs, "killed at {nth} {stop:?}");
        assert_eq!(store.accept(&signals, at(9)).await.unwrap().new, 0);
        killed
    })
    .await;
    assert!(ways >= 20, "{ways}");
}

/// A place where two signals of a server wait, and nothing else.
async fn with_signals(azurite: &Azurite) -> (AzureStorageSettings, Vec<SignalRef>) {
    let place = place(azurite);
    let store = open(&place).await;
    store.accept(&[loss("a", "one"), loss("a", "two")], at(0)).await.unwrap();
    drain(&store, 0).await;
    let taken = store.untaken_signals(&server("a")).await.unwrap().into_iter().map(|(signal, _)| signal).collect();
    (place, taken)
}

/// There is one open incident of the vault, wherever one looks, and it is `expected`.
async fn is_the_only_one(store: &dyn Store, expected: &Incident, way: &str) {
    let listed = store.incidents(true, 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(expected), "{way}");
    let (found, _) = store.open_incident(&expected.key).await.unwrap().unwrap_or_else(|| panic!("lost: {way}"));
    assert_eq!(found, *expected, "{way}");
}

/// Whoever reads beside a save that is still at its work leaves it that work: jobs are not stored twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_others_see_at_its_work_does_it_once() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    for nth in 1..MOST_REQUESTS {
        let (place, taken) = with_signals(azurite).await;
        let saver = open(&through(&place, &proxy.connection_string())).await;
        let opened = incident("first", "kv");
        proxy.stop_at(nth, Stop::Before);
        let mut saving = {
            let opened = opened.clone();
            tokio::spawn(async move { saver.save(&opened, None, &[pass(&opened)], &taken, at(0)).await })
        };
        let ended = tokio::select! {
            () = proxy.reached() => false,
            _ = &mut saving => true,
        };
        if ended {
            assert!(nth > 15, "{nth}");
            return;
        }
        let store = open(&place).await;
        store.open_incident(&opened.key).await.unwrap();
        let listed = store.incidents(true, 9).await.unwrap().len();
        let is_there = store.incident(&opened.id).await.unwrap().is_some();
        assert_eq!(listed, usize::from(is_there), "at {nth}");
        assert_eq!(untaken(&store, "a").await.len(), if is_there { 0 } else { 2 }, "at {nth}");
        let mut ran = drain(&store, 5).await;
        proxy.let_go();
        saving.await.unwrap().unwrap();
        ran.extend(drain(&store, 9).await);
        assert_eq!(ran, [pass(&opened).work.key()], "at {nth}");
        assert_eq!(store.sweep(at(9000)).await.unwrap().completed, 0, "at {nth}");
    }
    panic!("the save never came to its end");
}

/// What the next process does about those signals: takes the incident that is there, or opens one.
async fn locate_again(store: &dyn Store) -> Incident {
    let left = store.untaken_signals(&server("a")).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|(signal, _)| signal).collect();
    if let Some((found, version)) = store.open_incident(&key("kv")).await.unwrap() {
        if !left.is_empty() {
            store.save(&found, Some(version), &[pass(&found)], &left, at(10)).await.unwrap();
        }
        return found;
    }
    assert_eq!(left.len(), 2, "signals were taken by an incident that is not there");
    let anew = incident("anew", "kv");
    store.save(&anew, None, &[pass(&anew)], &left, at(10)).await.unwrap();
    anew
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_that_was_being_opened_is_there_once() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    for swept_first in [false, true] {
        let ways = killed_everywhere(async |nth, stop| {
            let way = format!("killed at {nth} {stop:?}, swept first: {swept_first}");
            let (place, taken) = with_signals(azurite).await;
            let doomed = open(&through(&place, &proxy.connection_string())).await;
            let first = incident("first", "kv");
            proxy.stop_at(nth, stop);
            let jobs = [pass(&first)];
            let killed = proxy.until_killed(doomed.save(&first, None, &jobs, &taken, at(0))).await.is_none();

            let store = open(&place).await;
            if swept_first {
                store.sweep(at(120)).await.unwrap();
            }
            let only = locate_again(&store).await;
            is_the_only_one(&store, &only, &way).await;
            assert_eq!(untaken(&store, "a").await, <[&str; 0]>::default(), "{way}");
            store.sweep(at(150)).await.unwrap();
            assert_eq!(drain(&store, 200).await, [pass(&only).work.key()], "{way}");
            let second = incident("second", "kv");
            assert_eq!(store.save(&second, None, &[], &[], at(210)).await, Err(StoreError::Conflict), "{way}");
            store.sweep(at(9000)).await.unwrap();
            assert_eq!(store.sweep(at(9001)).await.unwrap().completed, 0, "{way}");
            killed
        })
        .await;
        assert!(ways >= 20, "{ways}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_happens_wholly_or_not_at_all() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    let ways = killed_everywhere(async |nth, stop| {
        let way = format!("killed at {nth} {stop:?}");
        let (place, taken) = with_signals(azurite).await;
        let doomed = open(&through(&place, &proxy.connection_string())).await;
        let before = incident("first", "kv");
        let version = doomed.save(&before, None, &[], &[], at(0)).await.unwrap();
        let mut after = before.clone();
        after.window_minutes = 480;
        proxy.stop_at(nth, stop);
        let jobs = [pass(&after)];
        let killed = proxy.until_killed(doomed.save(&after, Some(version), &jobs, &taken, at(1))).await.is_none();

        // Nobody reads the incident: the sweep alone must complete it.
        let store = open(&place).await;
        store.sweep(at(120)).await.unwrap();
        let (found, version) = store.incident(&before.id).await.unwrap().unwrap();
        let (waiting, jobs) = (untaken(&store, "a").await, drain(&store, 200).await);
        if version == Version(2) {
            assert_eq!((&found, waiting.len()), (&after, 0), "{way}");
            assert_eq!(jobs, [pass(&after).work.key()], "{way}");
        } else {
            assert!(killed, "{way}");
            assert_eq!((&found, waiting.len(), jobs.len()), (&before, 2, 0), "{way}");
        }
        store.save(&found, Some(version), &[], &[], at(210)).await.unwrap();
        is_the_only_one(&store, &found, &way).await;
        killed
    })
    .await;
    assert!(ways >= 16, "{ways}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_has_one_key_whenever_it_changes_it() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    killed_everywhere(async |nth, stop| {
        let way = format!("killed at {nth} {stop:?}");
        let place = place(azurite);
        let doomed = open(&through(&place, &proxy.connection_string())).await;
        let by_server = incident("first", "not-known-yet");
        let version = doomed.save(&by_server, None, &[], &[], at(0)).await.unwrap();
        let mut by_vault = by_server.clone();
        by_vault.key = key("kv");
        proxy.stop_at(nth, stop);
        let jobs = [pass(&by_vault)];
        let killed = proxy.until_killed(doomed.save(&by_vault, Some(version), &jobs, &[], at(1))).await.is_none();

        let store = open(&place).await;
        let (found, _) = store.incident(&by_server.id).await.unwrap().unwrap();
        is_the_only_one(&store, &found, &way).await;
        let other = if found.key == by_vault.key { &by_server.key } else { &by_vault.key };
        assert_eq!(store.open_incident(other).await.unwrap(), None, "{way}");
        let mut second = incident("second", "kv");
        second.key = found.key.clone();
        assert_eq!(store.save(&second, None, &[], &[], at(2)).await, Err(StoreError::Conflict), "{way}");
        second.key = other.clone();
        store.save(&second, None, &[], &[], at(2)).await.unwrap();
        assert_eq!(store.incidents(true, 9).await.unwrap().len(), 2, "{way}");
        killed
    })
    .await;
}
