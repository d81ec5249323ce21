//! The files that the Functions host reads, checked against the program that it calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keymend::web::functions::{FUNCTIONS, Hosted, House, Peer, router};
use keymend::web::{Doorway, Limits};
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The only binding of a function in that direction.
fn binding(function: &str, direction: &str) -> Value {
    let file = read(&format!("{function}/function.json"));
    let all = file["bindings"].as_array().unwrap().clone();
    let mut found = all.into_iter().filter(|binding| binding["direction"] == direction);
    let first = found.next().unwrap_or_default();
    assert!(found.next().is_none(), "{function} has one {direction} binding");
    first
}

#[test]
fn every_function_has_a_folder_and_every_folder_a_function() {
    let folders = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let folders: BTreeSet<String> = folders
        .filter(|folder| folder.join("function.json").is_file())
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<String> = FUNCTIONS.iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(folders, known);
    for function in FUNCTIONS {
        let name = function.name;
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
        assert!(fits && name != "host" && name.len() < 128, "{name} is a name that the host takes");
        let trigger = binding(name, "in");
        assert_eq!(trigger["name"], function.binding, "{name}: the program reads Data.{}", function.binding);
        // The host leaves out binding data whose name ends so.
        assert!(!function.binding.to_lowercase().ends_with("trigger"));
        assert_eq!(trigger["dataType"], Value::Null, "{name}: text, not base64");
    }
}

#[test]
fn triggers_are_what_they_must_be() {
    let alerts = binding("alerts", "in");
    assert_eq!((&alerts["type"], &alerts["authLevel"]), (&json!("httpTrigger"), &json!("function")));
    assert_eq!((&alerts["route"], &alerts["methods"]), (&json!("alerts"), &json!(["post", "options"])));
    let pages = binding("pages", "in");
    assert_eq!((&pages["type"], &pages["authLevel"]), (&json!("httpTrigger"), &json!("anonymous")));
    assert_eq!(pages["route"], "{*page}");
    let taken = pages["methods"].as_array().unwrap();
    assert!(!taken.is_empty() && !taken.contains(&json!("post")), "nobody without the key sends alerts: {taken:?}");
    let answers = binding("answers", "in");
    assert_eq!((&answers["type"], &answers["authLevel"]), (&json!("httpTrigger"), &json!("anonymous")));
    // Of its own, so that what nobody's key protects is posted to one path alone.
    assert_eq!((&answers["route"], &answers["methods"]), (&json!("incidents/{id}/answer"), &json!(["post"])));
    for http in ["alerts", "pages", "answers"] {
        // With one input and one output the host proxies; with any more it would send payloads.
        assert_eq!(binding(http, "out"), json!({ "type": "http", "direction": "out", "name": "res" }));
    }
    for (function, queue) in [("jobs", "%KEYMEND_JOBS_QUEUE%"), ("poison", "%KEYMEND_JOBS_QUEUE%-poison")] {
        let trigger = binding(function, "in");
        assert_eq!((&trigger["type"], &trigger["queueName"]), (&json!("queueTrigger"), &json!(queue)));
        assert_eq!(trigger["connection"], "AzureWebJobsStorage");
    }
    let patrol = binding("patrol", "in");
    assert_eq!((&patrol["type"], &patrol["schedule"]), (&json!("timerTrigger"), &json!("0 * * * * *")));
    assert_eq!(patrol["runOnStartup"], false, "an instance that starts makes no round of its own");
    assert_eq!(binding("events", "in")["type"], "eventGridTrigger");
    for silent in ["jobs", "poison", "patrol", "events"] {
        assert_eq!(binding(silent, "out"), Value::Null, "{silent} needs no output binding: the store writes");
    }
}

#[test]
fn host_json_keeps_the_hosts_rules() {
    let host = read("host.json");
    assert_eq!(host["version"], "2.0", "any other is refused");
    let handler = &host["customHandler"];
    // The zip's entry of that exact name gets the right to be executed; `./keymend` would not.
    assert_eq!(handler["description"]["defaultExecutablePath"], "keymend");
    let arguments = handler["description"]["arguments"].as_array().unwrap();
    assert!(arguments.iter().all(|argument| !argument.as_str().unwrap().contains(' ')), "they are joined by blanks");
    assert_eq!(handler["enableProxyingHttpRequest"], true);
    // Forwarding drops bodies that come in chunks; an older host that cannot proxy sends payloads, which we read.
    assert_eq!(handler["enableForwardingHttpRequest"], Value::Null);
    assert_eq!(handler["http"], Value::Null, "the host refuses routes beside function.json files");
    assert!(
        !host["extensions"]["http"]["routePrefix"].as_str().unwrap().is_empty(),
        "internal paths stay out of reach"
    );
    assert_eq!(host["functionTimeout"], "00:10:00", "every deadline of ours is far below");
    let queues = &host["extensions"]["queues"];
    assert_eq!(queues["messageEncoding"], "base64", "as the store writes");
    assert_eq!(queues["maxDequeueCount"], 10);
    assert_ne!(queues["visibilityTimeout"], "00:00:00", "ten tries at once are over in seconds");
    let (batch, threshold) = (queues["batchSize"].as_u64().unwrap(), queues["newBatchThreshold"].as_u64().unwrap());
    assert!((1..=32).contains(&batch) && threshold < batch, "{batch} {threshold}");
    assert_eq!(host["extensionBundle"]["id"], "Microsoft.Azure.Functions.ExtensionBundle");
}

