//! Spans and metrics to a collector: what arrives, what must not, and a collector that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use keymend::domain::incident::Phase;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;

use crate::collector::{Collector, attributes};
use crate::serve::SECRET;
use crate::stage::Stage;
use crate::story::Story;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// What must leave the process in no telemetry. The last is what signs webhooks, in base64.
const PLANTED: [&str; 5] =
    [SECRET, "drill-token", "planted-otlp-key", "planted-teams-signature", "ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw="];

fn named<'a>(spans: &'a [Span], name: &'a str) -> impl Iterator<Item = (&'a Span, BTreeMap<String, String>)> {
    spans.iter().filter(move |span| span.name == name).map(|span| (span, attributes(&span.attributes)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_callers_trace_the_jobs_and_the_metrics() {
    let collector = Collector::open().await;
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-otlp-key"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=drill"),
        ("KEYMEND_LOG", "debug"),
    ];
    let stage = Stage::open(Story::vault_deleted(), &env).await;
    stage.break_it();
    stage.until_over().await;
    // The same alert again, from a caller who traces; and from one who writes nonsense.
    let body = stage.cloud.deliveries().swap_remove(0).body;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(stage.post(&body, &[("traceparent", &traceparent), ("tracestate", "az=x")]).await, 202);
    let nonsense = format!("00-{}-{PARENT}-01", "ffffffffffffffffffffffffffffffffff");
    assert_eq!(stage.post(&body, &[("traceparent", &nonsense)]).await, 202);
    stage.until_idle().await;
    let incident = stage.incident().await;
    collector.until("metrics").await;
    let began = Instant::now();
    let log = stage.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "it stops soon, and sends what is left");

    let spans = collector.spans();
    let alerts: Vec<_> = named(&spans, "POST /api/alerts").collect();
    let traced: Vec<_> = alerts.iter().filter(|(span, _)| hex::encode(&span.trace_id) == TRACE).collect();
    assert_eq!(traced.len(), 1, "one request continued the caller's trace");
    let (span, about) = traced[0];
    assert_eq!((hex::encode(&span.parent_span_id).as_str(), span.kind), (PARENT, 2), "a server's span, its child");
    assert_eq!(span.trace_state, "az=x");
    assert_eq!((about["http.route"].as_str(), about["http.response.status_code"].as_str()), ("/api/alerts", "202"));
    let others = alerts.iter().filter(|(span, _)| hex::encode(&span.trace_id) != TRACE);
    assert!(others.clone().count() > 1 && others.clone().all(|(span, _)| span.parent_span_id.is_empty()));

    jobs(&spans, &incident);
    let names = collector.metric_names();
    for name in ["keymend.signals", "keymend.writes", "keymend.incident.time_to_online", "keymend.queue.age"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    let process = collector.resource();
    assert_eq!(process["service.name"], "keymend");
    assert_eq!(process["deployment.environment.name"], "drill");
    silent(&collector, &log);
}

/// What is done for one incident is found by its id, down to the requests that Azure saw.
fn jobs(spans: &[Span], incident: &keymend::domain::incident::Incident) {
    let vault = incident.vault.as_ref().unwrap().as_str();
    let passes: Vec<_> = named(spans, "pass").collect();
    assert!(!passes.is_empty());
    for (_, about) in &passes {
        assert_eq!(about["incident"], incident.id.0);
        assert_eq!(about["key"], format!("pass:{}", incident.id));
        assert_eq!((about["servers"].as_str(), about["vault"].as_str()), ("1", vault));
    }
    assert!(named(spans, "tell").all(|(_, about)| about["incident"] == incident.id.0 && !about["channel"].is_empty()));
    assert!(named(spans, "tell").count() >= 3);
    let traces: BTreeSet<_> = passes.iter().map(|(span, _)| span.trace_id.clone()).collect();
    let remedies: Vec<_> = named(spans, "repair").collect();
    let expected = incident.made().map(|attempt| attempt.change.remedy().name().to_owned());
    let told: BTreeSet<String> = remedies.iter().map(|(_, about)| about["remedy"].clone()).collect();
    assert_eq!(told, expected.collect());
    for (repair, _) in &remedies {
        assert!(traces.contains(&repair.trace_id), "a repair is a part of its pass");
        let below = |span: &&Span| span.trace_id == repair.trace_id && span.name.ends_with(" write");
        assert!(spans.iter().any(|span| below(&span) && span.kind == 3), "and holds the write, as a client's span");
    }
}

/// No secret, no text of a log line, nothing of a library's own.
fn silent(collector: &Collector, log: &str) {
    for planted in PLANTED {
        for delivery in collector.deliveries() {
            let text = String::from_utf8_lossy(&delivery.body);
            assert!(!text.contains(planted), "{planted} in {}", delivery.what);
        }
        assert!(!log.contains(planted), "{planted} in the log");
    }
    for delivery in collector.deliveries() {
        assert_eq!(delivery.headers["api-key"], "planted-otlp-key", "the collector's own key goes to it");
        assert_eq!(delivery.headers["content-type"], "application/x-protobuf");
    }
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.events.is_empty()), "log lines stay in the log");
    let ours = ["locate", "pass", "tell", "heartbeat", "observe", "repair"];
    let known = |name: &str| {
        ours.contains(&name) || name.starts_with("GET ") || name.starts_with("POST ") || name.contains(' ')
    };
    let foreign: BTreeSet<_> = spans.iter().map(|span| &span.name).filter(|name| !known(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

/// How long after the loss the story was over, by the cloud's clock; how many deliveries failed; and the whole log.
async fn play(env: &[(&str, &str)]) -> (f64, f64, String) {
    let stage = Stage::open(Story::vault_deleted(), env).await;
    stage.break_it();
    stage.until_over().await;
    let incident = stage.incident().await;
    assert_eq!(incident.phase, Phase::Healed);
    let took = incident.ended_at.unwrap().duration_since(incident.loss()).as_secs_f64();
    let failed = stage.metrics().await.sum("keymend_telemetry_export_failures_total", &[]);
    let began = Instant::now();
    let log = stage.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8), "the last delivery is waited for, not for long");
    (took, failed, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_mute_changes_nothing() {
    let (usual, failed, log) = play(&[]).await;
    assert_eq!(failed, 0.0);
    assert!(!log.contains("collector"), "{log}");
    // One that takes connections and never answers, and one that refuses them.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = (format!("http://{}", mute.local_addr().unwrap()), mute);
    for (collector, at_once) in [("http://127.0.0.1:9", true), (mute.0.as_str(), false)] {
        let traces = [("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_METRIC_EXPORT_INTERVAL", "100")];
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector), traces[0], traces[1]];
        let began = Instant::now();
        let (took, failed, log) = play(&env).await;
        let said = log.matches("could not be delivered to the collector").count();
        let minutes = began.elapsed().as_secs() as usize / 60;
        assert!(said <= 1 + minutes, "said {said} times:\n{log}");
        // That nobody answers is known only after some seconds.
        assert!(!at_once || said > 0 && failed > 0.0, "what is lost is said and counted:\n{log}");
        assert!(took < usual * 1.5 + 60.0, "{took} s by the cloud's clock; without a collector {usual} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_cannot_be_used_is_said_and_stops_nothing() {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:planted@collector.example:4318")];
    let stage = Stage::open(Story::vault_deleted(), &env).await;
    let log = stage.stop().await;
    assert!(log.contains("OTEL_EXPORTER_OTLP_HEADERS") && !log.contains("planted"), "{log}");
}
