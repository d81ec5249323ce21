//! Settings that cannot be used do not end the process, and are said by name.

use std::time::Duration;

use serde_json::json;

use crate::doors::{alert, database};
use crate::stage::{Handler, usual};

#[tokio::test]
async fn broken_settings_are_said_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.toml");
    std::fs::write(&file, "[policy]\npreset = \"bold-value\"\n").unwrap();
    let mut handler = Handler::start(folder.path(), &usual()).await;
    let health = handler.until(|health| health["error"].as_str().is_some_and(|why| why.contains("settings"))).await;
    let why = health["error"].as_str().unwrap();
    assert!(why.contains("policy.preset") && !why.contains("bold-value"), "names, no values: {why}");
    let body = alert(&database("orders"), "e-1");
    assert_eq!(handler.alert(&body).await.0, 503, "the sender comes again");
    for (function, binding) in [("jobs", "job"), ("poison", "message"), ("patrol", "timer"), ("events", "event")] {
        let bell = json!({ "v": 1, "job": "pass:km-none" });
        let (status, said) = handler.invoke(function, json!({ binding: bell })).await;
        assert_eq!(status, 503, "{function}: {said}");
        assert!(said["error"].as_str().unwrap().contains("policy.preset"), "{function}: {said}");
    }
    assert!(handler.is_alive());
    // The file is put right, and nobody has to start anything.
    std::fs::write(&file, "[policy]\npreset = \"observe\"\n").unwrap();
    handler.until(|health| health["status"] == "ok").await;
    assert_eq!(handler.alert(&body).await.0, 202);
}

#[tokio::test]
async fn without_any_setting_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut handler = Handler::start(folder.path(), &[]).await;
    let health = handler.until(|health| health["error"].as_str().is_some_and(|why| why.contains("settings"))).await;
    assert!(health["error"].as_str().unwrap().contains("scope"), "{health}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(handler.is_alive());
}

#[tokio::test]
async fn a_log_setting_that_makes_no_sense_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = usual();
    settings.push(("KEYMEND_LOG", "=/=,".to_owned()));
    let handler = Handler::start(folder.path(), &settings).await;
    handler.until(|health| health["status"] == "ok").await;
    let left = handler.stop("-KILL");
    assert!(left.err.contains("KEYMEND_LOG"), "{}", left.log());
    assert!(left.out.contains("ready"), "the usual log goes on: {}", left.log());
}

#[tokio::test]
async fn under_the_host_it_remembers_in_the_hosts_own_storage() {
    let folder = tempfile::tempdir().unwrap();
    let settings: Vec<_> = usual().into_iter().filter(|(name, _)| *name != "KEYMEND_STORE").collect();
    let handler = Handler::start(folder.path(), &settings).await;
    let health = handler.until(|health| health["error"].as_str().is_some_and(|why| why.contains("settings"))).await;
    assert!(health["error"].as_str().unwrap().contains("AzureWebJobsStorage"), "{health}");
    assert!(!folder.path().join("keymend.db").exists(), "nothing is kept where an instance is thrown away");
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_said_without_the_keys_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings: Vec<_> = usual().into_iter().filter(|(name, _)| *name != "KEYMEND_STORE").collect();
    let key = "cGxhbnRlZC10b3BzZWNyZXQtcGxhbnRlZC10b3BzZWNyZXQ=";
    let endpoints = "BlobEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a";
    settings.push(("AzureWebJobsStorage", format!("AccountName=a;AccountKey={key};{endpoints}")));
    settings.push(("KEYMEND_LOG", "debug".to_owned()));
    let mut handler = Handler::start(folder.path(), &settings).await;
    let health = handler.until(|health| health["error"].as_str().is_some_and(|why| why.contains("store"))).await;
    assert!(handler.is_alive());
    let left = handler.stop("-TERM");
    assert_eq!(left.code, Some(143));
    assert!(!left.log().contains(key) && !health.to_string().contains(key), "{}", left.log());
}
