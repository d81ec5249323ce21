//! The worst moments: killed between a change in Azure and its answer, a timeout, hostile input, jobs that take long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::world::Span;
use keymend::drill::cloud::{Break, Moment, Verdict};
use keymend::drill::judge::is_write;
use keymend::drill::scenario::{self, Act, Setup};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::host_double::invoke::Outcome;
use crate::host_double::timer::Tick;
use crate::stage::Stage;
use crate::{progress, verdict};

/// A story of the drill where everything takes seconds, and no window closes while a lease of a killed process runs out.
pub fn quick(name: &str, preset: Preset) -> Setup {
    let mut setup = (scenario::named(name).unwrap().setup)(preset);
    let exactly = |minutes| Span { min: minutes, max: minutes };
    setup.policy.window_minutes = 240;
    let timing = &mut setup.world.timing;
    timing.window_minutes = 240;
    timing.key_check_minutes = 1;
    timing.identity_seconds = 5;
    timing.activity_log = exactly(0.2);
    (timing.self_heal, timing.propagation, timing.vault_dns) = (exactly(0.2), exactly(0.2), exactly(0.2));
    for database in setup.world.servers.iter_mut().flat_map(|server| &mut server.databases) {
        database.size_gb = 1;
    }
    setup
}

/// What breaks in it, all at once.
pub fn breaks(setup: &Setup) -> Vec<Break> {
    let breaks = setup.script.iter().filter_map(|step| match &step.act {
        Act::Break(what) => Some(what.clone()),
        Act::Fault(_) | Act::AfterRepair(_) => None,
    });
    breaks.collect()
}

/// Stalls the first write at a moment of its life, and tells.
fn stall_first_write(stage: &Stage, at: Moment) -> oneshot::Receiver<()> {
    let (spring, sprung) = oneshot::channel();
    let spring = Mutex::new(Some(spring));
    stage.cloud.on_request(move |moment, exchange| {
        if moment != at || !is_write(exchange) {
            return Verdict::Go;
        }
        match spring.lock().unwrap().take() {
            Some(spring) => {
                let _ = spring.send(());
                Verdict::Stall
            }
            None => Verdict::Go,
        }
    });
    sprung
}

fn assert_each_write_once(stage: &Stage) {
    let effects = verdict::effects(&stage.cloud);
    assert_eq!(effects.len(), 2, "the vault is recovered and the server granted: {effects:?}");
    assert!(effects.values().all(|count| *count == 1), "{effects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_ends_a_process_its_work_is_taken_up_and_done_once() {
    // Side by side, since each waits for half a minute until the lease of the process that ended is over.
    tokio::join!(
        killed_between_a_change_and_its_answer_it_is_made_once(),
        a_function_timeout_kills_the_process_and_the_work_is_taken_up(),
        an_instance_that_is_gone_at_once_leaves_its_work_to_the_next(),
    );
}

async fn killed_between_a_change_and_its_answer_it_is_made_once() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage.host().await;
    let sprung = stall_first_write(&stage, Moment::After);
    for what in breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    tokio::time::timeout(crate::stage::PATIENCE, sprung).await.expect("the first write is sent").unwrap();
    assert_eq!(verdict::effects(&stage.cloud).len(), 1, "it has taken effect and is not answered");
    assert!(host.kill_handler());
    let killed = Instant::now();
    stage.until("all is healed", &[&host], async || stage.is_healed().await).await;
    progress(&format!("killed after a write: healed {:?} later", killed.elapsed()));
    assert_each_write_once(&stage);
    assert_eq!(host.worker().starts(), 2);
    verdict::stop(host).await;
    stage.close().await;
}

