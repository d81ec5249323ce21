//! Programs that others wrote judge what Keymend sends: Microsoft's card parser and two schema checkers, a server made from
//! PagerDuty's OpenAPI, the SDKs of CloudEvents and Standard Webhooks, a ServiceNow client.
//!
//! They are installed by `scripts/judges`. Where that is not possible (no npm, no network) the tests say SKIPPED and pass,
//! unless `KEYMEND_NEED_JUDGES` is set.
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../notify/samples.rs"]
mod samples;
mod story;

use std::path::{Path, PathBuf};
use std::process::Command;

use keymend::drill::cloud::Posted;
use keymend::notify::card;
use keymend::notify::links::Links;
use serde_json::{Value, json};

use story::told_to_everybody;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges");

/// Where the judges are; `None` where they cannot be had, which is said.
fn judges() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/judges");
    let answer = Command::new(script).output().unwrap();
    let why = String::from_utf8_lossy(&answer.stderr).into_owned();
    if !answer.status.success() {
        assert!(std::env::var_os("KEYMEND_NEED_JUDGES").is_none(), "{why}");
        eprintln!("SKIPPED the judges of messages: {why}");
        return None;
    }
    Some(PathBuf::from(String::from_utf8(answer.stdout).unwrap().trim()))
}

/// What a judge says of the cases.
fn judged(program: &Path, script: &str, before: &[&str], cases: &Value, after: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    std::fs::write(&file, cases.to_string()).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("{HERE}/{script}")).args(before).arg(&file).args(after);
    let answer = command.output().unwrap();
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success(), "{script}: {said}\n{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{script}: {error}: {said}"))
}

fn node() -> PathBuf {
    PathBuf::from("node")
}

fn python(folder: &Path) -> PathBuf {
    folder.join("python/bin/python")
}

fn of(posted: &[Posted], sink: &str) -> Vec<Posted> {
    posted.iter().filter(|one| one.sink == sink).cloned().collect()
}

/// What all judges of cards say.
fn complaints(folder: &Path, cards: &Value) -> Vec<Value> {
    let node = judged(&node(), "cards.mjs", &[&folder.display().to_string()], cards, &[]);
    let python = judged(&python(folder), "cards.py", &[], cards, &[]);
    node.as_array().unwrap().iter().chain(python.as_array().unwrap()).cloned().collect()
}

#[test]
fn every_card_is_valid_for_every_judge() {
    let Some(folder) = judges() else { return };
    let links = Links::default();
    let cards: Vec<Value> = samples::all()
        .iter()
        .map(|(name, notice)| json!({ "name": name, "body": card::envelope(notice, Some("It comes late."), &links) }))
        .collect();
    assert!(cards.len() > 30);
    assert_eq!(complaints(&folder, &json!(cards)), Vec::<Value>::new());
    // The judges judge: each finds its own kind of fault.
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut one = cards[0].clone();
        spoil(&mut one["body"]["attachments"][0]["content"]);
        complaints(&folder, &json!([one]))
    };
    let unknown = spoilt(&|card| card["body"][0]["sparkle"] = json!(true));
    assert!(unknown.iter().any(|it| it.to_string().contains("schema")), "{unknown:?}");
    let no_type = spoilt(&|card| card["body"][0]["type"] = json!("Containr"));
    assert!(no_type.iter().any(|it| it.to_string().contains("adaptivecards")), "{no_type:?}");
}