/// Asks the real router over loopback, from outside of the host.
async fn status(port: u16, method: &str, path: &str) -> u16 {
    let client = keymend::tls::client().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}{path}");
    client.request(method.parse().unwrap(), url).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_function_is_answered_and_nothing_else() {
    let doorway = Doorway::open(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let port = doorway.address().unwrap().port();
    let (house, _keeper) = House::new();
    let router = router(Hosted { port, house, limits: Limits::default() });
    tokio::spawn(axum::serve(doorway, router.into_make_service_with_connect_info::<Peer>()).into_future());
    for function in FUNCTIONS {
        // 403 tells that it is there, and for the host alone.
        assert_eq!(status(port, "POST", &format!("/{}", function.name)).await, 403, "{}", function.name);
    }
    for route in ["alerts", "pages", "answers"] {
        let trigger = binding(route, "in");
        let path = trigger["route"].as_str().unwrap().replace("{*page}", "health").replace("{id}", "km-x");
        let prefix = read("host.json")["extensions"]["http"]["routePrefix"].as_str().unwrap().to_owned();
        for method in trigger["methods"].as_array().unwrap() {
            let method = method.as_str().unwrap().to_uppercase();
            let status = status(port, &method, &format!("/{prefix}/{path}")).await;
            assert!(![404, 405].contains(&status), "{method} /{prefix}/{path}: {status}");
        }
    }
    for other in ["/host", "/job", "/Jobs", "/jobs/", "/function.json", "/host.json"] {
        assert_eq!(status(port, "POST", other).await, 404, "{other}");
    }
}

/// Every variable that the program reads.
fn variables(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            variables(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let named = text.split('"').filter(|word| {
                word.strip_prefix("KEYMEND_")
                    .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            });
            found.extend(named.map(str::to_owned));
        }
    }
}

#[test]
fn every_app_setting_is_in_the_example_and_explained() {
    let mut known = BTreeSet::new();
    variables(&root().join("src"), &mut known);
    // What only `keymend serve` reads.
    for own in ["KEYMEND_LISTEN", "KEYMEND_WEBHOOK_SECRET"] {
        assert!(known.remove(own), "{own}");
    }
    known.extend(["KEYMEND_JOBS_QUEUE", "KEYMEND_CONTAINER"].map(str::to_owned));
    let example = read("local.settings.json.example");
    assert_eq!(example["IsEncrypted"], false);
    let values = example["Values"].as_object().unwrap();
    let explained = std::fs::read_to_string(root().join("docs/functions.md")).unwrap();
    for name in &known {
        assert!(values.contains_key(name), "local.settings.json.example has no {name}");
    }
    for name in values.keys() {
        assert!(explained.contains(&format!("`{name}`")), "docs/functions.md does not explain {name}");
        let ours = name.starts_with("KEYMEND_");
        assert!(!ours || known.contains(name), "nobody reads {name}");
    }
    assert!(values.values().all(Value::is_string), "the host takes texts alone");
}

#[test]
fn what_is_published_is_what_the_app_needs() {
    let ignored = std::fs::read_to_string(root().join(".funcignore")).unwrap();
    let ignored: BTreeSet<&str> = ignored.lines().collect();
    for secret in ["local.settings.json", "*.db", "src", "target", "tests", ".*"] {
        assert!(ignored.contains(secret), "{secret}");
    }
    for needed in FUNCTIONS.iter().map(|function| function.name).chain(["host.json", "keymend", "keymend.toml"]) {
        assert!(!ignored.contains(needed), "{needed}");
    }
    // keymend.toml would be left out by this.
    assert!(!ignored.contains("*.toml"));
}

/// All Rust files below a folder of the repository, as one text.
fn all_code(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_code(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What docs/security.md claims is proved by tests that are there, and it leaves out no remedy.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut code = String::new();
    for folder in ["src", "tests"] {
        all_code(&root().join(folder), &mut code);
    }
    let mut named = 0;
    for table in
        text.split("\n\n").filter(|part| part.lines().next().is_some_and(|head| head.ends_with("| proved by |")))
    {
        for row in table.lines().skip(2) {
            let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
            let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
            assert!(!tests.is_empty(), "nothing proves: {row}");
            for test in tests {
                named += 1;
                assert!(code.contains(&format!("fn {test}(")), "there is no test {test}: {row}");
            }
        }
    }
    assert!(named > 100, "{named} tests are named");
    for remedy in keymend::domain::remedy::Remedy::ALL {
        let row = format!("| **`{}`**", remedy.name());
        assert!(text.contains(&row), "what can go wrong with {} is not told", remedy.name());
    }
}
