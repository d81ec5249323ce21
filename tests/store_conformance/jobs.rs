//! The queue, one rule a check. [`crate::model`] tries them in all orders.

use jiff::SignedDuration;
use keymend::store::{Handout, NewJob, POISON_AFTER, Store, StoreError, Swept, Work};

use crate::kit::{LEASE, Place, at, drain, incident_id, lease, loss, nothing_due, pass, server};

/// When a lease taken at `now` ends, in seconds.
fn lease_end(now: i64) -> i64 {
    now + LEASE.as_secs()
}

pub async fn a_job_is_handed_out_when_it_is_due(place: &dyn Place) {
    let store = place.open().await;
    nothing_due(&*store, 100).await;
    store.enqueue(&pass("a", 10), at(0)).await.unwrap();
    nothing_due(&*store, 9).await;
    let job = lease(&*store, 10).await;
    assert_eq!(job.work, pass("a", 0).work);
    assert_eq!((job.attempts, job.leased_until), (0, at(lease_end(10))));
    store.complete(&job, at(11)).await.unwrap();
    nothing_due(&*store, 1_000_000).await;
}

pub async fn the_earliest_due_job_comes_first(place: &dyn Place) {
    let store = place.open().await;
    for (name, due) in [("b", 20), ("c", 30), ("a", 10)] {
        store.enqueue(&pass(name, due), at(0)).await.unwrap();
    }
    assert_eq!(drain(&*store, 25).await, [pass("a", 0).work.key(), pass("b", 0).work.key()]);
    assert_eq!(drain(&*store, 30).await, [pass("c", 0).work.key()]);
}

pub async fn enqueueing_again_only_moves_a_job_earlier(place: &dyn Place) {
    let store = place.open().await;
    for (due, expected) in [(20, 20), (30, 20), (10, 10), (15, 10)] {
        store.enqueue(&pass("a", due), at(0)).await.unwrap();
        assert_eq!(store.next_due().await.unwrap(), Some(at(expected)));
    }
    assert_eq!(drain(&*store, 100).await.len(), 1, "one key is one job");
}

pub async fn a_held_job_is_handed_out_again_only_after_its_lease(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    lease(&*store, 0).await;
    nothing_due(&*store, lease_end(0) - 1).await;
    let second = lease(&*store, lease_end(0)).await;
    assert_eq!((second.attempts, second.leased_until), (1, at(lease_end(lease_end(0)))));
}

pub async fn a_lease_that_was_taken_over_cannot_finish(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let first = lease(&*store, 0).await;
    let second = lease(&*store, lease_end(0)).await;
    assert_eq!(store.complete(&first, at(400)).await, Err(StoreError::Conflict));
    assert_eq!(store.retry(&first, at(400), "late").await, Err(StoreError::Conflict));
    nothing_due(&*store, 401).await;
    store.complete(&second, at(402)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);

    store.enqueue(&pass("a", 500), at(500)).await.unwrap();
    assert_eq!(store.complete(&first, at(500)).await, Err(StoreError::Conflict), "the key's next job is another job");
    assert_eq!(drain(&*store, 500).await.len(), 1);
}

