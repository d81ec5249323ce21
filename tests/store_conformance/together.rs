//! Several handles on the same data at once, as several processes have.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use keymend::domain::signal::Signal;
use keymend::store::{Store, StoreError};
use serde_json::json;

use crate::kit::{LEASE, Place, at, incident, incident_id, key, loss, pass, server};

async fn handles(place: &dyn Place, count: usize) -> Vec<Arc<dyn Store>> {
    join_all((0..count).map(|_| place.open())).await
}

pub async fn one_job_goes_to_one_holder(place: &dyn Place) {
    let stores = handles(place, 3).await;
    for n in 0..20 {
        stores[0].enqueue(&pass(&format!("i{n}"), 0), at(0)).await.unwrap();
    }
    let workers = stores.iter().cycle().take(9).map(|store| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Some(job) = store.lease(at(0), LEASE).await.unwrap() {
                taken.push(job.work.key());
            }
            taken
        })
    });
    let taken: Vec<String> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 20);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 20, "no job went to two holders");
}

pub async fn of_two_saves_from_one_version_one_wins(place: &dyn Place) {
    let stores = handles(place, 2).await;
    let open = incident("a", "kv", 0);
    let mut version = stores[0].save(&open, None, &[], &[], at(0)).await.unwrap();
    for round in 1..20 {
        let saves = stores.iter().zip([1000, 2000]).map(|(store, base)| {
            let (store, mut mine) = (Arc::clone(store), open.clone());
            mine.window_minutes = base + round;
            tokio::spawn(async move { (store.save(&mine, Some(version), &[], &[], at(1)).await, mine) })
        });
        let mut answers: Vec<_> = join_all(saves).await.into_iter().map(Result::unwrap).collect();
        answers.sort_by_key(|(answer, _)| answer.is_err());
        let winner = answers.remove(0);
        assert_eq!(answers.remove(0).0, Err(StoreError::Conflict));
        version = winner.0.unwrap();
        for store in &stores {
            assert_eq!(store.incident(&open.id).await.unwrap(), Some((winner.1.clone(), version)));
        }
    }
}

pub async fn one_event_offered_by_many_is_accepted_once(place: &dyn Place) {
    let stores = handles(place, 2).await;
    let signals: Vec<Signal> = (0..30).map(|n| loss("sql", &format!("d{n}"), &format!("e{n}"))).collect();
    let offers = signals.iter().flat_map(|signal| stores.iter().chain(&stores).map(move |store| (store, signal)));
    let offers = offers.map(|(store, signal)| {
        let (store, signal) = (Arc::clone(store), signal.clone());
        tokio::spawn(async move { store.accept(&[signal], at(0)).await.unwrap() })
    });
    let answers: Vec<_> = join_all(offers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(|answer| answer.new).sum::<usize>(), 30);
    assert_eq!(answers.iter().map(|answer| answer.repeated).sum::<usize>(), 90);
    assert_eq!(stores[1].untaken_signals(&server("sql")).await.unwrap().len(), 30);
}

pub async fn of_many_new_incidents_of_a_key_one_is_made(place: &dyn Place) {
    let stores = handles(place, 2).await;
    let saves = (0..12).map(|n| {
        let store = Arc::clone(&stores[n % 2]);
        tokio::spawn(async move { store.save(&incident(&format!("i{n}"), "kv", 0), None, &[], &[], at(0)).await })
    });
    let answers: Vec<_> = join_all(saves).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(StoreError::Conflict)).count(), 11);
    assert_eq!(stores[1].incidents(false, 100).await.unwrap().len(), 1);
}

pub async fn everything_answered_is_there_after_reopening(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1")], at(0)).await.unwrap();
    let version = store.save(&incident("a", "kv", 0), None, &[pass("a", 50)], &[], at(0)).await.unwrap();
    store.keep_fact("servers", "kv", &json!(["sql"]), at(0)).await.unwrap();
    let held = store.lease(at(0), LEASE).await.unwrap().unwrap();
    drop(store);

    let store = place.open().await;
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 1);
    assert_eq!(store.incident(&incident_id("a")).await.unwrap().unwrap().1, version);
    assert_eq!(store.open_incident(&key("kv")).await.unwrap().unwrap().1, version);
    assert_eq!(store.fact("servers", "kv").await.unwrap(), Some((json!(["sql"]), at(0))));
    assert_eq!(store.lease(at(1), LEASE).await.unwrap(), None, "the lease outlives its holder's process");
    store.complete(&held, at(2)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(50)));
}
