//! Readiness, crashes, timeouts, hangs.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::host_double::Host;
use crate::host_double::invoke::Outcome;
use crate::host_double::lines::Level;
use crate::host_double::process::State;
use crate::host_double::timer::Tick;
use crate::toy::Toy;

const PATIENCE: Duration = Duration::from_secs(30);

async fn until(host: &Host, what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", host.tail(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_behaves_is_ready_and_answers() {
    let host = Toy::new("behaves", &[]).start().await;
    let Outcome::Succeeded(answer) = host.fire("work", Tick::First).await else { panic!("{}", host.tail(20)) };
    assert_eq!(answer.outputs["length"], false, "payloads come without a length");
    let data = &answer.outputs["payload"]["Data"]["timer"];
    assert_eq!(data["ScheduleStatus"]["Last"], "0001-01-01T00:00:00");
    until(&host, "its line", || host.lines().iter().any(|line| line.text == "worked")).await;
    assert!(host.lines().iter().all(|line| line.level == Level::Information));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_success_is_reported_as_a_hang() {
    for role in ["empty", "no-content"] {
        let host = Toy::new(role, &[]).start().await;
        assert!(matches!(host.fire("work", Tick::OnTime).await, Outcome::Hang(_)), "{role}");
        assert_eq!(host.hangs().len(), 1, "{role}");
        until(&host, "the process is killed and started again", || host.worker().starts() == 2).await;
        assert_eq!(host.worker().hosts(), 1, "a kill of the host's own is no crash");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_success_fails_without_its_body() {
    for role in ["fails", "text"] {
        let host = Toy::new(role, &[]).start().await;
        let Outcome::Failed(why) = host.fire("work", Tick::OnTime).await else { panic!("{role}") };
        assert!(!why.contains("why") && !why.contains("done"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_0_leaves_a_dead_app() {
    let host = Toy::new("exits-0", &[]).start().await;
    until(&host, "it is dead", || host.worker().state() == State::Dead).await;
    assert!(matches!(host.fire("work", Tick::OnTime).await, Outcome::Failed(_)));
    assert_eq!(host.worker().starts(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_200_is_a_new_start() {
    let host = Toy::new("exits-200", &[]).start().await;
    assert!(host.fire("work", Tick::OnTime).await.is_success());
    assert_eq!(host.worker().starts(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_crash_stops_the_host() {
    let host = Toy::new("crashes-at-once", &[]).start().await;
    until(&host, "the host stops", || matches!(host.worker().state(), State::Stopped(_))).await;
    assert_eq!(host.worker().starts(), 3);
    until(&host, "its last words", || host.lines().iter().any(|line| line.text == "a reason")).await;
    let reason = host.lines().into_iter().find(|line| line.text == "a reason").unwrap();
    assert_eq!(reason.level, Level::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_fails_what_was_in_flight_and_the_next_process_goes_on() {
    let host = Toy::new("panics", &[]).start().await;
    assert!(matches!(host.fire("work", Tick::OnTime).await, Outcome::Failed(_)));
    until(&host, "a new start", || host.worker().starts() == 2).await;
    assert!(host.kill_handler());
    until(&host, "another", || host.worker().starts() == 3 || host.worker().state() != State::Starting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_kills_the_process_and_work_goes_on() {
    let host = Toy::new("slow", &[("/functionTimeout", json!("00:00:01"))]).start().await;
    assert_eq!(host.fire("work", Tick::OnTime).await, Outcome::TimedOut);
    assert!(host.fire("work", Tick::PastDue).await.is_success());
    assert_eq!(host.worker().starts(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_never_listens_is_a_crash_each_time() {
    let host = Toy::new("never-ready", &[("/customHandler/initializationTimeout", json!("00:00:00.2"))]).start().await;
    until(&host, "the host stops", || matches!(host.worker().state(), State::Stopped(_))).await;
    assert_eq!(host.worker().starts(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_kills_and_nothing_is_left() {
    let host = Toy::new("behaves", &[]).start().await;
    host.worker().ready().await.unwrap();
    let pid = host.worker().pid().unwrap();
    host.host.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
}