pub async fn a_lease_that_ran_out_untaken_can_finish(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let job = lease(&*store, 0).await;
    store.complete(&job, at(lease_end(0) + 60)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}

pub async fn a_finished_job_cannot_be_finished_again(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let job = lease(&*store, 0).await;
    assert!(!store.retry(&job, at(5), "first").await.unwrap());
    assert_eq!(store.complete(&job, at(1)).await, Err(StoreError::Conflict), "it was given back");
    assert_eq!(store.retry(&job, at(9), "second").await, Err(StoreError::Conflict));
    assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
    let job = lease(&*store, 5).await;
    store.complete(&job, at(6)).await.unwrap();
    assert_eq!(store.complete(&job, at(6)).await, Err(StoreError::Conflict));
}

pub async fn a_job_enqueued_while_held_runs_once_more(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let job = lease(&*store, 0).await;
    for due in [50, 40, 60] {
        store.enqueue(&pass("a", due), at(1)).await.unwrap();
    }
    nothing_due(&*store, 60).await;
    store.complete(&job, at(2)).await.unwrap();
    nothing_due(&*store, 39).await;
    let again = lease(&*store, 40).await;
    assert_eq!((again.work.key(), again.attempts), (job.work.key(), 0));
    store.complete(&again, at(41)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None, "once more, not three times");

    store.enqueue(&pass("a", 100), at(100)).await.unwrap();
    let job = lease(&*store, 100).await;
    store.enqueue(&pass("a", 100), at(101)).await.unwrap();
    store.retry(&job, at(130), "it failed").await.unwrap();
    nothing_due(&*store, 129).await;
    let job = lease(&*store, 130).await;
    store.complete(&job, at(131)).await.unwrap();
    assert_eq!(drain(&*store, 132).await.len(), 1, "what was asked for while it failed is still owed");
}

pub async fn a_job_enqueued_after_its_lease_ended_is_not_lost(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let slow = lease(&*store, 0).await;
    let late = lease_end(0) + 60;
    store.enqueue(&pass("a", late), at(late)).await.unwrap();
    store.complete(&slow, at(late + 1)).await.unwrap();
    assert_eq!(drain(&*store, late + 2).await.len(), 1, "the slow holder began before it was asked for again");
}

pub async fn different_work_on_one_incident_runs_side_by_side(place: &dyn Place) {
    let store = place.open().await;
    let tell = |channel: &str| Work::Tell {
        incident: incident_id("a"),
        notice: "diagnosed".to_owned(),
        channel: channel.to_owned(),
    };
    for work in [pass("a", 0).work, tell("teams"), tell("webhook")] {
        store.enqueue(&NewJob { work, due: at(0) }, at(0)).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(lease(&*store, 0).await);
    }
    nothing_due(&*store, 0).await;
    for job in held {
        store.complete(&job, at(1)).await.unwrap();
    }
}

pub async fn a_failed_job_comes_back_when_it_is_said(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let job = lease(&*store, 0).await;
    assert!(!store.retry(&job, at(30), "ARM answered 503").await.unwrap());
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    nothing_due(&*store, 29).await;
    assert_eq!(lease(&*store, 30).await.attempts, 1);
    assert_eq!(store.poison().await.unwrap(), []);
}

/// Lets the only job fail until it is set aside; answers after how many attempts that was.
async fn fail_until_poison(store: &dyn Store, error: &str) -> u32 {
    for attempt in 1..=POISON_AFTER * 2 {
        let job = lease(store, 0).await;
        assert_eq!(job.attempts, attempt - 1);
        if store.retry(&job, at(0), error).await.unwrap() {
            return attempt;
        }
    }
    panic!("it was never set aside");
}

pub async fn the_tenth_failure_sets_a_job_aside(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    assert_eq!(fail_until_poison(&*store, "no such vault").await, POISON_AFTER);
    nothing_due(&*store, 1_000_000).await;
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(store.poison().await.unwrap(), [(pass("a", 0).work.key(), "no such vault".to_owned())]);
}

pub async fn a_job_that_never_finishes_is_set_aside(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    let mut now = 0;
    let mut last = lease(&*store, now).await;
    for _ in 1..POISON_AFTER {
        now = lease_end(now);
        last = lease(&*store, now).await;
    }
    now = lease_end(now);
    store.enqueue(&pass("b", now), at(now)).await.unwrap();
    assert_eq!(lease(&*store, now).await.work, pass("b", 0).work, "poison does not stand in the way of others");
    let poison = store.poison().await.unwrap();
    assert_eq!(poison.len(), 1);
    assert_eq!(poison[0].0, pass("a", 0).work.key());
    assert!(poison[0].1.contains("10 times"), "{}", poison[0].1);

    store.complete(&last, at(now)).await.unwrap();
    assert_eq!(store.poison().await.unwrap(), [], "its last holder was only slow");
}

pub async fn a_job_is_known_until_it_is_done(place: &dyn Place) {
    let store = place.open().await;
    let key = pass("a", 0).work.key();
    assert!(!store.knows_job(&key).await.unwrap());
    store.enqueue(&pass("a", 100), at(0)).await.unwrap();
    assert!(store.knows_job(&key).await.unwrap(), "it waits");
    assert!(!store.knows_job(&pass("b", 0).work.key()).await.unwrap());
    let job = lease(&*store, 100).await;
    assert!(store.knows_job(&key).await.unwrap(), "it is held");
    store.complete(&job, at(100)).await.unwrap();
    assert!(!store.knows_job(&key).await.unwrap(), "it is done");
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    fail_until_poison(&*store, "no such vault").await;
    assert!(store.knows_job(&key).await.unwrap(), "it was set aside");
}

pub async fn asking_again_forgets_failures(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..POISON_AFTER * 3 {
        store.enqueue(&pass("a", 0), at(0)).await.unwrap();
        let job = lease(&*store, 0).await;
        assert_eq!(job.attempts, 0);
        assert!(!store.retry(&job, at(60), "ARM is down").await.unwrap(), "a storm must not use the attempts up");
    }
    assert_eq!(store.next_due().await.unwrap(), Some(at(60)));
}

pub async fn asking_again_revives_what_was_set_aside(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    fail_until_poison(&*store, "no such vault").await;
    store.enqueue(&pass("a", 70), at(60)).await.unwrap();
    assert_eq!(store.poison().await.unwrap(), []);
    nothing_due(&*store, 69).await;
    let job = lease(&*store, 70).await;
    assert_eq!(job.attempts, 0);
    store.complete(&job, at(71)).await.unwrap();
}

pub async fn poison_can_be_retried_by_key(place: &dyn Place) {
    let store = place.open().await;
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    store.enqueue(&pass("b", 500), at(0)).await.unwrap();
    fail_until_poison(&*store, "no such vault").await;
    for not_poison in ["", pass("b", 0).work.key().as_str(), "pass:unheard-of"] {
        assert!(!store.poison_retry(not_poison, at(60)).await.unwrap(), "{not_poison:?}");
    }
    assert!(store.poison_retry(&pass("a", 0).work.key(), at(60)).await.unwrap());
    assert_eq!(store.poison().await.unwrap(), []);
    assert_eq!(store.next_due().await.unwrap(), Some(at(60)));
    assert_eq!(lease(&*store, 60).await.attempts, 0);
}

pub async fn next_due_is_the_next_time_to_look(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.next_due().await.unwrap(), None);
    store.enqueue(&pass("a", 10), at(0)).await.unwrap();
    store.enqueue(&pass("b", 1000), at(0)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    let job = store.lease(at(10), SignedDuration::from_secs(30)).await.unwrap().unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(40)), "a held one: when its lease ends");
    store.complete(&job, at(11)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(1000)));
}

