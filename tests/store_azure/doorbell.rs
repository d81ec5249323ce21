//! The doorbell, looked at in the queue itself as the Functions host does.

use std::time::{Duration, Instant};

use azure_core::http::Url;
use azure_storage_queue::QueueClient;
use azure_storage_queue::models::QueueClientReceiveMessagesOptions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use keymend::clock::Clock;
use keymend::ids::Ids;
use keymend::store::{AzureStorageSettings, AzureStore, Handout, NewJob, POISON_AFTER, Store, Swept, Work};
use serde_json::{Value, json};

use crate::azurite::Azurite;
use crate::kit::{LEASE, at, incident, loss, open, pass, place, server, through};
use crate::proxy::{Proxy, Stop};
use crate::signature::{ALL, account_signature};

const PATIENCE: Duration = Duration::from_secs(20);

async fn hosted(place: &AzureStorageSettings, clock: &Clock) -> AzureStore {
    AzureStore::open_with_doorbell(place, None, clock.clone(), Ids::random()).await.unwrap()
}

fn queue(azurite: &Azurite, name: &str) -> QueueClient {
    let address = format!("{}/{name}?{}", azurite.queue_endpoint(), account_signature(ALL));
    QueueClient::new(Url::parse(&address).unwrap(), None, None).unwrap()
}

/// What is visible now: taken, and not given back for a minute.
async fn visible(queue: &QueueClient) -> Vec<Value> {
    let options = QueueClientReceiveMessagesOptions {
        number_of_messages: Some(32),
        visibility_timeout: Some(60),
        ..Default::default()
    };
    let taken = queue.receive_messages(Some(options)).await.unwrap().into_model().unwrap();
    let text = |text: String| serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
    taken.items.unwrap_or_default().into_iter().map(|message| text(message.message_text.unwrap())).collect()
}

/// Waits until something is visible.
async fn heard(queue: &QueueClient) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let messages = visible(queue).await;
        if !messages.is_empty() {
            return messages;
        }
        assert!(began.elapsed() < PATIENCE, "the doorbell did not ring");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn rings_for(job: &NewJob) -> Value {
    json!({"v": 1, "job": job.work.key()})
}