async fn a_function_timeout_kills_the_process_and_the_work_is_taken_up() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage
        .host_with(|options| {
            options.settings.insert("AzureFunctionsJobHost__functionTimeout".to_owned(), "00:00:06".to_owned());
        })
        .await;
    // Never answered, and tried again by nobody but the next process.
    let stalled = Arc::new(AtomicUsize::new(0));
    let (count, first_process) = (stalled.clone(), Arc::new(Mutex::new(true)));
    let stalling = first_process.clone();
    stage.cloud.on_request(move |moment, exchange| {
        if moment == Moment::Before && is_write(exchange) && *stalling.lock().unwrap() {
            count.fetch_add(1, Ordering::AcqRel);
            return Verdict::Stall;
        }
        Verdict::Go
    });
    for what in breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    // On a slow machine another one may have timed out before.
    stage
        .until("an invocation times out in the midst of a write", &[&host], async || {
            stalled.load(Ordering::Acquire) > 0
                && host.calls().iter().any(|call| call.function == "jobs" && call.outcome == Some(Outcome::TimedOut))
        })
        .await;
    *first_process.lock().unwrap() = false;
    stage.until("all is healed", &[&host], async || stage.is_healed().await).await;
    assert_each_write_once(&stage);
    assert!(host.worker().starts() >= 2);
    verdict::stop(host).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_takes_long_keeps_neither_the_ping_nor_others_waiting() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage.host().await;
    let sprung = stall_first_write(&stage, Moment::Before);
    for what in breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    tokio::time::timeout(crate::stage::PATIENCE, sprung).await.expect("the first write is sent").unwrap();
    let is_busy = || host.calls().iter().any(|call| call.function == "jobs" && call.ended.is_none());
    assert!(is_busy());
    let port = host.worker().ready().await.unwrap();
    let client = keymend::tls::client().no_proxy().build().unwrap();
    let mut pings = Vec::new();
    for _ in 0..100 {
        let asked = Instant::now();
        let answer = client.get(format!("http://127.0.0.1:{port}/")).send().await.unwrap();
        assert!(!answer.bytes().await.unwrap().is_empty());
        pings.push(asked.elapsed());
    }
    pings.sort();
    progress(&format!("GET / beside a job: median {:?}, longest {:?}", pings[50], pings[99]));
    assert!(pings[50] < Duration::from_millis(20), "{:?}", pings[50]);
    assert!(host.fire("patrol", Tick::PastDue).await.is_success());
    assert!(is_busy(), "the job was under way all the time");
    verdict::stop(host).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_crashes_or_hangs_the_handler() {
    let setup = quick("false-alarm", Preset::Guarded);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage.host().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let long =
        json!({ "Data": { "job": "x".repeat(300_000), "message": "x", "req": "x", "event": "x", "timer": "x" } });
    let hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        deep.clone().into_bytes(),
        long.to_string().into_bytes(),
        json!({}).to_string().into_bytes(),
        json!({ "Data": null, "Metadata": null }).to_string().into_bytes(),
        json!({ "Data": { "job": deep }, "Metadata": [] }).to_string().into_bytes(),
        json!({ "Data": { "job": "\"{\\\"v\\\":1,\\\"job\\\":\\\"pass:no\\\\ncolon\\\\u0000\\\"}\"" } })
            .to_string()
            .into_bytes(),
        json!({ "Data": { "event": { "id": 1, "data": [[]], "eventTime": "never\nagain" } } }).to_string().into_bytes(),
        json!({ "Data": { "req": { "Url": "::", "Method": "\r\n", "Headers": { "a b": ["c\nd"] }, "Body": 7 } } })
            .to_string()
            .into_bytes(),
    ];
    for function in ["jobs", "poison", "patrol", "events", "alerts", "pages", "answers"] {
        for payload in &hostile {
            let asked = Instant::now();
            let outcome = host.invoke_raw(function, payload.clone()).await;
            let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]).into_owned();
            assert!(asked.elapsed() < Duration::from_secs(10), "{function} took {:?} for {shown}", asked.elapsed());
            assert!(
                matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_)),
                "{function}: {outcome:?} for {shown}"
            );
            assert!(
                !matches!(&outcome, Outcome::Failed(why) if !why.contains("status code")),
                "{function}: {outcome:?}"
            );
        }
    }
    let client = keymend::tls::client().no_proxy().build().unwrap();
    for body in ["", "{", "a\nlog\nin a line\r\n{\"level\":\"ERROR\"}", "\u{0}\u{1b}[31m"] {
        let answer = client.post(host.url_with_key("/api/alerts")).body(body).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
        assert!(!answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(host.worker().starts(), 1, "{}", host.tail(20));
    verdict::stop(host).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_encoding_is_read_and_metadata_is_not_believed() {
    let setup = quick("false-alarm", Preset::Guarded);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage.host().await;
    let plain = json!({ "v": 1, "job": "pass:gone" });
    let poisoned = json!({ "v": 1, "job": "pass:gone", "DequeueCount": "99", "id": "x", "sys": {}, "popReceipt": [1] });
    let answer = |outcome: Outcome| match outcome {
        Outcome::Succeeded(_) => "done",
        _ => "not done",
    };
    for (what, job) in [
        ("nested", plain.clone()),
        ("once", Value::String(plain.to_string())),
        ("twice", Value::String(Value::String(plain.to_string()).to_string())),
    ] {
        let payload = json!({ "Data": { "job": job }, "Metadata": { "DequeueCount": "1" } });
        assert_eq!(answer(host.invoke("jobs", &payload).await), "done", "{what}");
    }
    stage.queues.put(&stage.queue, &STANDARD.encode(poisoned.to_string())).await.unwrap();
    stage
        .until("the poisoned message is done with", &[&host], async || {
            host.calls()
                .iter()
                .any(|call| call.message.is_some() && call.outcome.as_ref().is_some_and(Outcome::is_success))
        })
        .await;
    stage.until("and is gone", &[&host], async || stage.queues_are_empty().await).await;
    assert_eq!(verdict::told(&stage.cloud, "teams").len(), 0, "nobody was called for it");
    verdict::stop(host).await;
    stage.close().await;
}

async fn an_instance_that_is_gone_at_once_leaves_its_work_to_the_next() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage.host_with(|options| options.lease = Duration::from_secs(12)).await;
    let sprung = stall_first_write(&stage, Moment::After);
    for what in breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    tokio::time::timeout(crate::stage::PATIENCE, sprung).await.expect("the first write is sent").unwrap();
    host.kill_instance().await;
    let next = stage.host().await;
    stage.until("all is healed", &[&next], async || stage.is_healed().await).await;
    assert_each_write_once(&stage);
    verdict::stop(next).await;
    stage.close().await;
}
