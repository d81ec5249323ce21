//! A collector on loopback that takes OTLP over http/protobuf and keeps what it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

/// What one delivery held.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `traces` or `metrics`.
    pub what: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A running collector.
pub struct Collector {
    pub url: String,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Collector {
    pub async fn open() -> Self {
        let deliveries: Arc<Mutex<Vec<Delivery>>> = Arc::default();
        let keep = |State(kept): State<Arc<Mutex<Vec<Delivery>>>>,
                    Path(what): Path<String>,
                    headers: HeaderMap,
                    body: Bytes| async move {
            kept.lock().unwrap().push(Delivery { what, headers, body: body.to_vec() });
            StatusCode::OK
        };
        let router = Router::new().route("/v1/{what}", post(keep)).with_state(Arc::clone(&deliveries));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, deliveries }
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }

    /// Waits until something of this kind was delivered.
    pub async fn until(&self, what: &str) {
        let began = Instant::now();
        while !self.deliveries().iter().any(|one| one.what == what) {
            assert!(began.elapsed() < Duration::from_secs(60), "no {what} came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a span of this kind was delivered.
    pub async fn until_span(&self, wanted: impl Fn(&Span) -> bool) {
        let began = Instant::now();
        while !self.spans().iter().any(&wanted) {
            assert!(began.elapsed() < Duration::from_secs(60), "no such span came: {:?}", self.spans());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a metric of this name was delivered.
    pub async fn until_metric(&self, name: &str) {
        let began = Instant::now();
        while !self.metric_names().contains(name) {
            assert!(began.elapsed() < Duration::from_secs(60), "{name} is not in {:?}", self.metric_names());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every span that was delivered.
    pub fn spans(&self) -> Vec<Span> {
        let traces = self.deliveries().into_iter().filter(|one| one.what == "traces");
        let requests = traces.map(|one| ExportTraceServiceRequest::decode(one.body.as_slice()).unwrap());
        let scopes = requests.flat_map(|one| one.resource_spans).flat_map(|one| one.scope_spans);
        scopes.flat_map(|one| one.spans).collect()
    }

    fn metric_requests(&self) -> Vec<ExportMetricsServiceRequest> {
        let metrics = self.deliveries().into_iter().filter(|one| one.what == "metrics");
        metrics.map(|one| ExportMetricsServiceRequest::decode(one.body.as_slice()).unwrap()).collect()
    }

    /// The names of the metrics that were delivered.
    pub fn metric_names(&self) -> BTreeSet<String> {
        let scopes = self.metric_requests().into_iter().flat_map(|one| one.resource_metrics);
        let metrics = scopes.flat_map(|one| one.scope_metrics).flat_map(|one| one.metrics);
        metrics.map(|metric| metric.name).collect()
    }

    /// What the process says about itself with its metrics.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let last = self.metric_requests().pop().unwrap();
        let resource = last.resource_metrics[0].resource.clone().unwrap();
        attributes(&resource.attributes)
    }
}

/// Attributes as texts.
pub fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    list.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}