pub async fn a_job_is_handed_out_by_its_key_when_it_is_due(place: &dyn Place) {
    let (store, beside) = (place.open().await, place.open().await);
    let key = pass("a", 0).work.key();
    assert_eq!(store.lease_by_key(&key, at(0), LEASE).await.unwrap(), Handout::Gone);
    store.enqueue(&pass("a", 10), at(0)).await.unwrap();
    store.enqueue(&pass("b", 0), at(0)).await.unwrap();
    assert_eq!(store.lease_by_key(&key, at(9), LEASE).await.unwrap(), Handout::NotBefore(at(10)));
    let Handout::Yours(job) = store.lease_by_key(&key, at(10), LEASE).await.unwrap() else { panic!("it is due") };
    assert_eq!((&job.work, job.attempts, job.leased_until), (&pass("a", 0).work, 0, at(10) + LEASE));
    assert_eq!(beside.lease_by_key(&key, at(11), LEASE).await.unwrap(), Handout::NotBefore(at(10) + LEASE));
    store.complete(&job, at(12)).await.unwrap();
    assert_eq!(beside.lease_by_key(&key, at(12), LEASE).await.unwrap(), Handout::Gone);
    assert_eq!(lease(&*store, 12).await.work, pass("b", 0).work, "others were left alone");
}

pub async fn a_worn_out_job_is_not_handed_out_by_its_key(place: &dyn Place) {
    let store = place.open().await;
    let key = pass("a", 0).work.key();
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    for begun in 0..i64::from(POISON_AFTER) {
        let handout = store.lease_by_key(&key, at(begun), SignedDuration::from_secs(1)).await.unwrap();
        assert!(matches!(handout, Handout::Yours(_)), "{begun}: {handout:?}");
    }
    let handout = store.lease_by_key(&key, at(100), LEASE).await.unwrap();
    assert_eq!(handout, Handout::SetAside);
    assert_eq!(store.poison().await.unwrap().len(), 1);
}

pub async fn a_job_can_be_set_aside_by_key(place: &dyn Place) {
    let store = place.open().await;
    let key = pass("a", 0).work.key();
    assert!(!store.set_aside(&key, "lost its message", at(0)).await.unwrap(), "there is none");
    store.enqueue(&pass("a", 0), at(0)).await.unwrap();
    assert!(store.set_aside(&key, "lost its message", at(0)).await.unwrap());
    assert!(!store.set_aside(&key, "again", at(0)).await.unwrap(), "once");
    nothing_due(&*store, 1000).await;
    assert_eq!(store.poison().await.unwrap(), [(key.clone(), "lost its message".to_owned())]);
    assert!(store.poison_retry(&key, at(5)).await.unwrap());
    assert_eq!(lease(&*store, 5).await.attempts, 0);
}

pub async fn a_sweep_of_a_whole_store_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1")], at(0)).await.unwrap();
    store.enqueue(&pass("a", 10), at(0)).await.unwrap();
    let swept = store.sweep(at(1)).await.unwrap();
    assert_eq!(swept.completed, 0);
    assert_eq!(drain(&*store, 10).await.len(), 2);
    assert_eq!(store.sweep(at(11)).await.unwrap(), Swept::default());
}

/// A clock that was days ahead stored jobs, and took one up whose process ended: none of them waits for those days.
pub async fn what_a_clock_that_was_ahead_put_off_is_recalled(place: &dyn Place) {
    let store = place.open().await;
    let days = 3 * 24 * 3600;
    store.enqueue(&pass("held", days), at(days)).await.unwrap();
    let held = lease(&*store, days).await;
    store.enqueue(&pass("ahead", days), at(days)).await.unwrap();
    store.enqueue(&pass("soon", 1800), at(0)).await.unwrap();
    let dated = NewJob { work: Work::Locate { target: server("sql") }, due: at(days) };
    store.enqueue(&dated, at(0)).await.unwrap();
    assert_eq!(store.sweep(at(0)).await.unwrap().called, 2, "the one that waits, and the one that is held");
    let due: Vec<String> = drain(&*store, 0).await;
    assert_eq!(
        due.len(),
        2,
        "{due:?}: a pass in half an hour, and a look at the date of a key, come when they are due"
    );
    assert_eq!(store.complete(&held, at(1)).await, Err(StoreError::Conflict), "others hold it now");
    assert_eq!(store.sweep(at(1)).await.unwrap(), Swept::default(), "once is enough");
}
