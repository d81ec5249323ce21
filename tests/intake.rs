//! `POST /api/alerts` over real HTTP: what is taken, what is refused, and that nothing is lost or leaked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod breaking;
mod doors;
#[cfg(feature = "drill")]
mod intake_tokens;
/// What must hold for any bytes: the fuzzers' own.
#[cfg(feature = "drill")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breaking::Breaking;
use doors::{Answer, Doors, SECRET, SUBSCRIPTION, Wanted, alert, database, head};
use keymend::domain::policy::Scope;
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::SignalKind;
use keymend::web::{Callers, Limits};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn orders() -> Value {
    alert(&database("orders"), "e-1")
}

#[tokio::test]
async fn an_alert_is_kept_before_it_is_acknowledged() {
    let doors = Doors::usual().await;
    let answer = doors.tell(orders().to_string()).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1, "repeated": 0 })));
    let kept = doors.kept().await;
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].kind, &kept[0].target), (SignalKind::AccessLost, &database("orders")));
    assert!(doors.has_work().await, "the responder has something to do");
    tokio::time::timeout(Duration::from_secs(5), doors.wake.heard()).await.expect("the responder is woken");
}

#[tokio::test]
async fn a_repeated_alert_changes_nothing() {
    let doors = Doors::usual().await;
    doors.tell(orders().to_string()).await;
    let again = doors.tell(orders().to_string()).await;
    assert_eq!((again.status, again.json()), (202, json!({ "accepted": 0, "repeated": 1 })));
    assert_eq!(doors.kept().await.len(), 1);
}

#[tokio::test]
async fn what_is_not_for_us_is_acknowledged_and_dropped() {
    let doors = Doors::usual().await;
    let elsewhere = database("orders").as_str().replace(SUBSCRIPTION, "99999999-2222-3333-4444-555555555555");
    let elsewhere = ResourceId::parse(&elsewhere).unwrap();
    for (what, body) in [
        ("out of scope", alert(&elsewhere, "e-2")),
        ("metric alert", json!({ "schemaId": "AzureMonitorMetricAlert", "data": {} })),
        ("budget", json!({ "schemaId": "AIP Budget Notification", "data": {} })),
    ] {
        let answer = doors.tell(body.to_string()).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        let reason = answer.json()["ignored"].as_str().unwrap_or_default().to_owned();
        assert!(!reason.is_empty(), "{what}");
        assert_eq!(what == "out of scope", reason == "out of scope", "{what}: {reason}");
    }
    assert!(!doors.has_work().await);
}

#[tokio::test]
async fn an_empty_scope_takes_nothing() {
    let doors = Doors::open(Wanted { scope: Scope::default(), ..Wanted::default() }).await;
    let answer = doors.tell(orders().to_string()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ignored": "out of scope" })));
}

#[tokio::test]
async fn a_lock_on_the_group_of_a_vault_in_scope_is_our_business() {
    let vault = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/kv");
    let scope = Scope { resources: vec![ResourceId::parse(&vault).unwrap()], ..Scope::default() };
    let doors = Doors::open(Wanted { scope, ..Wanted::default() }).await;
    let lock = |group: &str| {
        let id = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Authorization/locks/keep"
        );
        json!([{
            "id": format!("e-{group}"), "topic": format!("/subscriptions/{SUBSCRIPTION}"), "subject": id,
            "eventType": "Microsoft.Resources.ResourceWriteSuccess", "eventTime": "2026-11-24T02:00:00Z", "dataVersion": "2",
            "data": { "operationName": "Microsoft.Authorization/locks/write", "resourceUri": id, "status": "Succeeded" }
        }])
    };
    assert_eq!(doors.tell(lock("rg-keys").to_string()).await.status, 202);
    assert_eq!(doors.tell(lock("rg-other").to_string()).await.json(), json!({ "ignored": "out of scope" }));
}