/// A clock that stands still, like the checks that give the time themselves.
fn still() -> Clock {
    Clock::scaled(at(0), 0.001)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_rings_for_each_server_at_once() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let store = hosted(&place, &still()).await;
    let jobs = queue(azurite, &place.queue);
    store.accept(&[loss("a", "one"), loss("a", "two"), loss("b", "three")], at(0)).await.unwrap();
    let mut rung = heard(&jobs).await;
    rung.sort_by_key(Value::to_string);
    let locate = |name: &str| rings_for(&NewJob { work: Work::Locate { target: server(name) }, due: at(0) });
    assert_eq!(rung, [locate("a"), locate("b")]);

    store.accept(&[loss("a", "one"), loss("a", "four")], at(1)).await.unwrap();
    assert_eq!(visible(&jobs).await, <[Value; 0]>::default(), "the job that waits was called for already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_called_for_when_it_is_due_and_not_before() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    // A minute of this clock is a second.
    let clock = Clock::scaled(at(0), 60.0);
    let store = hosted(&place, &clock).await;
    let jobs = queue(azurite, &place.queue);
    let due = clock.now() + SignedDuration::from_secs(150);
    let job = NewJob { due, ..pass(&incident("a", "kv")) };
    store.enqueue(&job, clock.now()).await.unwrap();
    assert_eq!(heard(&jobs).await, [rings_for(&job)]);
    assert!(clock.now() >= due, "called at {} for {due}", clock.now());
    let Handout::Yours(held) = store.lease_by_key(&job.work.key(), clock.now(), LEASE).await.unwrap() else {
        panic!("it is due")
    };

    // Asked for again while it is held: it rings when it is free.
    store.enqueue(&NewJob { due: clock.now(), ..job.clone() }, clock.now()).await.unwrap();
    assert_eq!(visible(&jobs).await, <[Value; 0]>::default());
    store.complete(&held, clock.now()).await.unwrap();
    assert_eq!(heard(&jobs).await, [rings_for(&job)]);

    // A failure rings when it is to be tried again.
    let Handout::Yours(held) = store.lease_by_key(&job.work.key(), clock.now(), LEASE).await.unwrap() else {
        panic!("it is due again")
    };
    let again = clock.now() + SignedDuration::from_secs(90);
    store.retry(&held, again, "ARM is down").await.unwrap();
    assert_eq!(heard(&jobs).await, [rings_for(&job)]);
    assert!(clock.now() >= again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_came_too_early_is_called_again() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let store = hosted(&place, &still()).await;
    let job = pass(&incident("a", "kv"));
    store.call_again(&job.work.key(), at(0), at(0)).await.unwrap();
    assert_eq!(heard(&queue(azurite, &place.queue)).await, [rings_for(&job)]);
    assert_eq!(store.lease_by_key(&job.work.key(), at(0), LEASE).await.unwrap(), Handout::Gone, "no job was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_too_often_is_sent_to_the_poison_queue_once() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let store = hosted(&place, &still()).await;
    let (failing, ending) = (pass(&incident("failing", "kv")), pass(&incident("ending", "kv")));
    for job in [&failing, &ending] {
        store.enqueue(job, at(0)).await.unwrap();
        for begun in 0..i64::from(POISON_AFTER) {
            let now = at(begun * 1000);
            let Handout::Yours(held) = store.lease_by_key(&job.work.key(), now, LEASE).await.unwrap() else {
                panic!("it is due")
            };
            if job == &failing {
                store.retry(&held, now, "no such vault").await.unwrap();
            }
        }
    }
    let now = at(1_000_000);
    assert_eq!(store.lease_by_key(&ending.work.key(), now, LEASE).await.unwrap(), Handout::SetAside);
    let poison = queue(azurite, &place.poison_queue());
    assert_eq!(heard(&poison).await, [rings_for(&failing), rings_for(&ending)]);
    store.sweep(now).await.unwrap();
    assert_eq!(visible(&poison).await, <[Value; 0]>::default());

    let jobs = queue(azurite, &place.queue);
    visible(&jobs).await;
    assert!(store.poison_retry(&failing.work.key(), at(0)).await.unwrap());
    assert_eq!(heard(&jobs).await, [rings_for(&failing)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_rings_where_a_crash_came_before_the_bell_and_not_more_and_more() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    let place = place(azurite);
    let doomed = hosted(&through(&place, &proxy.connection_string()), &still()).await;
    let job = pass(&incident("a", "kv"));
    // The record is read, written, and then the bell would ring.
    proxy.stop_at(3, Stop::Before);
    assert_eq!(proxy.until_killed(doomed.enqueue(&job, at(0))).await, None);

    let store = hosted(&place, &still()).await;
    let jobs = queue(azurite, &place.queue);
    store.enqueue(&job, at(10)).await.unwrap();
    assert_eq!(visible(&jobs).await, <[Value; 0]>::default(), "somebody may be on the way still");
    store.enqueue(&job, at(21)).await.unwrap();
    assert_eq!(heard(&jobs).await, [rings_for(&job)], "whoever asks again rings again");
    let mut rung = Vec::new();
    for minute in 0..60 {
        let swept = store.sweep(at(20 + minute * 60)).await.unwrap();
        if swept != Swept::default() {
            assert_eq!(heard(&jobs).await, [rings_for(&job)]);
            rung.push(minute);
        }
    }
    assert_eq!(rung.first(), Some(&1), "nobody came");
    assert!((4..=8).contains(&rung.len()), "rarer and rarer, not every minute: {rung:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_tells_of_poison_that_a_crash_kept_silent() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    // A store without a bell sets it aside and tells nobody, as one does that is killed at that point.
    let silent = open(&place).await;
    let job = pass(&incident("a", "kv"));
    silent.enqueue(&job, at(0)).await.unwrap();
    for _ in 0..POISON_AFTER {
        let held = silent.lease(at(0), LEASE).await.unwrap().unwrap();
        silent.retry(&held, at(0), "no such vault").await.unwrap();
    }
    let store = hosted(&place, &still()).await;
    store.sweep(at(60)).await.unwrap();
    assert_eq!(heard(&queue(azurite, &place.poison_queue())).await, [rings_for(&job)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_beside_the_app_rings_its_bell_and_makes_nothing() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let beside = async || AzureStore::open_beside(&place, None, still(), Ids::random()).await.unwrap();
    assert!(beside().await.is_none(), "there is no container yet");
    assert!(beside().await.is_none(), "and none was made");
    let quiet = open(&place).await;
    let job = pass(&incident("a", "kv"));
    beside().await.unwrap().enqueue(&job, at(0)).await.unwrap();
    assert_eq!(quiet.next_due().await.unwrap(), Some(at(0)), "without a queue it is only stored");

    hosted(&place, &still()).await;
    let other = pass(&incident("b", "kv"));
    beside().await.unwrap().enqueue(&other, at(0)).await.unwrap();
    assert_eq!(heard(&queue(azurite, &place.queue)).await, [rings_for(&other)]);
}
