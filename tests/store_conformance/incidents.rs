//! Saving, finding and listing incidents.

use keymend::store::{Pruned, SignalRef, StoreError, Version};

use crate::kit::{Place, at, days, drain, ended, incident, incident_id, key, loss, pass, server};

pub async fn a_saved_incident_is_found_by_id_and_key(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.incident(&incident_id("a")).await.unwrap(), None);
    assert_eq!(store.open_incident(&key("kv")).await.unwrap(), None);
    let open = incident("a", "kv", 0);
    let first = store.save(&open, None, &[], &[], at(0)).await.unwrap();
    assert_eq!(store.incident(&open.id).await.unwrap(), Some((open.clone(), first)));
    assert_eq!(store.open_incident(&open.key).await.unwrap(), Some((open.clone(), first)));

    let closed = ended(open.clone(), 60);
    let second = store.save(&closed, Some(first), &[], &[], at(60)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(store.incident(&open.id).await.unwrap(), Some((closed, second)));
    assert_eq!(store.open_incident(&open.key).await.unwrap(), None, "it has ended");
}

pub async fn a_save_over_another_version_is_refused(place: &dyn Place) {
    let store = place.open().await;
    let mut open = incident("a", "kv", 0);
    let first = store.save(&open, None, &[], &[], at(0)).await.unwrap();
    open.window_minutes = 480;
    let second = store.save(&open, Some(first), &[], &[], at(1)).await.unwrap();
    let mut late = open.clone();
    late.window_minutes = 1;
    for stale in [Some(first), None, Some(Version(second.0 + 1)), Some(Version(0)), Some(Version(-1))] {
        assert_eq!(store.save(&late, stale, &[], &[], at(2)).await, Err(StoreError::Conflict), "{stale:?}");
    }
    let never_made = incident("b", "other", 0);
    assert_eq!(store.save(&never_made, Some(first), &[], &[], at(2)).await, Err(StoreError::Conflict));
    assert_eq!(store.incident(&open.id).await.unwrap(), Some((open, second)));
    assert_eq!(store.incident(&never_made.id).await.unwrap(), None);
}

pub async fn there_is_one_open_incident_of_a_key(place: &dyn Place) {
    let store = place.open().await;
    let first = incident("a", "kv", 0);
    let version = store.save(&first, None, &[], &[], at(0)).await.unwrap();
    let second = incident("b", "kv", 5);
    assert_eq!(store.save(&second, None, &[], &[], at(5)).await, Err(StoreError::Conflict));

    store.save(&ended(first.clone(), 9), Some(version), &[], &[], at(9)).await.unwrap();
    store.save(&second, None, &[], &[], at(10)).await.unwrap();
    assert_eq!(store.open_incident(&key("kv")).await.unwrap().unwrap().0, second);

    let (_, version) = store.incident(&first.id).await.unwrap().unwrap();
    let reopened = store.save(&first, Some(version), &[], &[], at(11)).await;
    assert_eq!(reopened, Err(StoreError::Conflict), "reopening would make a second open one");

    let mut by_server = incident("c", "sql", 12);
    let version = store.save(&by_server, None, &[], &[], at(12)).await.unwrap();
    by_server.key = key("kv");
    let merged = store.save(&by_server, Some(version), &[], &[], at(13)).await;
    assert_eq!(merged, Err(StoreError::Conflict), "a change of key may not make a second open one either");
}

pub async fn the_list_is_newest_first_and_bounded(place: &dyn Place) {
    let store = place.open().await;
    for (name, opened, over) in [("b", 20, false), ("a", 10, false), ("d", 40, true), ("c", 30, true)] {
        let open = incident(name, name, opened);
        let saved = if over { ended(open, opened + 5) } else { open };
        store.save(&saved, None, &[], &[], at(opened)).await.unwrap();
    }
    for (open_only, limit, expected) in [
        (false, 9, "dcba"),
        (false, 3, "dcb"),
        (true, 9, "ba"),
        (true, 1, "b"),
        (false, 0, ""),
        (true, usize::MAX, "ba"),
    ] {
        let listed = store.incidents(open_only, limit).await.unwrap();
        let names: String = listed.iter().map(|incident| incident.id.0.chars().last().unwrap()).collect();
        assert_eq!(names, expected, "open_only {open_only}, limit {limit}");
    }
}

pub async fn a_refused_save_stores_nothing_of_itself(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1")], at(0)).await.unwrap();
    drain(&*store, 0).await;
    let untaken = store.untaken_signals(&server("sql")).await.unwrap();
    store.save(&incident("a", "kv", 0), None, &[], &[], at(0)).await.unwrap();

    let refused = store.save(&incident("b", "kv", 1), None, &[pass("b", 1)], &[untaken[0].0.clone()], at(1)).await;
    assert_eq!(refused, Err(StoreError::Conflict));
    assert_eq!(store.next_due().await.unwrap(), None, "its job was not stored");
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap(), untaken, "its signal was not taken");
}

pub async fn a_save_stores_its_jobs_and_takes_its_signals(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1"), loss("sql", "web", "e2")], at(0)).await.unwrap();
    drain(&*store, 0).await;
    let untaken = store.untaken_signals(&server("sql")).await.unwrap();
    let open = incident("a", "kv", 0);
    store.save(&open, None, &[pass("a", 5), pass("b", 6), pass("a", 7)], &[untaken[0].0.clone()], at(1)).await.unwrap();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap(), [untaken[1].clone()]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
    assert_eq!(drain(&*store, 6).await, [pass("a", 0).work.key(), pass("b", 0).work.key()]);
}

pub async fn a_taken_signal_stays_where_it_is(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1")], at(0)).await.unwrap();
    let id = store.untaken_signals(&server("sql")).await.unwrap()[0].0.clone();
    store.save(&incident("a", "kv", 0), None, &[], std::slice::from_ref(&id), at(1)).await.unwrap();
    store
        .save(&incident("b", "kv2", 0), None, &[], &[id.clone(), SignalRef("unheard-of".to_owned())], at(2))
        .await
        .unwrap();
    store.dismiss(&[id], at(3)).await.unwrap();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap(), []);
}

pub async fn what_ended_long_ago_is_removed(place: &dyn Place) {
    let store = place.open().await;
    let long_ago = incident("a", "kv", 0);
    let version = store.save(&long_ago, None, &[], &[], at(0)).await.unwrap();
    store.save(&ended(long_ago.clone(), 60), Some(version), &[], &[], at(60)).await.unwrap();
    let open = incident("b", "kv", 120);
    store.save(&open, None, &[], &[], at(120)).await.unwrap();
    let now = at(0) + days(40);
    assert_eq!(store.prune(None, now).await.unwrap(), Pruned::default(), "nobody said for how long");
    assert_eq!(store.prune(Some(at(60)), now).await.unwrap(), Pruned::default(), "it ended at that very moment");
    assert_eq!(store.prune(Some(at(61)), now).await.unwrap().incidents, 1);
    assert_eq!(store.incident(&long_ago.id).await.unwrap(), None);
    assert_eq!(store.incident(&open.id).await.unwrap().unwrap().0, open, "an open incident stays, however old");
    assert_eq!(store.open_incident(&key("kv")).await.unwrap().unwrap().0, open);
}