#[tokio::test]
async fn what_cannot_be_read_is_malformed() {
    let doors = Doors::usual().await;
    let whole = orders().to_string();
    let mut foreign_bytes = whole.clone().into_bytes();
    foreign_bytes[40] = 0xff;
    for (what, body) in [
        ("nothing", Vec::new()),
        ("words", b"the vault is gone".to_vec()),
        ("half an alert", whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("not UTF-8", foreign_bytes),
        ("a number", b"42".to_vec()),
        ("deep", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        ("deep and open", br#"{"a":"#.repeat(50_000)),
    ] {
        let why = doors.tell(&body).await.is_error(400);
        assert!(why.contains("could not be read"), "{what}: {why}");
    }
    assert!(!doors.has_work().await);
}

#[tokio::test]
async fn only_who_knows_a_secret_may_call() {
    let callers = Callers::knowing([SECRET, "the-secret-before"]);
    let doors = Doors::open(Wanted { callers, ..Wanted::default() }).await;
    let body = orders().to_string();
    for (path, key, status) in [
        ("/api/alerts", None, 401),
        ("/api/alerts?code=", None, 401),
        ("/api/alerts?code=guess", None, 403),
        ("/api/alerts", Some("guess"), 403),
        ("/api/alerts?code=correct-horse-battery-stapl", None, 403),
        ("/api/alerts?code=correct-horse-battery-staple", None, 202),
        ("/api/alerts?code=the-secret-before", None, 202),
        ("/api/alerts", Some(SECRET), 202),
    ] {
        let headers: Vec<_> = [JSON].into_iter().chain(key.map(|key| ("x-functions-key", key))).collect();
        let answer = doors.post(path, &headers, &body).await;
        assert_eq!(answer.status, status, "{path} {key:?}: {answer:?}");
        answer.json();
        for secret in [SECRET, "the-secret-before", "guess"] {
            assert!(!answer.text.contains(secret) && !answer.head.contains(secret), "{answer:?}");
        }
    }
    let unknown = doors.post("/api/alerts?code=guess", &[JSON], "no JSON at all").await;
    unknown.is_error(403);
}

#[tokio::test]
async fn nobody_has_to_know_a_secret_where_that_was_asked_for() {
    let doors = Doors::open(Wanted { callers: Callers::anyone(), ..Wanted::default() }).await;
    assert_eq!(doors.post("/api/alerts", &[JSON], orders().to_string()).await.status, 202);
}

#[tokio::test]
async fn only_json_is_taken() {
    let doors = Doors::usual().await;
    let path = format!("/api/alerts?code={SECRET}");
    let body = orders().to_string();
    for (kind, status) in [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON", 202),
        ("text/json", 202),
        ("application/cloudevents+json; charset=utf-8", 202),
        ("application/cloudevents-batch+json", 202),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=json", 415),
        ("", 415),
    ] {
        let answer = doors.post(&path, &[("Content-Type", kind)], &body).await;
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        answer.json();
    }
    assert_eq!(doors.post(&path, &[], &body).await.status, 202, "a missing type is no reason to lose an alert");
    let packed = [JSON, ("Content-Encoding", "gzip")];
    doors.post(&path, &packed, &body).await.is_error(415);
}

fn long(bytes: usize) -> String {
    let mut body = orders();
    body["padding"] = Value::from("x".repeat(bytes));
    body.to_string()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in body.chunks(16 * 1024) {
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_announced_or_not() {
    let doors = Doors::usual().await;
    let path = format!("/api/alerts?code={SECRET}");
    let in_chunks = [JSON, ("Transfer-Encoding", "chunked")];
    let fits = long(1_000_000);
    assert_eq!(doors.tell(&fits).await.status, 202);
    assert_eq!(doors.ask("POST", &path, &in_chunks, &chunked(fits.as_bytes())).await.status, 202);
    for bytes in [1_048_576, 5_000_000] {
        let body = long(bytes);
        doors.tell(&body).await.is_error(413);
        doors.ask("POST", &path, &in_chunks, &chunked(body.as_bytes())).await.is_error(413);
    }
    // Without a secret, an announced length is enough to be refused; the body need not even be sent.
    let announced = [JSON, ("Content-Length", "99999999999")];
    doors.ask("POST", "/api/alerts", &announced, b"{").await.is_error(413);
}

#[tokio::test]
async fn a_caller_that_asks_first_is_told_before_it_sends() {
    let doors = Doors::usual().await;
    let headers = [JSON, ("Content-Length", "1000"), ("Expect", "100-continue")];
    let began = Instant::now();
    let answer = doors.ask("POST", "/api/alerts?code=guess", &headers, b"").await;
    answer.is_error(403);
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waited for the body");
}

#[tokio::test]
async fn a_locked_store_asks_the_caller_to_come_again_and_then_takes_the_alert() {
    let doors = Doors::usual().await;
    let other = rusqlite::Connection::open(&doors.file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let answer = doors.tell(orders().to_string()).await;
    answer.is_error(503);
    assert_eq!(answer.header("retry-after"), Some("20"), "{answer:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(doors.kept().await.len(), 0, "nothing was half kept");
    assert_eq!(doors.tell(orders().to_string()).await.json(), json!({ "accepted": 1, "repeated": 0 }));
}

#[tokio::test]
async fn a_damaged_store_is_our_fault_and_never_a_500() {
    let doors = Doors::usual().await;
    let other = rusqlite::Connection::open(&doors.file).unwrap();
    let tables: Vec<String> = other
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for table in tables {
        other.execute_batch(&format!("DROP TABLE IF EXISTS {table}")).unwrap();
    }
    let answer = doors.tell(orders().to_string()).await;
    answer.is_error(503);
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert!(!answer.text.contains("keymend.db") && !answer.text.contains("table"), "no inner names: {answer:?}");
    let health = doors.get("/api/health").await;
    health.is_error(503);
}

#[tokio::test]
async fn a_panic_inside_asks_the_caller_to_come_again() {
    let doors = Doors::open(Wanted { store: Some(Arc::new(Breaking::Panics)), ..Wanted::default() }).await;
    let answer = doors.tell(orders().to_string()).await;
    answer.is_error(503);
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert_eq!(doors.get("/").await.status, 200, "the house still stands");
}

#[tokio::test]
async fn an_answer_is_given_in_time_even_if_the_store_hangs() {
    let limits = Limits { answer_within: Duration::from_millis(300), ..Limits::default() };
    let store = Some(Arc::new(Breaking::Hangs(Arc::default())) as _);
    let doors = Doors::open(Wanted { store, limits, ..Wanted::default() }).await;
    let began = Instant::now();
    let answer = doors.tell(orders().to_string()).await;
    answer.is_error(503);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(answer.header("retry-after"), Some("20"));
}

#[tokio::test]
async fn a_crowd_is_asked_to_come_again() {
    let limits = Limits { at_once: 1, answer_within: Duration::from_secs(60), ..Limits::default() };
    let called = Arc::new(Notify::new());
    let store = Some(Arc::new(Breaking::Hangs(called.clone())) as _);
    let doors = Arc::new(Doors::open(Wanted { store, limits, ..Wanted::default() }).await);
    let first = doors.clone();
    tokio::spawn(async move { first.tell(orders().to_string()).await });
    called.notified().await;
    let second = doors.get("/").await;
    second.is_error(503);
    assert_eq!(second.header("retry-after"), Some("20"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits { body_within: Duration::from_millis(200), ..Limits::default() };
    let doors = Doors::open(Wanted { limits, ..Wanted::default() }).await;
    let headers = [JSON, ("Content-Length", "1000")];
    doors.ask("POST", &format!("/api/alerts?code={SECRET}"), &headers, b"{\"data\":").await.is_error(408);
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let doors = Doors::open(Wanted { silence: Duration::from_millis(200), ..Wanted::default() }).await;
    let mut stream = TcpStream::connect(doors.address).await.unwrap();
    stream.write_all(b"POST /api/alerts HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "still open after 10 s");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let doors = Doors::open(Wanted { silence: Duration::from_millis(500), ..Wanted::default() }).await;
    let stream = TcpStream::connect(doors.address).await.unwrap();
    let (mut answers, mut requests) = stream.into_split();
    let drip = tokio::spawn(async move {
        // Never silent for as long as the limit.
        while requests.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let end = tokio::time::timeout(Duration::from_secs(20), answers.read(&mut [0; 1024])).await;
    assert!(end.is_ok(), "still open, and never silent");
    drip.abort();
    assert_eq!(doors.tell(orders().to_string()).await.status, 202, "others are served");
}

#[tokio::test]
async fn event_grid_may_ask_whether_its_events_are_wanted() {
    let doors = Doors::usual().await;
    let ask = json!([{
        "id": "1", "topic": format!("/subscriptions/{SUBSCRIPTION}"), "subject": "", "eventTime": "2026-11-24T02:00:00Z",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "dataVersion": "1",
        "data": { "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://x.example/" }
    }]);
    let answer = doors.tell(ask.to_string()).await;
    let expected = json!({ "validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6" });
    assert_eq!((answer.status, answer.json()), (200, expected));
    doors.post("/api/alerts?code=guess", &[JSON], ask.to_string()).await.is_error(403);

    let origin = [("WebHook-Request-Origin", "eventgrid.azure.net")];
    let answer = doors.ask("OPTIONS", &format!("/api/alerts?code={SECRET}"), &origin, b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("webhook-allowed-origin"), Some("eventgrid.azure.net"));
    answer.json();
    let stranger = doors.ask("OPTIONS", "/api/alerts", &origin, b"").await;
    stranger.is_error(401);
    assert_eq!(stranger.header("webhook-allowed-origin"), None);
}

#[tokio::test]
async fn every_answer_is_json_and_safe_to_show() {
    let doors = Doors::usual().await;
    let health = doors.get("/api/health").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
    assert_eq!(doors.get("/").await.json()["service"], "keymend");
    doors.get("/api/nothing").await.is_error(404);
    doors.get("/../../etc/passwd").await.is_error(404);
    doors.get("/api/alerts").await.is_error(405);
    doors.ask("DELETE", "/api/health", &[], b"").await.is_error(405);
    for path in ["/", "/api/health", "/nothing", "/api/alerts"] {
        let answer = doors.get(path).await;
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("x-frame-options", "DENY")]
        {
            assert_eq!(answer.header(name), Some(value.to_lowercase().as_str()), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_alerts_at_once_are_all_kept() {
    let doors = Arc::new(Doors::usual().await);
    let posts = (0..200).map(|n| {
        let doors = doors.clone();
        tokio::spawn(
            async move { doors.tell(alert(&database(&format!("db{n}")), &format!("e-{n}")).to_string()).await },
        )
    });
    for answer in futures::future::join_all(posts).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1, "repeated": 0 })));
    }
    let kept = doors.kept().await;
    let events: BTreeSet<_> = kept.iter().filter_map(|signal| signal.event_id.clone()).collect();
    assert_eq!((kept.len(), events.len()), (200, 200));
}

#[tokio::test]
async fn an_alert_is_kept_though_the_caller_hangs_up() {
    let doors = Doors::usual().await;
    let body = orders().to_string();
    let headers = [JSON, ("Content-Length", &body.len().to_string())];
    let mut stream = TcpStream::connect(doors.address).await.unwrap();
    stream.write_all(&head("POST", &format!("/api/alerts?code={SECRET}"), &headers)).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    // Once the store has begun, hanging up does not undo it; and once told again, nothing is doubled.
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    drop(stream);
    assert_eq!(doors.tell(&body).await.json(), json!({ "accepted": 0, "repeated": 1 }));
}

/// Every published sample, and what is left of it after somebody was careless with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mutation_of_a_sample_is_answered_with_5xx() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads");
    if !samples.is_dir() {
        eprintln!("SKIPPED: {} is not there", samples.display());
        return;
    }
    let scope = Scope {
        subscriptions: vec![SUBSCRIPTION.to_owned(), "aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e".to_owned()],
        ..Scope::default()
    };
    let doors = Arc::new(Doors::open(Wanted { scope, ..Wanted::default() }).await);
    let mut bodies = Vec::new();
    for folder in ["constructed", "docs", "events", "foreign"] {
        for file in std::fs::read_dir(samples.join(folder)).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            bodies.extend(mutations(&text));
        }
    }
    assert!(bodies.len() > 1_000, "{} bodies", bodies.len());
    let mut statuses = std::collections::BTreeMap::new();
    for some in bodies.chunks(32) {
        let posts = some.iter().cloned().map(|body| {
            let doors = doors.clone();
            tokio::spawn(async move { (doors.tell(&body).await, body) })
        });
        for posted in futures::future::join_all(posts).await {
            let (answer, body): (Answer, Vec<u8>) = posted.unwrap();
            let known = [200, 202, 400, 413].contains(&answer.status);
            assert!(known, "{answer:?} to {}", String::from_utf8_lossy(&body));
            answer.json();
            *statuses.entry(answer.status).or_insert(0) += 1;
        }
    }
    assert!(statuses[&202] > 0 && statuses[&200] > 0 && statuses[&400] > 0, "{statuses:?}");
}

/// The body itself; every value of it in turn missing, of another type, huge or deep; and the bytes cut and bent.
fn mutations(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all =
        vec![text.to_vec(), text.to_ascii_uppercase(), text.to_ascii_lowercase(), [b"\xef\xbb\xbf", text].concat()];
    for part in 1..8 {
        all.push(text[..text.len() * part / 8].to_vec());
        let mut bent = text.to_vec();
        bent[text.len() * part / 8] = [0xff, 0, b'"', b'{', b']', b'\\', b'9'][part - 1];
        all.push(bent);
    }
    let Ok(whole) = serde_json::from_slice::<Value>(text) else { return all };
    let mut deep = Value::Null;
    for _ in 0..60 {
        deep = json!([{ "properties": deep }]);
    }
    let others =
        [Value::Null, json!(7), json!(true), json!("x".repeat(5_000)), json!([]), json!({}), json!("{\"a\":"), deep];
    for (n, pointer) in pointers(&whole, String::new()).iter().enumerate() {
        // Each value is made three of these, in turn: all pairs would take minutes and tell no more.
        for turn in 0..3 {
            let mut copy = whole.clone();
            if let Some(place) = copy.pointer_mut(pointer) {
                *place = others[(n + turn * 3) % others.len()].clone();
            }
            all.push(copy.to_string().into_bytes());
        }
        let mut copy = whole.clone();
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(parent)) = copy.pointer_mut(parent)
        {
            parent.remove(&key.replace("~1", "/").replace("~0", "~"));
            all.push(copy.to_string().into_bytes());
        }
    }
    all
}

fn pointers(value: &Value, at: String) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let mut all = vec![at.clone()];
    for (key, child) in children {
        all.extend(pointers(child, format!("{at}/{key}")));
    }
    all
}

/// What `scripts/fuzz` has learnt, once more.
#[cfg(feature = "drill")]
#[test]
fn what_the_fuzzers_kept_still_holds() {
    for (name, property) in properties::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{} is empty", folder.display());
        for input in inputs {
            let bytes = std::fs::read(&input).unwrap();
            let held = std::panic::catch_unwind(|| property(&bytes));
            assert!(held.is_ok(), "does not hold: scripts/fuzz --replay {} {name}", input.display());
        }
    }
}
