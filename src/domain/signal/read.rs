//! From bytes to a [`Reading`]: which envelope is it, and what is inside.

use std::collections::HashSet;

use super::clean::{LONGEST_NAME, words};
use super::common::{other_kind, read_common};
use super::event::{Around, is_event, read_event};
use super::event_grid::{is_envelope, read_envelope};
use super::json::{Object, Value, get, object_of, opened, text_of};
use super::{Reading, test_action};

/// How many envelopes may lie in one another (a runbook's wrapper around a batch around an alert).
const MOST_ENVELOPES: u8 = 4;

/// Reads any body that may be delivered to the door. Never panics; the work is linear in the body.
///
/// Understood are the common alert schema and the legacy `Microsoft.Insights/activityLogs`, with or without the wrapper
/// of an Automation runbook; a bare Activity Log event as REST, a storage account or an event hub gives it; events of
/// Event Grid in its own schema and as CloudEvents; and batches of any of these.
#[must_use]
pub fn read(body: &[u8]) -> Reading {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Ok(text) = std::str::from_utf8(body) else {
        return Reading::Malformed("the body is not UTF-8".to_owned());
    };
    if text.trim().is_empty() {
        return Reading::Malformed("the body is empty".to_owned());
    }
    match serde_json::from_str::<Value<'_>>(text) {
        Ok(value) => read_value(&value, 0),
        Err(error) => Reading::Malformed(format!("the body is not JSON: {error}")),
    }
}

fn read_value(value: &Value<'_>, depth: u8) -> Reading {
    if depth > MOST_ENVELOPES {
        return Reading::Malformed("too many envelopes inside one another".to_owned());
    }
    match value {
        Value::Object(object) => read_object(object, depth),
        Value::Array(items) => read_batch(items, depth),
        // Inside an envelope a body may be a string, as in a runbook's `RequestBody` or a batch of an event hub.
        Value::Str(text) if depth > 0 => match opened(text) {
            Some(inner) => read_value(&inner, depth + 1),
            None => Reading::Malformed("the wrapped body is not JSON".to_owned()),
        },
        _ => Reading::Malformed("the body is neither a JSON object nor an array".to_owned()),
    }
}

/// A batch tells everything that any of its parts tells.
fn read_batch(items: &[Value<'_>], depth: u8) -> Reading {
    let mut signals = Vec::new();
    let mut seen = HashSet::new();
    let (mut ignored, mut malformed) = (None, None);
    for item in items {
        match read_value(item, depth + 1) {
            Reading::Signals(told) => {
                signals.extend(told.into_iter().filter(|signal| seen.insert(signal.fingerprint())));
            }
            Reading::Ignored(reason) => ignored = ignored.or(Some(reason)),
            Reading::Malformed(reason) => malformed = malformed.or(Some(reason)),
        }
    }
    if !signals.is_empty() {
        return Reading::Signals(signals);
    }
    match (ignored, malformed) {
        (Some(reason), _) => Reading::Ignored(reason),
        (None, Some(reason)) => Reading::Malformed(reason),
        (None, None) => Reading::Malformed("the body is an empty list".to_owned()),
    }
}

fn read_object(object: &Object<'_>, depth: u8) -> Reading {
    if object.is_empty() {
        return Reading::Malformed("the body is an empty object".to_owned());
    }
    if let Some(schema) = text_of(object, &["schemaId"]) {
        return read_schema(object, &schema);
    }
    if get(object, "WebhookName").is_some() || get(object, "RequestBody").is_some() && !is_event(object) {
        return match get(object, "RequestBody") {
            Some(wrapped) => read_value(wrapped, depth + 1),
            None => Reading::Malformed("the runbook's wrapper holds no body".to_owned()),
        };
    }
    // `records`: diagnostic settings; `value`: a page of the Activity Log's REST list.
    if let Some(Value::Array(items)) = get(object, "records").or_else(|| get(object, "value"))
        && !is_event(object)
    {
        return read_batch(items, depth);
    }
    if is_envelope(object) {
        return read_envelope(object);
    }
    by_shape(object).unwrap_or_else(|| {
        Reading::Ignored(other_kind(object).unwrap_or("no alert or event of a known shape").to_owned())
    })
}

fn read_schema(object: &Object<'_>, schema: &str) -> Reading {
    let data = object_of(object, "data");
    match (schema.to_ascii_lowercase().as_str(), data.as_deref()) {
        ("azuremonitorcommonalertschema" | "microsoft.insights/activitylogs", None) => {
            Reading::Malformed(format!("the alert of the schema {schema} has no data"))
        }
        ("azuremonitorcommonalertschema", Some(data)) => read_common(data),
        ("microsoft.insights/activitylogs", Some(data)) => read_legacy(data)
            .unwrap_or_else(|| Reading::Malformed("the alert says it is about an event and carries none".to_owned())),
        ("azuremonitormetricalert", _) => Reading::Ignored("a metric alert".to_owned()),
        ("microsoft.insights/logalert", _) => Reading::Ignored("a log alert".to_owned()),
        ("aip budget notification", _) => Reading::Ignored("a budget alert".to_owned()),
        _ => by_shape(object).unwrap_or_else(|| {
            let schema = words(schema, LONGEST_NAME).unwrap_or_default();
            Reading::Ignored(format!("an alert of the schema {schema}"))
        }),
    }
}

/// Reads what has lost its schema or never had one.
fn by_shape(object: &Object<'_>) -> Option<Reading> {
    let has_common_parts = |part: &Object<'_>| get(part, "essentials").is_some() || get(part, "alertContext").is_some();
    if let Some(data) = object_of(object, "data") {
        if has_common_parts(&data) {
            return Some(read_common(&data));
        }
        if let Some(reading) = read_legacy(&data) {
            return Some(reading);
        }
    }
    if has_common_parts(object) {
        return Some(read_common(object));
    }
    read_legacy(object).or_else(|| is_event(object).then(|| label_test(read_event(object, &Around::default()), object)))
}

/// Reads the legacy schema's `data`, if there is an event in it.
fn read_legacy(data: &Object<'_>) -> Option<Reading> {
    let context = object_of(data, "context");
    let event = object_of(context.as_deref().unwrap_or(data), "activityLog")?;
    if test_action::certainly(None, Some(&event)) {
        return Some(Reading::Ignored(test_action::REASON.to_owned()));
    }
    Some(label_test(read_event(&event, &Around::default()), &event))
}

fn label_test(reading: Reading, event: &Object<'_>) -> Reading {
    match reading {
        Reading::Ignored(_) if test_action::probably(None, Some(event)) => {
            Reading::Ignored(test_action::REASON.to_owned())
        }
        reading => reading,
    }
}
