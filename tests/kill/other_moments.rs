//! Kills between requests: when an alert has just been acknowledged, and at any moment at all.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use futures::StreamExt;
use futures::future::join_all;
use jiff::SignedDuration;
use keymend::clock::add;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::every_request::undisturbed;
use crate::progress;
use crate::stage::Stage;
use crate::story::{ACTION_GROUP_TRIES_FOR, Story};
use crate::verdict::Ended;

const RANDOM_RUNS: u64 = 10;
const TRIES: usize = 6;

/// Plays until the machine was quick enough for the story to tell anything, and answers what is wrong.
pub async fn until_quick_enough(play: impl AsyncFn(&Story) -> Ended, baseline: &Ended) -> Vec<String> {
    let mut story = baseline.story.clone();
    for _ in 0..TRIES {
        let ended = play(&story).await;
        if ended.away > ACTION_GROUP_TRIES_FOR {
            progress(&format!("serve was away for {:?} of the story: again, slower", ended.away));
            story = story.slower();
            continue;
        }
        let mut faults = ended.faults(Some(baseline));
        // Killed several times, each of Azure's tries may have met a moment at which nobody listened.
        if faults.iter().any(|fault| fault.contains("was answered None")) {
            progress("Azure gave an alert up, for nobody listened: again, slower");
            story = story.slower();
            continue;
        }
        if !faults.is_empty() {
            faults.extend(ended.logs);
        }
        return faults;
    }
    vec![format!("the machine was too slow {TRIES} times")]
}

/// What stands between the Action Group and `serve`: when an alert was taken, it says so, waits until that has been dealt
/// with, and only then passes the answer on (or loses it).
struct Doorbell {
    serve: String,
    client: reqwest::Client,
    taken: mpsc::UnboundedSender<oneshot::Sender<()>>,
    nth: usize,
    loses_the_answer: bool,
    count: Mutex<usize>,
}

async fn ring(State(bell): State<Arc<Doorbell>>, body: Bytes) -> StatusCode {
    let sent = bell.client.post(&bell.serve).header("content-type", "application/json").body(body).send().await;
    let Ok(answer) = sent else { return StatusCode::GATEWAY_TIMEOUT };
    let mut count = bell.count.lock().await;
    *count += usize::from(answer.status() == StatusCode::ACCEPTED);
    if *count != bell.nth || answer.status() != StatusCode::ACCEPTED {
        return answer.status();
    }
    let (done, dealt_with) = oneshot::channel();
    bell.taken.send(done).unwrap();
    // While this alert is dealt with, the others wait at the lock: theirs are other moments.
    let _ = dealt_with.await;
    if bell.loses_the_answer { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::ACCEPTED }
}

/// Kills `serve` when it has just answered 202 to the `nth` alert.
async fn kill_when_taken(story: &Story, nth: usize, loses_the_answer: bool) -> Ended {
    let mut stage = Stage::open(story).await;
    let (taken, mut was_taken) = mpsc::unbounded_channel();
    let client = keymend::tls::client().no_proxy().build().unwrap();
    let bell = Doorbell { serve: stage.webhook(), client, taken, nth, loses_the_answer, count: Mutex::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.cloud.deliver_to(format!("http://{}/", listener.local_addr().unwrap()));
    let router = Router::new().route("/", post(ring)).with_state(Arc::new(bell));
    let doorbell = tokio::spawn(axum::serve(listener, router).into_future());
    stage.break_it();
    let dealt_with = was_taken.recv().await.expect("the alert comes");
    let killed_at = stage.kill();
    let _ = dealt_with.send(());
    stage.restart(killed_at).await;
    stage.until_over().await;
    doorbell.abort();
    stage.conclude().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_was_just_acknowledged_is_not_lost() {
    let story = Story::vault_deleted();
    let baseline = undisturbed(&story).await;
    let moments = (1..=story.alerts).flat_map(|nth| [(nth, false), (nth, true)]);
    let runs = join_all(moments.map(|(nth, loses)| {
        let (story, baseline) = (&story, &baseline);
        async move {
            let faults =
                until_quick_enough(async |story: &Story| kill_when_taken(story, nth, loses).await, baseline).await;
            let lost = if loses { ", and its 202 lost" } else { "" };
            let label = format!("killed when alert {nth}/{} was taken{lost}", story.alerts);
            progress(&format!("{label}: {}", if faults.is_empty() { "ok" } else { "FAILED" }));
            faults.into_iter().map(|fault| format!("{label}: {fault}")).collect::<Vec<_>>()
        }
    }));
    let faults = runs.await.concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Kills at moments drawn from `seed`: up to three times, and sometimes the new process while it is still starting.
async fn kill_at_random(story: &Story, seed: u64, length: SignedDuration) -> Ended {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::open(story).await;
    let begins = stage.cloud.clock().now();
    stage.break_it();
    let mut moments: Vec<f64> = (0..random.random_range(1..=3)).map(|_| random.random_range(0.0..1.0)).collect();
    moments.sort_by(f64::total_cmp);
    for moment in moments {
        let wait = SignedDuration::from_secs_f64(length.as_secs_f64() * moment);
        let _ = stage.cloud.clock().idle_until(add(begins, wait)).await;
        let killed_at = stage.kill();
        if random.random_bool(0.3) {
            stage.start_and_kill(Duration::from_millis(random.random_range(0..80))).await;
        }
        stage.restart(killed_at).await;
    }
    stage.until_over().await;
    stage.conclude().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_ends_the_same() {
    for story in [Story::vault_deleted(), Story::late_alert()] {
        let baseline = undisturbed(&story).await;
        let first: u64 = rand::rng().random();
        let runs = futures::stream::iter(first..first.saturating_add(RANDOM_RUNS / 2));
        let faults: Vec<String> = runs
            .map(|seed| {
                let (story, baseline) = (&story, &baseline);
                async move {
                    let play = async |story: &Story| {
                        kill_at_random(story, seed, baseline.length() + SignedDuration::from_mins(1)).await
                    };
                    let faults = until_quick_enough(play, baseline).await;
                    let label = format!("{} killed at random, seed {seed}", story.name);
                    progress(&format!("{label}: {}", if faults.is_empty() { "ok" } else { "FAILED" }));
                    faults.into_iter().map(move |fault| format!("{label}: {fault}")).collect::<Vec<_>>()
                }
            })
            .buffer_unordered(8)
            .flat_map(futures::stream::iter)
            .collect()
            .await;
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