/// One story with every channel on: what each receiver holds in the end, judged by others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_story_through_every_channel() {
    let Some(folder) = judges() else { return };
    let story = told_to_everybody().await;
    let posted = story.cloud.inbox();

    let cards = of(&posted, "teams");
    assert!((4..=8).contains(&cards.len()), "{} cards", cards.len());
    let named: Vec<Value> =
        cards.iter().enumerate().map(|(at, one)| json!({ "name": format!("card {at}"), "body": one.body })).collect();
    assert_eq!(complaints(&folder, &json!(named)), Vec::<Value>::new());

    let events = of(&posted, "webhook");
    let cases: Vec<Value> = events.iter().map(|one| json!({ "headers": one.headers, "raw": one.raw })).collect();
    let secret = "whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=";
    let said = judged(&node(), "events.mjs", &[&folder.display().to_string()], &json!(cases), &[secret]);
    assert_eq!(said["complaints"], json!([]));
    let sequences: Vec<u64> =
        said["events"].as_array().unwrap().iter().map(|one| one["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=u64::try_from(events.len()).unwrap()).collect::<Vec<_>>(), "in order, none left out");
    assert_eq!(said["events"].as_array().unwrap().last().unwrap()["type"], "io.keymend.incident.resolved.v1");

    // PagerDuty: one alert, resolved.
    let alerts = story.list("pagerduty", "alerts");
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!((&alerts[0]["state"], &alerts[0]["dedup_key"]), (&json!("resolved"), &json!(story.incident.id.0)));

    // ServiceNow: one ticket of ours, resolved, its notes in order; as another client of the Table API reads it.
    let host = story.url.trim_start_matches("http://").to_owned() + "/sink/servicenow";
    let program = python(&folder);
    let read = {
        let (id, program) = (story.incident.id.0.clone(), program.clone());
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(program);
            let answer = command
                .arg(format!("{HERE}/servicenow.py"))
                .args([&host, "keymend", "drill-password", &id])
                .output()
                .unwrap();
            assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
            serde_json::from_slice::<Value>(&answer.stdout).unwrap()
        })
        .await
        .unwrap()
    };
    let tickets = read.as_array().unwrap();
    assert_eq!(tickets.len(), 1, "{read:#}");
    assert!(tickets[0]["state"].is_string(), "{read:#}");
    assert_eq!((&tickets[0]["state"], &tickets[0]["correlation_id"]), (&json!("6"), &json!(story.incident.id.0)));
    let notes = story.notes();
    // The first message is the ticket's description.
    assert!(tickets[0]["description"].as_str().unwrap().contains("message 1"), "{read:#}");
    assert_eq!(notes.len() + 1, story.incident.notices.len(), "{notes:#?}");
    for (number, note) in notes.iter().enumerate() {
        assert!(note.contains(&format!("message {}", number + 2)), "{notes:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pagerduty_takes_what_its_openapi_allows() {
    let openapi = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/openapi/pagerduty-events-v2.json");
    if !Path::new(openapi).is_file() {
        eprintln!("SKIPPED PagerDuty's OpenAPI: {openapi} is not here");
        return;
    }
    let Some(folder) = judges() else { return };
    let story = told_to_everybody().await;
    let sent = of(&story.cloud.inbox(), "pagerduty");
    let path = |body: &Value| if body["event_action"].is_string() { "/enqueue" } else { "/change/enqueue" };
    // A URL of this machine is none for the judge; in service the pages have a public one.
    let public = |body: &Value| -> Value {
        let text = body.to_string().replace(&story.pages, "https://keymend.contoso.example");
        serde_json::from_str(&text).unwrap()
    };
    let mut cases: Vec<Value> =
        sent.iter().map(|one| json!({ "path": path(&one.body), "body": public(&one.body) })).collect();
    let good = cases.len();
    assert!(good >= 3, "a trigger, a change and a resolve: {cases:#?}");
    let mut bad = cases[0].clone();
    bad["body"].as_object_mut().unwrap().remove("routing_key");
    cases.push(bad);
    let said = judged(&node(), "pagerduty.mjs", &[&folder.display().to_string()], &json!(cases), &[openapi]);
    let answers = said.as_array().unwrap();
    for answer in &answers[..good] {
        assert_eq!(answer["status"], 202, "{answer:#}");
    }
    assert_eq!(answers[good]["status"], 400, "the judge refuses what is forbidden: {:#}", answers[good]);
}
