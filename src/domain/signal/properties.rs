//! What holds for every body whatever: no mutation of a known one, no JSON and no bytes make the parser panic, tell
//! something unfit to keep, or take long; and casing never decides.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::clean::{LONGEST_NAME, LONGEST_TEXT};
use super::{Reading, Signal, read, validation_code};

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the fixtures are there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn fixtures() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/payloads");
    files_below(&directory).iter().map(|file| std::fs::read(file).expect("a fixture can be read")).collect()
}

static JSON_FIXTURES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let parsed = fixtures().into_iter().filter_map(|body| serde_json::from_slice(&body).ok());
    let fixtures: Vec<Value> = parsed.filter(|value: &Value| !value.is_null()).collect();
    assert!(fixtures.len() > 100, "the fixtures are read");
    fixtures
});

/// Reads a body, and asserts what must hold for any.
fn sound(body: &[u8]) -> Reading {
    let reading = read(body);
    assert_eq!(reading, read(body), "the same body reads the same");
    let _ = validation_code(body);
    match &reading {
        Reading::Signals(signals) => {
            assert!(!signals.is_empty(), "a signal reading tells at least one");
            for signal in signals {
                sound_signal(signal);
            }
        }
        Reading::Ignored(reason) | Reading::Malformed(reason) => {
            assert!(!reason.is_empty() && reason.chars().count() < 2 * LONGEST_NAME, "{reason}");
            assert!(!reason.chars().any(char::is_control), "{reason:?}");
        }
    }
    reading
}

fn sound_signal(signal: &Signal) {
    let fits = |text: &Option<String>, longest: usize| {
        text.iter().all(|t| !t.is_empty() && t.chars().count() <= longest && !t.chars().any(char::is_control))
    };
    assert!(fits(&signal.text, LONGEST_TEXT) && fits(&signal.caller, LONGEST_NAME), "{signal:?}");
    assert!(fits(&signal.event_id, 256) && fits(&signal.correlation_id, LONGEST_NAME), "{signal:?}");
    assert!(signal.subject().contains(&signal.target), "{signal:?}");
    assert_eq!(signal.fingerprint().len(), 64);
    let stored = serde_json::to_string(signal).expect("a signal can be stored");
    let again: Signal = serde_json::from_str(&stored).expect("a stored signal can be read");
    assert_eq!((&again, again.fingerprint()), (signal, signal.fingerprint()));
}

