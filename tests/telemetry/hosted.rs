//! The handler of a function app: the host's invocation id on every line and span, the host's trace, and a collector that has
//! what it needs when the process is killed without a word.

use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;
use serde_json::{Value, json};

use crate::collector::{Collector, attributes};
use crate::doors::{alert, database};
use crate::handler::{Handler, ID, answer, usual};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn settings(collector: &Collector) -> Vec<(&'static str, String)> {
    let mut settings = usual();
    settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()));
    settings.push(("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-otlp-key".to_owned()));
    settings.push(("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()));
    settings.push(("OTEL_METRIC_EXPORT_INTERVAL", "50".to_owned()));
    settings.push(("WEBSITE_SITE_NAME", "func-keymend".to_owned()));
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_is_known_by_its_id_and_is_a_child_of_the_hosts_span() {
    let (collector, folder) = (Collector::open().await, tempfile::tempdir().unwrap());
    let handler = Handler::start(folder.path(), &settings(&collector)).await;
    handler.until(|health| health["status"] == "ok").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let timer = json!({ "Data": { "timer": {} }, "Metadata": {} }).to_string();
    let call = handler.call(Method::POST, "/patrol").header("traceparent", &traceparent).body(timer);
    assert_eq!(answer(call).await.0, 200);
    let body = alert(&database("orders"), "e-1").to_string();
    let call = handler.call(Method::POST, "/api/alerts").header("traceparent", &traceparent).body(body);
    assert_eq!(answer(call).await.0, 202);
    let bell = json!({ "v": 1, "job": "pass:km-20261124-0207-none" });
    assert_eq!(handler.invoke("jobs", json!({ "job": bell.to_string() })).await.0, 200);

    let of = |name: &'static str| move |span: &Span| span.name == name;
    for name in ["patrol", "alerts", "jobs"] {
        collector.until_span(of(name)).await;
    }
    collector.until_metric("keymend.queue.age").await;
    let left = handler.stop("-KILL");
    for (name, parent) in [("patrol", PARENT), ("alerts", PARENT), ("jobs", "")] {
        let span = collector.spans().into_iter().find(|span| span.name == name).unwrap();
        let about = attributes(&span.attributes);
        assert_eq!((about["invocation"].as_str(), about["function"].as_str()), (ID, name));
        assert_eq!(hex::encode(&span.parent_span_id), parent, "{name}");
        assert_eq!(hex::encode(&span.trace_id) == TRACE, !parent.is_empty(), "{name}");
        assert!(about["http.response.status_code"].starts_with('2'), "{about:?}");
    }
    let process = collector.resource();
    assert_eq!(
        (process["faas.name"].as_str(), process["cloud.platform"].as_str()),
        ("func-keymend", "azure_functions")
    );
    lines(&left.log());
    assert!(!left.log().contains("planted-otlp-key"));
}

/// Every line that an invocation caused carries its id.
fn lines(log: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stored = lines.iter().find(|line| line["message"] == "an alert was stored").expect("the alert is logged");
    let spans = stored["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["invocation"] == ID && span["function"] == "alerts"), "{stored}");
    let done = lines.iter().filter(|line| line["message"] == "done");
    assert!(done.clone().count() >= 2);
    for line in done {
        assert!(line["spans"].as_array().unwrap().iter().any(|span| span["invocation"] == ID), "{line}");
    }
}

/// Without a collector the same process sends nothing and has no page.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_page_under_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    let (status, body) = answer(handler.call(Method::GET, "/metrics")).await;
    assert_eq!(status, 404, "{body}");
}
