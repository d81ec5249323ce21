//! `host.json`, read as the host reads it: keys in any case, app settings `AzureFunctionsJobHost__…` above the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// App settings.
pub type AppSettings = BTreeMap<String, String>;

/// What the host takes from `host.json`.
#[derive(Debug, Clone)]
pub struct HostJson {
    pub executable: String,
    pub working_directory: String,
    pub arguments: Vec<String>,
    pub proxying: bool,
    pub forwarding: bool,
    pub port: Option<u16>,
    pub initialization_timeout: Duration,
    pub route_prefix: String,
    pub function_timeout: Duration,
    pub queues: Queues,
    /// Functions made from `customHandler.http.routes`.
    pub has_http_routes: bool,
}

/// `extensions.queues`.
#[derive(Debug, Clone)]
pub struct Queues {
    pub batch_size: usize,
    pub new_batch_threshold: usize,
    pub max_dequeue_count: u64,
    /// How long a message is invisible after a failed try.
    pub visibility_timeout: Duration,
    pub max_polling_interval: Duration,
    pub base64: bool,
}

impl HostJson {
    /// Reads `host.json` in the app root.
    pub fn read(app_root: &Path, settings: &AppSettings) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(app_root.join("host.json")).map_err(|error| format!("host.json: {error}"))?;
        let mut json = serde_json::from_str(&text).map_err(|error| format!("host.json: {error}"))?;
        override_by(&mut json, settings);
        Self::parse(&json, settings)
    }

    fn parse(json: &Value, settings: &AppSettings) -> Result<Self, String> {
        if at(json, &["version"]) != &json!("2.0") {
            return Err("host.json: version must be \"2.0\"".to_owned());
        }
        let handler = at(json, &["customHandler"]);
        let description = at(handler, &["description"]);
        let Some(executable) = text(description, "defaultExecutablePath").filter(|path| !path.is_empty()) else {
            return Err("Missing worker Description.".to_owned());
        };
        let arguments = at(description, &["arguments"]).as_array().cloned().unwrap_or_default();
        let arguments = arguments.iter().filter_map(Value::as_str).map(|argument| expand(argument, settings));
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        Ok(Self {
            executable: expand(&executable, settings),
            working_directory: text(description, "workingDirectory").unwrap_or_default(),
            // They are joined with spaces and never quoted, so that is where they are divided again.
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            proxying: flag(handler, "enableProxyingHttpRequest")?,
            forwarding: flag(handler, "enableForwardingHttpRequest")?,
            port: text(handler, "port").map(|port| port.parse().map_err(|_| format!("port {port:?}"))).transpose()?,
            initialization_timeout: span(handler, "initializationTimeout")?.unwrap_or(Duration::from_secs(30)),
            route_prefix: text(at(json, &["extensions", "http"]), "routePrefix").unwrap_or_else(|| "api".to_owned()),
            function_timeout: span(json, "functionTimeout")?.unwrap_or(Duration::from_secs(30 * 60)),
            queues: Queues::parse(at(json, &["extensions", "queues"]))?,
            has_http_routes: at(handler, &["http", "routes"]).as_array().is_some_and(|routes| !routes.is_empty()),
        })
    }
}

impl Queues {
    fn parse(json: &Value) -> Result<Self, String> {
        let batch_size = number(json, "batchSize", 16, 1..=32)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        Ok(Self {
            batch_size: batch_size as usize,
            new_batch_threshold: number(json, "newBatchThreshold", (batch_size / 2) * cores, 0..=u64::MAX)? as usize,
            max_dequeue_count: number(json, "maxDequeueCount", 5, 1..=u64::MAX)?,
            visibility_timeout: span(json, "visibilityTimeout")?.unwrap_or_default(),
            max_polling_interval: span(json, "maxPollingInterval")?.unwrap_or(Duration::from_secs(60)),
            base64: match text(json, "messageEncoding").map(|name| name.to_ascii_lowercase()).as_deref() {
                None | Some("base64") => true,
                Some("none") => false,
                Some(other) => return Err(format!("messageEncoding {other:?}")),
            },
        })
    }
}

/// The value at a path of keys in any case; `null` where there is none.
pub fn at<'a>(json: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(json, |json, key| {
        let found = json.as_object().and_then(|map| map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        found.map_or(&Value::Null, |(_, value)| value)
    })
}

