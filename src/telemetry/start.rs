//! Puts the readers together when the process starts, and flushes when it stops.

use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use prometheus::Registry;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::page::Page;
use super::{catalogue, count, otlp, readings, resource};

/// How long the last delivery may take when the process is asked to stop.
const LAST_DELIVERY: Duration = Duration::from_secs(2);

/// What a process wants of its telemetry.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whether metrics can be asked for as Prometheus text.
    pub page: bool,
    /// What tells this process from others.
    pub instance: String,
    /// When it started.
    pub started: Timestamp,
}

/// What reads in this process.
#[derive(Debug)]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    page: Option<Page>,
    /// Whether metrics are sent somewhere, so that the store should be read now and then.
    pub sends_metrics: bool,
    /// What is wrong with the settings of the exporters, in words, without secrets. They are off; all else works.
    pub faults: Vec<String>,
}

/// Starts what `wanted` and the environment ask for; nothing is started otherwise. Must be called inside a tokio runtime,
/// before the log is started. To be called once in a process.
#[must_use]
pub fn start(wanted: &Wanted, env: &dyn Fn(&str) -> Option<String>) -> Telemetry {
    let exporters = otlp::exporters(env, &Handle::current());
    let mut faults = exporters.faults;
    let resource = resource::resource(&wanted.instance, env);
    let spans = exporters
        .spans
        .map(|spans| SdkTracerProvider::builder().with_span_processor(spans).with_resource(resource.clone()).build());
    let page = if wanted.page { exporter().map_err(|why| faults.push(why)).ok() } else { None };
    let sends_metrics = exporters.metrics.is_some();
    let (reader, page) = page.unzip();
    let metrics = (sends_metrics || page.is_some()).then(|| {
        let mut provider = SdkMeterProvider::builder().with_resource(resource);
        if let Some(metrics) = exporters.metrics {
            provider = provider.with_reader(metrics);
        }
        if let Some(reader) = reader {
            provider = provider.with_reader(reader);
        }
        provider.build()
    });
    if let Some(metrics) = &metrics {
        let meter = metrics.meter_with_scope(scope());
        let instruments = catalogue::open(&meter);
        readings::open(&meter);
        instruments.started.record(wanted.started.as_millisecond() as f64 / 1000.0, &[]);
        instruments.build.record(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
        count::begin_at_nought(instruments);
    }
    Telemetry { spans, metrics, page, sends_metrics, faults }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("keymend").with_version(env!("CARGO_PKG_VERSION")).build()
}

fn exporter() -> Result<(opentelemetry_prometheus::PrometheusExporter, Page), String> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build();
    exporter.map(|exporter| (exporter, Page::new(registry))).map_err(|error| format!("no /metrics: {error}"))
}

impl Telemetry {
    /// The layer by which our spans reach the collector; `None` where there is none. Log lines are not sent: they go to
    /// the log, and may hold names of people.
    #[must_use]
    pub fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer: SdkTracer = self.spans.as_ref()?.tracer_with_scope(scope());
        let ours = |about: &Metadata<'_>| about.is_span() && about.target().starts_with("keymend");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(filter_fn(ours).with_max_level_hint(LevelFilter::DEBUG)).boxed())
    }

    /// The metrics as text, where they were wanted.
    #[must_use]
    pub fn page(&self) -> Option<Page> {
        self.page.clone()
    }

    /// Keeps what reads until the process ends, for one that is killed: nothing is flushed then.
    pub fn keep(self) {
        // Dropping the providers would stop them.
        std::mem::forget(self);
    }

    /// Sends what is left, within two seconds, and stops.
    pub async fn stop(self) {
        let Self { spans, metrics, .. } = self;
        let flush = tokio::task::spawn_blocking(move || {
            if let Some(spans) = spans {
                let _ = spans.shutdown_with_timeout(LAST_DELIVERY);
            }
            if let Some(metrics) = metrics {
                let _ = metrics.shutdown_with_timeout(LAST_DELIVERY);
            }
        });
        // What the collector does not take by now is lost; whoever stops us waits.
        let _ = tokio::time::timeout(LAST_DELIVERY, flush).await;
    }
}
