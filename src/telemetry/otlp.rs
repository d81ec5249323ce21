//! Whether and how spans and metrics are sent to a collector: OTLP over http/protobuf, by OpenTelemetry's own environment
//! variables (specification: "OTLP exporter configuration", "Environment variable specification").

use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor};
use tokio::runtime::Handle;
use url::{Host, Url};

use super::carrier::{Carrier, Complaints};

/// How often metrics are sent unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise. Under the Functions host the process is
/// killed without a word: what is not sent by then is lost. Spans are sent every 5 seconds, as is OpenTelemetry's default.
const METRICS_EVERY: Duration = Duration::from_secs(10);

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is to be sent, and what is wrong with the settings.
#[derive(Debug, Default)]
pub(super) struct Exporters {
    pub spans: Option<BatchSpanProcessor>,
    pub metrics: Option<PeriodicReader<MetricExporter>>,
    /// In words, without secrets.
    pub faults: Vec<String>,
}

/// Makes the exporters that the environment asks for; none where it names no collector.
pub(super) fn exporters(env: Env<'_>, tokio: &Handle) -> Exporters {
    let (mut exporters, complaints) = (Exporters::default(), Complaints::default());
    match asked_for("traces", env) {
        Ok(Some(local)) => match spans(local, tokio, complaints.clone()) {
            Ok(spans) => exporters.spans = Some(spans),
            Err(why) => exporters.faults.push(format!("traces are not sent: {why}")),
        },
        Ok(None) => {}
        Err(why) => exporters.faults.push(format!("traces are not sent: {why}")),
    }
    match asked_for("metrics", env) {
        Ok(Some(local)) => match metrics(local, env, tokio, complaints) {
            Ok(metrics) => exporters.metrics = Some(metrics),
            Err(why) => exporters.faults.push(format!("metrics are not sent: {why}")),
        },
        Ok(None) => {}
        Err(why) => exporters.faults.push(format!("metrics are not sent: {why}")),
    }
    exporters
}

fn spans(local: bool, tokio: &Handle, complaints: Complaints) -> Result<BatchSpanProcessor, String> {
    let carrier = carrier("traces", local, tokio, complaints)?;
    let exporter = SpanExporter::builder().with_http().with_http_client(carrier).build();
    let exporter = exporter.map_err(|_| "the exporter could not be made of OTEL_EXPORTER_OTLP_*")?;
    Ok(BatchSpanProcessor::builder(exporter).with_batch_config(BatchConfigBuilder::default().build()).build())
}

fn metrics(
    local: bool,
    env: Env<'_>,
    tokio: &Handle,
    complaints: Complaints,
) -> Result<PeriodicReader<MetricExporter>, String> {
    let carrier = carrier("metrics", local, tokio, complaints)?;
    let exporter = MetricExporter::builder().with_http().with_http_client(carrier).build();
    let exporter = exporter.map_err(|_| "the exporter could not be made of OTEL_EXPORTER_OTLP_*")?;
    let mut reader = PeriodicReader::builder(exporter);
    if set(env, "OTEL_METRIC_EXPORT_INTERVAL").is_none() {
        reader = reader.with_interval(METRICS_EVERY);
    }
    Ok(reader.build())
}

fn carrier(what: &'static str, local: bool, tokio: &Handle, complaints: Complaints) -> Result<Carrier, String> {
    Carrier::new(what, local, tokio.clone(), complaints).map_err(|error| error.without_url().to_string())
}

/// Whether `what` (`traces`, `metrics`) is to be sent: `Some(true)` if to a collector on this machine.
fn asked_for(what: &str, env: Env<'_>) -> Result<Option<bool>, String> {
    if set(env, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let upper = what.to_ascii_uppercase();
    if set(env, &format!("OTEL_{upper}_EXPORTER")).is_some_and(|value| value.eq_ignore_ascii_case("none")) {
        return Ok(None);
    }
    let either = |suffix: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{upper}_{suffix}");
        let shared = format!("OTEL_EXPORTER_OTLP_{suffix}");
        set(env, &own).map(|value| (own, value)).or_else(|| set(env, &shared).map(|value| (shared, value)))
    };
    let Some((name, endpoint)) = either("ENDPOINT") else { return Ok(None) };
    if let Some((name, protocol)) = either("PROTOCOL")
        && !protocol.eq_ignore_ascii_case("http/protobuf")
    {
        return Err(format!("{name} asks for a protocol that is not spoken here; write http/protobuf"));
    }
    if let Some((name, value)) = either("HEADERS")
        && value.starts_with("@Microsoft.KeyVault(")
    {
        return Err(format!("{name} holds a Key Vault reference that the platform did not resolve"));
    }
    if let Some((name, _)) = either("COMPRESSION").filter(|(_, value)| !value.eq_ignore_ascii_case("none")) {
        return Err(format!("{name} asks for a compression, and none is built in; remove it"));
    }
    // The value is not repeated: it may hold a key.
    let url =
        Url::parse(&endpoint).map_err(|_| format!("{name} is no URL; write one such as http://localhost:4318"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("{name} must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{name} holds a user name or password; put them into OTEL_EXPORTER_OTLP_HEADERS"));
    }
    Ok(Some(match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }))
}

fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(what: &str, vars: &[(&str, &str)]) -> Result<Option<bool>, String> {
        asked_for(what, &|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318");

    #[test]
    fn nothing_is_sent_unless_somebody_asks() {
        assert_eq!(ask("traces", &[]), Ok(None));
        assert_eq!(ask("traces", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "  ")]), Ok(None));
        assert_eq!(ask("metrics", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:1")]), Ok(None));
        assert_eq!(ask("traces", &[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(ask("traces", &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        assert_eq!(ask("metrics", &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(Some(false)));
    }

    #[test]
    fn the_own_endpoint_wins_and_loopback_is_known() {
        assert_eq!(ask("traces", &[ENDPOINT]), Ok(Some(false)));
        for local in ["http://127.0.0.1:4318/v1/traces", "http://[::1]:4318", "http://localhost:4318"] {
            assert_eq!(ask("traces", &[ENDPOINT, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", local)]), Ok(Some(true)));
        }
    }

    #[test]
    fn what_cannot_work_is_said_without_the_secret() {
        let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/topsecret)";
        for vars in [
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector-topsecret:4318"), ("A", "")],
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:topsecret@collector.example"), ("A", "")],
            [ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            [ENDPOINT, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", reference)],
            [ENDPOINT, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
        ] {
            let why = ask("traces", &vars).unwrap_err();
            assert!(why.starts_with("OTEL_EXPORTER_OTLP") && !why.contains("topsecret"), "{why}");
        }
    }
}