fn text(json: &Value, key: &str) -> Option<String> {
    match at(json, &[key]) {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn flag(json: &Value, key: &str) -> Result<bool, String> {
    let Some(text) = text(json, key) else { return Ok(false) };
    text.to_ascii_lowercase().parse().map_err(|_| format!("{key} {text:?} is no boolean"))
}

fn number(json: &Value, key: &str, usual: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let Some(text) = text(json, key) else { return Ok(usual) };
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("{key} {text:?} is not in {allowed:?}"))
}

fn span(json: &Value, key: &str) -> Result<Option<Duration>, String> {
    text(json, key).map(|text| time_span(&text).ok_or_else(|| format!("{key} {text:?} is no TimeSpan"))).transpose()
}

/// .NET's `[d.]hh:mm:ss[.fff]`.
pub fn time_span(text: &str) -> Option<Duration> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let (days, hours, minutes): (u64, u64, u64) = (days.parse().ok()?, hours.parse().ok()?, minutes.parse().ok()?);
    let seconds: f64 = seconds.parse().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    let valid = parts.next().is_none() && hours < 24 && minutes < 60;
    valid.then(|| Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60) + Duration::from_secs_f64(seconds))
}

/// `%NAME%` becomes the setting of that name, and nothing where there is none.
pub fn expand(text: &str, settings: &AppSettings) -> String {
    let parts: Vec<&str> = text.split('%').collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned();
    }
    let value = |(at, part): (usize, &&str)| match at % 2 {
        0 => (*part).to_owned(),
        _ => settings.get(*part).cloned().unwrap_or_default(),
    };
    parts.iter().enumerate().map(value).collect()
}

fn override_by(json: &mut Value, settings: &AppSettings) {
    for (name, value) in settings {
        let Some(path) = name.strip_prefix("AzureFunctionsJobHost__") else { continue };
        let mut place = &mut *json;
        for key in path.split("__") {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(map) = place else { return };
            let known = map.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
            place = map.entry(known.unwrap_or_else(|| key.to_owned())).or_insert(Value::Null);
        }
        *place = Value::String(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_json(handler: Value) -> Value {
        json!({ "version": "2.0", "customHandler": handler })
    }

    #[test]
    fn what_the_host_refuses_is_refused() {
        let none = AppSettings::new();
        let described = json!({ "description": { "defaultExecutablePath": "keymend" } });
        assert!(HostJson::parse(&host_json(described.clone()), &none).is_ok());
        assert!(HostJson::parse(&host_json(json!({})), &none).unwrap_err().contains("Description"));
        assert!(HostJson::parse(&json!({ "version": "1.0", "customHandler": described }), &none).is_err());
        let mut wrong = host_json(described);
        wrong["extensions"] = json!({ "queues": { "batchSize": 33 } });
        assert!(HostJson::parse(&wrong, &none).unwrap_err().contains("batchSize"));
    }

    #[test]
    fn app_settings_are_above_the_file_and_fill_in_arguments() {
        let settings = AppSettings::from([
            ("AzureFunctionsJobHost__extensions__queues__maxDequeueCount".to_owned(), "3".to_owned()),
            ("AzureFunctionsJobHost__functiontimeout".to_owned(), "00:00:07".to_owned()),
            ("ROLE".to_owned(), "toy".to_owned()),
        ]);
        let mut json = host_json(
            json!({ "description": { "DefaultExecutablePath": "keymend", "arguments": ["--as=%ROLE%", "%UNKNOWN%", "-v"] } }),
        );
        json["functionTimeout"] = json!("00:10:00");
        override_by(&mut json, &settings);
        let read = HostJson::parse(&json, &settings).unwrap();
        assert_eq!(read.queues.max_dequeue_count, 3);
        assert_eq!(read.function_timeout, Duration::from_secs(7));
        assert_eq!(read.arguments, ["--as=toy", "-v"]);
    }

    #[test]
    fn time_spans_are_those_of_dot_net() {
        assert_eq!(time_span("00:10:00"), Some(Duration::from_secs(600)));
        assert_eq!(time_span("1.02:00:00.5"), Some(Duration::from_millis(26 * 3_600_000 + 500)));
        assert_eq!(time_span("00:61:00"), None);
        assert_eq!(time_span("600"), None);
    }
}
