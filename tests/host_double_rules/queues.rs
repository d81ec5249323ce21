//! Queue triggers on a real queue: what is settled how, who holds a message, and what comes twice.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::azurite::{Azurite, fresh_name};
use crate::host_double::invoke::Outcome;
use crate::host_double::storage::Queues;
use crate::host_double::{Call, Host};
use crate::toy::Toy;

const PATIENCE: Duration = Duration::from_secs(60);

/// A queue of its own on Azurite. `None`: it is to be done without.
async fn queue() -> Option<(String, String, Queues)> {
    let azurite = tokio::task::spawn_blocking(Azurite::shared).await.unwrap()?;
    let (name, connection) = (fresh_name("toys"), azurite.connection_string());
    let queues = Queues::of(&connection).unwrap();
    queues.create(&name).await.unwrap();
    Some((name, connection, queues))
}

async fn until(host: &Host, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; {:?}\n{}", host.notes(), host.tail(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn calls(host: &Host, function: &str) -> Vec<Call> {
    host.calls().into_iter().filter(|call| call.function == function && call.outcome.is_some()).collect()
}

fn counts(host: &Host, function: &str) -> Vec<u64> {
    calls(host, function).iter().filter_map(|call| call.message.as_ref().map(|(_, count)| *count)).collect()
}

async fn put(queues: &Queues, queue: &str, text: &str) {
    queues.put(queue, &STANDARD.encode(text)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_succeeds_is_deleted_and_what_fails_goes_to_poison_after_so_many_tries() {
    let Some((queue, connection, queues)) = queue().await else { return };
    let limits = json!({ "queues": { "maxDequeueCount": 3, "maxPollingInterval": "00:00:00.2", "visibilityTimeout": "00:00:01" } });
    let host = Toy::on_queue("behaves", &queue, &connection, &[("/extensions", limits)]).start().await;
    let began = Instant::now();
    put(&queues, &queue, "well").await;
    put(&queues, &queue, "fail").await;
    until(&host, "it comes to the poison queue", async || !calls(&host, "rest").is_empty()).await;
    assert_eq!(counts(&host, "pick").iter().filter(|count| **count > 1).count(), 2, "one failed twice more");
    assert!(began.elapsed() > Duration::from_secs(2), "with a pause between the tries");
    assert_eq!(queues.count(&queue).await.unwrap(), 0);
    // A poison queue has none of its own: what fails there stays, invisible for as long as it was held.
    assert_eq!(queues.count(&format!("{queue}-poison")).await.unwrap(), 1);
    assert_eq!(queues.count(&format!("{queue}-poison-poison")).await.unwrap(), 0);
    assert_eq!(queues.peek(&format!("{queue}-poison")).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tried_too_often_elsewhere_is_not_tried_at_all() {
    let Some((queue, connection, queues)) = queue().await else { return };
    put(&queues, &queue, "well").await;
    for _ in 0..2 {
        let received = queues.receive(&queue, 1, Duration::from_secs(60)).await.unwrap();
        queues.update(&queue, &received[0].message, Duration::ZERO).await.unwrap();
    }
    let limits = json!({ "queues": { "maxDequeueCount": 2, "maxPollingInterval": "00:00:00.2" } });
    let host = Toy::on_queue("behaves", &queue, &connection, &[("/extensions", limits)]).start().await;
    until(&host, "it comes to the poison queue", async || !calls(&host, "rest").is_empty()).await;
    assert!(calls(&host, "pick").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_held_for_as_long_as_its_invocation_takes() {
    let Some((queue, connection, queues)) = queue().await else { return };
    let host = Toy::on_queue("behaves", &queue, &connection, &[])
        .start_with(|options| options.lease = Duration::from_secs(2))
        .await;
    put(&queues, &queue, "slow").await;
    until(&host, "it is done", async || !calls(&host, "pick").is_empty()).await;
    until(&host, "it is gone", async || queues.count(&queue).await.unwrap() == 0).await;
    assert_eq!(counts(&host, "pick"), [1], "nobody else got it meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_gives_the_message_back_and_the_next_process_does_it() {
    let Some((queue, connection, queues)) = queue().await else { return };
    let host = Toy::on_queue("behaves", &queue, &connection, &[]).start().await;
    put(&queues, &queue, "crash").await;
    until(&host, "it is done", async || {
        calls(&host, "pick").iter().any(|call| call.outcome.as_ref().unwrap().is_success())
    })
    .await;
    assert_eq!(counts(&host, "pick"), [1, 2]);
    assert!(matches!(calls(&host, "pick")[0].outcome, Some(Outcome::Failed(_))));
    assert_eq!(host.worker().starts(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_gone_keeps_its_messages_until_their_lease_ends() {
    let Some((queue, connection, queues)) = queue().await else { return };
    let toy = || Toy::on_queue("behaves", &queue, &connection, &[]);
    let first = toy().start_with(|options| options.lease = Duration::from_secs(3)).await;
    put(&queues, &queue, "slow").await;
    until(&first, "it is being done", async || first.in_flight() > 0).await;
    let began = Instant::now();
    first.host.kill_instance().await;
    let next = toy().start().await;
    until(&next, "the next has it", async || next.in_flight() > 0).await;
    assert!(began.elapsed() > Duration::from_secs(1), "not before the lease ended");
    until(&next, "it is done", async || counts(&next, "pick") == [2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_twice_where_the_test_wants_it() {
    let Some((queue, connection, queues)) = queue().await else { return };
    let host =
        Toy::on_queue("behaves", &queue, &connection, &[]).start_with(|options| options.duplicates = Some(1.0)).await;
    put(&queues, &queue, "well").await;
    until(&host, "both are done", async || calls(&host, "pick").len() == 2).await;
    let ids: Vec<String> = calls(&host, "pick").into_iter().filter_map(|call| Some(call.message?.0)).collect();
    assert_eq!(ids[0], ids[1]);
    let mut counts = counts(&host, "pick");
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
}
