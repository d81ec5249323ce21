//! A story told to its end, and then the page: what it says is what the cloud saw.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use keymend::domain::incident::AttemptOutcome;
use keymend::drill::cloud::{Exchange, Fault, FaultKind};
use keymend::drill::scenario::Writes;
use rusqlite::Connection;
use serde_json::json;

use crate::exposition::Samples;
use crate::stage::Stage;
use crate::story::Story;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_cloud_saw() {
    let stage = Stage::open(Story::vault_deleted(), &[]).await;
    let before = stage.metrics().await;
    assert_eq!(before.sum("keymend_incidents_opened_total", &[]), 0.0);
    assert_eq!(before.sum("keymend_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    stage.cloud.fault(Fault::new(FaultKind::Throttle { retry_after: 5 }, "/providers/microsoft.sql/", 2));
    stage.cloud.fault(Fault::new(FaultKind::Throttle { retry_after: 7 }, "/providers/microsoft.keyvault/", 1));
    assert_eq!(stage.post(&json!("not an alert"), &[]).await, 400);
    assert_eq!(stage.post(&json!({ "hello": "you" }), &[]).await, 200);
    stage.break_it();
    stage.until_over().await;
    let page = stage.metrics().await;

    told(&stage, &page);
    requests(&stage, &page);
    writes(&stage, &page);
    times(&stage, &page).await;
    work(&stage, &page);
    bounded(&stage, &page).await;
    stage.stop().await;
}

/// Signals in, notices out.
fn told(stage: &Stage, page: &Samples) {
    let database = Connection::open(stage.database()).unwrap();
    let stored: f64 = database.query_row("SELECT count(*) FROM signal", [], |row| row.get(0)).unwrap();
    let verdict = |verdict| page.sum("keymend_signals_total", &[("verdict", verdict)]);
    assert!(stored > 0.0);
    assert_eq!(verdict("new"), stored, "each stored signal was new once");
    assert_eq!((verdict("malformed"), verdict("ignored")), (1.0, 1.0));
    assert!(page.sum("keymend_signals_total", &[("kind", "access_lost"), ("verdict", "new")]) > 0.0);

    for channel in ["teams", "webhook"] {
        let got = stage.cloud.inbox().iter().filter(|one| one.sink == channel).count();
        let delivered = page.sum("keymend_notices_total", &[("channel", channel), ("outcome", "delivered")]);
        assert!(got > 0);
        assert_eq!(delivered, got as f64, "{channel}");
    }
    let taken = stage.cloud.deliveries().iter().filter(|one| one.status == Some(202)).count();
    let route = [("http_route", "/api/alerts"), ("http_response_status_code", "202")];
    assert_eq!(page.sum("http_server_request_duration_seconds_count", &route), taken as f64);
}

/// Requests to Azure, every try.
fn requests(stage: &Stage, page: &Samples) {
    let mut seen: BTreeMap<String, f64> = BTreeMap::new();
    for one in stage.azure_requests() {
        let class = match one.status {
            // The connection was dropped: a vault that is not there.
            0 => "none".to_owned(),
            429 => "429".to_owned(),
            status => format!("{}xx", status / 100),
        };
        *seen.entry(class).or_default() += 1.0;
    }
    assert_eq!(page.by("keymend_azure_requests_total", "status"), seen);
    let throttled = stage.azure_requests().iter().filter(|one| one.status == 429).count();
    assert!(throttled >= 3);
    assert_eq!(page.sum("keymend_azure_throttles_total", &[]), throttled as f64);
    let waited = |service| page.sum("keymend_azure_throttle_wait_seconds_total", &[("service", service)]);
    assert_eq!((waited("sql"), waited("key_vault")), (10.0, 7.0), "as Retry-After said");
    let writes = |one: &Exchange| {
        one.method != "GET" && !one.url.contains("Microsoft.ResourceGraph") && !one.url.contains("/query")
    };
    let sent = stage.azure_requests().into_iter().filter(writes).count();
    assert_eq!(page.sum("keymend_azure_requests_total", &[("operation", "write")]), sent as f64);
}

/// Changes, by remedy.
fn writes(stage: &Stage, page: &Samples) {
    let Writes::Just(expected) = &stage.story.setup.expect.writes else { panic!("the story repairs") };
    for (remedy, count) in expected {
        let of = |outcome| page.sum("keymend_writes_total", &[("remedy", remedy.name()), ("outcome", outcome)]);
        assert_eq!(of("made"), *count as f64, "{remedy}");
        assert_eq!(of("intended"), *count as f64, "{remedy}");
    }
    let all: usize = expected.iter().map(|(_, count)| count).sum();
    assert_eq!(page.sum("keymend_writes_total", &[("outcome", "made")]), all as f64, "and no other");
}

/// From the loss to each milestone, counted once.
async fn times(stage: &Stage, page: &Samples) {
    let incident = stage.incident().await;
    let since_loss = |at: jiff::Timestamp| at.duration_since(incident.loss());
    let close = |name: &str, expected: SignedDuration| {
        assert_eq!(page.sum(&format!("{name}_count"), &[]), 1.0, "{name} once");
        let said = page.sum(&format!("{name}_sum"), &[]);
        assert!((said - expected.as_secs_f64()).abs() < 0.01, "{name}: {said} s, the incident says {expected:#}");
    };
    close("keymend_incident_time_to_online_seconds", since_loss(incident.ended_at.unwrap()));
    let Some(AttemptOutcome::Made { at }) = incident.made().next().and_then(|attempt| attempt.outcome.clone()) else {
        panic!("something was made")
    };
    close("keymend_incident_time_to_repair_seconds", since_loss(at));
    let diagnosis = page.sum("keymend_incident_time_to_diagnosis_seconds_sum", &[]);
    let repair = page.sum("keymend_incident_time_to_repair_seconds_sum", &[]);
    assert!(0.0 < diagnosis && diagnosis <= repair, "found ({diagnosis} s) before it was mended ({repair} s)");
    assert_eq!(page.sum("keymend_incident_time_to_diagnosis_seconds_count", &[]), 1.0);
    for channel in ["log", "teams", "webhook"] {
        let first = page.sum("keymend_incident_time_to_notice_seconds_count", &[("channel", channel)]);
        assert_eq!(first, 1.0, "{channel} had one first notice");
    }
    assert_eq!(page.sum("keymend_incidents_opened_total", &[]), 1.0);
    assert_eq!(page.sum("keymend_incidents_ended_total", &[("phase", "healed")]), 1.0);
    assert_eq!(page.sum("keymend_incidents_ended_total", &[]), 1.0);
    assert_eq!(page.sum("keymend_incidents_diagnosed_total", &[("cause", "vault_deleted")]), 1.0);
    assert_eq!(page.sum("keymend_incident_time_to_online_seconds_count", &[("repaired_by", "keymend")]), 1.0);
}

/// Jobs, queue, store.
fn work(stage: &Stage, page: &Samples) {
    for kind in ["locate", "pass", "tell"] {
        let done = page.sum("keymend_jobs_total", &[("kind", kind), ("result", "done")]);
        assert!(done > 0.0, "{kind}");
        let timed = page.sum("keymend_job_duration_seconds_count", &[("kind", kind)]);
        assert_eq!(timed, page.sum("keymend_jobs_total", &[("kind", kind)]), "every {kind} was timed");
    }
    assert_eq!(page.sum("keymend_queue_age_seconds", &[]), 0.0, "nothing is left over");
    assert_eq!(page.sum("keymend_jobs_set_aside", &[]), 0.0);
    assert_eq!(page.all("keymend_incidents_open").count(), 9, "each phase has a number, also nought");
    assert_eq!(page.sum("keymend_incidents_open", &[]), 0.0);
    let saves = page.sum("keymend_store_call_duration_seconds_count", &[("call", "save")]);
    assert!(saves > 2.0 && page.sum("keymend_store_errors_total", &[("error", "unavailable")]) == 0.0);
    assert!(page.sum("process_start_time_seconds", &[]) > 1.7e9);
    assert!(stage.serve.is_ready());
}

/// No label holds anything that comes from outside.
async fn bounded(stage: &Stage, page: &Samples) {
    let incident = stage.incident().await;
    let world = stage.cloud.world().to_string();
    let all = page.label_values();
    assert!(all.iter().all(|value| value.len() <= 24), "{all:?}");
    assert!(!all.contains(&incident.id.0));
    for name in incident.servers().map(|server| server.name()).chain(incident.vault.iter().map(|vault| vault.as_str()))
    {
        assert!(world.contains(name) && !all.iter().any(|value| value.contains(name)), "{name}");
    }
    assert!(page.len() < 1_500, "{} samples", page.len());
}

/// What may be counted once in an incident's life, whoever counts it.
fn once(page: &Samples) -> [f64; 6] {
    [
        page.sum("keymend_incidents_opened_total", &[]),
        page.sum("keymend_incidents_ended_total", &[]),
        page.sum("keymend_incident_time_to_diagnosis_seconds_count", &[]),
        page.sum("keymend_incident_time_to_repair_seconds_count", &[]),
        page.sum("keymend_incident_time_to_online_seconds_count", &[]),
        page.sum("keymend_incident_time_to_notice_seconds_count", &[("channel", "teams")]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_and_one_after_it_count_nothing_twice() {
    let mut stage = Stage::open(Story::vault_deleted(), &[]).await;
    stage.break_it();
    stage.until("the first change was made", |stage| stage.azure_requests().iter().any(|one| one.effect)).await;
    let first = stage.metrics().await;
    stage = stage.kill_and_restart().await;
    stage.until_over().await;
    let second = stage.metrics().await;
    let both: Vec<f64> = once(&first).iter().zip(once(&second)).map(|(one, other)| one + other).collect();
    assert!(both.iter().all(|count| *count <= 1.0), "{both:?}");
    assert_eq!((once(&first)[0], once(&second)[1], once(&second)[4]), (1.0, 1.0, 1.0), "opened, ended, online");
    let intended = |page: &Samples| page.sum("keymend_writes_total", &[("outcome", "intended")]);
    let attempts = stage.incident().await.attempts.len();
    assert!(intended(&first) + intended(&second) <= attempts as f64);

    // Late echoes of a loss that is over, to a process that was started after it.
    stage = stage.kill_and_restart().await;
    let bodies: Vec<_> = stage.cloud.deliveries().into_iter().map(|one| one.body).collect();
    for body in &bodies {
        assert_eq!(stage.post(body, &[]).await, 202);
    }
    stage.until_idle().await;
    let third = stage.metrics().await;
    assert_eq!(once(&third), [0.0; 6], "those before this one counted them");
    assert!(third.sum("keymend_signals_total", &[("verdict", "repeated")]) > 0.0);
    stage.stop().await;
}
