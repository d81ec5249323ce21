//! Several processes on the same few records, for as long as it takes to meet at every turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use jiff::SignedDuration;
use keymend::store::{NewJob, Store, StoreError, Work};

use crate::azurite::Azurite;
use crate::kit::{LEASE, at, drain, incident, open, pass, place};

/// How often each job was asked for, and how many of those askings the runs that ended had seen when they began.
#[derive(Debug, Default)]
struct Counted {
    asked: BTreeMap<String, u32>,
    served: BTreeMap<String, u32>,
}

/// Does one job, if there is one.
async fn work_once(store: &dyn Store, counted: &Mutex<Counted>) -> bool {
    let Some(job) = store.lease(at(0), LEASE).await.unwrap() else { return false };
    let key = job.work.key();
    let seen = counted.lock().unwrap().asked[&key];
    tokio::task::yield_now().await;
    store.complete(&job, at(0)).await.unwrap();
    let mut counted = counted.lock().unwrap();
    let served = counted.served.entry(key).or_default();
    *served = seen.max(*served);
    true
}

/// Whoever asks for a job has it done by a run that began afterwards, however askings and runs meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_asking_is_lost_between_those_who_ask_and_those_who_work() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let stores = [Arc::new(open(&place).await), Arc::new(open(&place).await)];
    let jobs: Vec<NewJob> = ["a", "b", "c"].map(|name| pass(&incident(name, "kv"))).to_vec();
    let counted: Arc<Mutex<Counted>> = Arc::default();
    let mut tasks = Vec::new();
    for n in 0..6 {
        let (store, jobs, counted) = (stores[n % 2].clone(), jobs.clone(), counted.clone());
        tasks.push(tokio::spawn(async move {
            for turn in 0..25 {
                let job = &jobs[(turn + n) % jobs.len()];
                *counted.lock().unwrap().asked.entry(job.work.key()).or_default() += 1;
                store.enqueue(job, at(0)).await.unwrap();
            }
        }));
    }
    for n in 0..4 {
        let (store, counted) = (stores[n % 2].clone(), counted.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..40 {
                if !work_once(&*store, &counted).await {
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for task in join_all(tasks).await {
        task.unwrap();
    }
    while work_once(&*stores[0], &counted).await {}
    let counted = counted.lock().unwrap();
    assert_eq!(counted.asked.values().sum::<u32>(), 150);
    assert_eq!(counted.served, counted.asked, "the last asking of each was seen by a run that ended");
}

/// Each of many saves counts: whoever is refused reads again and adds his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_save_is_lost_between_processes() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let stores = [Arc::new(open(&place).await), Arc::new(open(&place).await)];
    let first = incident("a", "kv");
    stores[0].save(&first, None, &[], &[], at(0)).await.unwrap();
    let savers = (0..6).map(|n: usize| {
        let (store, id) = (stores[n % 2].clone(), first.id.clone());
        tokio::spawn(async move {
            for turn in 0..5 {
                let tell = Work::Tell { incident: id.clone(), notice: format!("{n}-{turn}"), channel: "c".to_owned() };
                loop {
                    let (mut incident, version) = store.incident(&id).await.unwrap().unwrap();
                    incident.window_minutes += 1;
                    let job = NewJob { work: tell.clone(), due: at(0) };
                    match store.save(&incident, Some(version), &[job], &[], at(1)).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    });
    let savers: Vec<_> = savers.collect();
    for saver in join_all(savers).await {
        saver.unwrap();
    }
    let (last, version) = stores[1].incident(&first.id).await.unwrap().unwrap();
    assert_eq!((last.window_minutes, version.0), (30 + 30, 31));
    assert_eq!(drain(&*stores[1], 0).await.len(), 30, "each with its job");
    assert_eq!(stores[0].sweep(at(0) + SignedDuration::from_hours(9)).await.unwrap().completed, 0);
}