/// One change at one place of a document.
#[derive(Debug, Clone)]
enum Change {
    Drop,
    Replace(Value),
    Uppercase,
    RenameKey(String),
    Deepen(usize),
    Lengthen(usize),
    Stringify,
    Repeat(usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => Just(Change::Drop),
        2 => Just(Change::Replace(Value::Null)),
        2 => any_json().prop_map(Change::Replace),
        2 => Just(Change::Uppercase),
        1 => "\\PC{0,12}".prop_map(Change::RenameKey),
        1 => (1_usize..120).prop_map(Change::Deepen),
        1 => (1_usize..50_000).prop_map(Change::Lengthen),
        2 => Just(Change::Stringify),
        1 => (2_usize..40).prop_map(Change::Repeat),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        "\\PC{0,24}",
        any::<String>(),
        Just("MakeDatabaseInaccessible".to_owned()),
        Just("/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/x/databases/y".to_owned()),
        Just("/providers//".to_owned()),
        Just("{\"a\":[\"{}\"]}".to_owned()),
        Just("2026-13-45T99:99:99.9999999999999Z".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The keys that the parser looks for, so that arbitrary documents reach its inner rooms.
fn any_key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "schemaId",
        "data",
        "essentials",
        "alertContext",
        "alertTargetIDs",
        "context",
        "activityLog",
        "operationName",
        "properties",
        "eventName",
        "status",
        "authorization",
        "scope",
        "resourceId",
        "id",
        "eventType",
        "type",
        "source",
        "topic",
        "subject",
        "specversion",
        "time",
        "eventTimestamp",
        "records",
        "value",
        "RequestBody",
        "WebhookName",
        "claims",
        "caller",
        "condition",
        "identity",
        "resourceUri",
        "isSynthetic",
        "alertId",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

/// Applies a change to the place that `at` leads to: at each step one of the children, until there is none or `at` ends.
fn apply(value: &mut Value, at: &[usize], change: &Change) {
    let Some((step, rest)) = at.split_first() else { return apply_here(value, change) };
    match value {
        Value::Object(object) if !object.is_empty() => {
            let key = object.keys().nth(step % object.len()).cloned().unwrap_or_default();
            match change {
                Change::Drop if rest.is_empty() => drop(object.shift_remove(&key)),
                Change::RenameKey(name) if rest.is_empty() => {
                    let inner = object.shift_remove(&key).unwrap_or_default();
                    object.insert(name.clone(), inner);
                }
                _ => apply(object.entry(key).or_insert(Value::Null), rest, change),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = step % items.len();
            apply(&mut items[index], rest, change);
        }
        leaf => apply_here(leaf, change),
    }
}

fn apply_here(value: &mut Value, change: &Change) {
    *value = match (change, value.take()) {
        (Change::Drop, _) => Value::Null,
        (Change::Replace(with), _) => with.clone(),
        (Change::Uppercase, Value::String(text)) => json!(text.to_uppercase()),
        (Change::Deepen(levels), inner) => (0..*levels)
            .fold(inner, |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "properties": inner }) }),
        (Change::Lengthen(length), Value::String(text)) => json!(format!("{text}{}", "İß\u{7}x ".repeat(length / 8))),
        (Change::Lengthen(length), inner) => json!([inner, "y".repeat(*length)]),
        (Change::Stringify, inner) => json!(inner.to_string()),
        (Change::Repeat(times), inner) => Value::from(vec![inner; *times]),
        (Change::Uppercase | Change::RenameKey(_), inner) => inner,
    };
}

fn any_changes() -> impl Strategy<Value = Vec<(Vec<usize>, Change)>> {
    prop::collection::vec((prop::collection::vec(any::<usize>(), 0..8), any_change()), 1..4)
}

/// Gives every letter of ids, operations, names and statuses a casing of its own.
fn recase(key: &str, value: &mut Value, bits: &mut impl Iterator<Item = bool>) {
    const CASELESS: [&str; 10] = [
        "schemaId",
        "operationName",
        "action",
        "eventType",
        "type",
        "status",
        "eventName",
        "resultType",
        "topic",
        "source",
    ];
    match value {
        Value::String(text) => {
            if CASELESS.contains(&key) || text.trim_start().to_lowercase().starts_with("/subscriptions/") {
                let flip = |c: char| match bits.next() {
                    Some(true) => c.to_ascii_uppercase(),
                    _ => c.to_ascii_lowercase(),
                };
                *text = text.chars().map(flip).collect();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| recase(key, item, bits)),
        Value::Object(object) => object.iter_mut().for_each(|(inner, value)| {
            let inner = if inner == "value" { key } else { inner };
            recase(inner, value, bits);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a reading comes to, whatever the spelling.
fn outline(reading: &Reading) -> Result<Vec<(super::SignalKind, String, String)>, &'static str> {
    match reading {
        Reading::Signals(signals) => Ok(signals
            .iter()
            .map(|signal| (signal.kind, signal.target.key().to_owned(), signal.fingerprint()))
            .collect()),
        Reading::Ignored(_) => Err("ignored"),
        Reading::Malformed(_) => Err("malformed"),
    }
}

proptest! {
    #[test]
    fn no_mutation_of_a_known_body_breaks_the_parser(
        which in any::<prop::sample::Index>(), changes in any_changes(), cut in prop::option::of(any::<prop::sample::Index>()),
        rot in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut body = which.get(&JSON_FIXTURES).clone();
        for (at, change) in &changes {
            apply(&mut body, at, change);
        }
        let mut bytes = body.to_string().into_bytes();
        sound(&bytes);
        if let Some((at, byte)) = rot {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            sound(&bytes);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            sound(&bytes);
        }
    }

    #[test]
    fn casing_never_decides(which in any::<prop::sample::Index>(), bits in prop::collection::vec(any::<bool>(), 1..64)) {
        let plain = which.get(&JSON_FIXTURES);
        let mut recased = plain.clone();
        recase("", &mut recased, &mut bits.iter().copied().cycle());
        prop_assert_eq!(outline(&sound(plain.to_string().as_bytes())), outline(&sound(recased.to_string().as_bytes())));
    }

    #[test]
    fn any_json_is_read(body in any_json()) {
        sound(body.to_string().as_bytes());
    }

    #[test]
    fn any_known_schema_around_any_json_is_read(data in any_json(), schema in prop::sample::select(vec![
        "azureMonitorCommonAlertSchema", "Microsoft.Insights/activityLogs", "AzureMonitorMetricAlert", "",
    ])) {
        sound(json!({"schemaId": schema, "data": data}).to_string().as_bytes());
        sound(json!({"schemaId": schema, "data": {"alertContext": data, "context": {"activityLog": data}}}).to_string().as_bytes());
    }

    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..512)) {
        sound(&body);
    }
}

#[test]
fn every_known_body_is_sound() {
    for body in fixtures() {
        sound(&body);
    }
}

#[test]
fn a_mebibyte_of_anything_is_read_quickly() {
    const SIZE: usize = 1 << 20;
    let event = |fields: Value| {
        json!({"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": {"signalType": "Activity Log"},
            "alertContext": {"operationName": "Microsoft.Sql/servers/databases/write", "properties": fields}}})
        .to_string()
    };
    let nested_strings = (0..12).fold("{\"a\":1}".to_owned(), |inner, _| json!({ "requestbody": inner }).to_string());
    let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/x/databases/";
    let targets: Vec<String> = (0..SIZE / 100).map(|n| format!("{id}d{n}")).collect();
    let bodies = [
        "[".repeat(SIZE),
        format!("[{}]", vec!["[]"; SIZE / 3].join(",")),
        format!("[{}]", vec!["{\"id\":1}"; SIZE / 9].join(",")),
        format!("{{{}}}", (0..SIZE / 16).map(|n| format!("\"k{n}\":[{n}]")).collect::<Vec<_>>().join(",")),
        format!("\"{}\"", "\\\"".repeat(SIZE / 2)),
        event(json!("make".repeat(SIZE / 4))),
        event(json!("within ".repeat(SIZE / 7))),
        event(json!("{\"a\":".repeat(SIZE / 6))),
        event(json!(vec!["[1]"; SIZE / 6])),
        event(json!(vec!["key vault within 8 x"; SIZE / 24])),
        event(json!(nested_strings)),
        event(json!(" \u{7}".repeat(SIZE / 2))),
        event(json!((0..SIZE / 16).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>())),
        json!({"alertContext": {"operationName": "Microsoft.Sql/servers/databases/write"}, "essentials": {"alertTargetIDs": targets}})
            .to_string(),
        json!({"operationName": "Microsoft.Sql/servers/databases/write", "resourceId": format!("{id}{}", "/x".repeat(SIZE / 2))})
            .to_string(),
    ];
    for body in bodies {
        let begun = Instant::now();
        let _ = read(body.as_bytes());
        // A quadratic step over a mebibyte takes minutes; a linear one well under a second even on a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(20), "{}… took {:?}", &body[..80], begun.elapsed());
    }
}

#[test]
fn many_targets_are_all_told() {
    let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/x/databases/";
    let targets: Vec<String> = (0..5000).map(|n| format!("{id}d{n}")).collect();
    let body = json!({"alertContext": {"operationName": "Microsoft.Sql/servers/databases/write"}, "essentials": {"alertTargetIDs": targets}});
    let Reading::Signals(signals) = read(body.to_string().as_bytes()) else { panic!("signals") };
    assert_eq!(signals.len(), 5000);
}
