//! `keymend doctor --send-test`, as a person runs it.

use std::process::Output;

use serde_json::{Value, json};

use crate::kit::{Sky, sky, status};

async fn doctor(sky: &Sky, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let base = sky.running.url();
    let text = format!(
        "[scope]\nsubscriptions = [\"11111111-2222-3333-4444-555555555555\"]\n[azure]\narm_endpoint = \"{base}\"\n"
    );
    std::fs::write(folder.path().join("keymend.toml"), text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keymend"));
    command.args(["doctor", "--send-test"]).args(arguments).current_dir(folder.path()).env_clear();
    let sink = |name: &str| format!("{base}/sink/{name}");
    for (name, value) in [
        ("KEYMEND_TEAMS_URL", sink("teams")),
        ("KEYMEND_SLACK_URL", sink("slack/T0/B0/drill")),
        ("KEYMEND_SERVICENOW_URL", sink("servicenow")),
        ("KEYMEND_SERVICENOW_CLIENT_ID", "drill-client".to_owned()),
        ("KEYMEND_SERVICENOW_SECRET", "drill-client-secret".to_owned()),
        ("KEYMEND_PAGERDUTY_URL", sink("pagerduty/v2")),
        ("KEYMEND_PAGERDUTY_KEY", "d0000000000000000000000000000001".to_owned()),
        ("KEYMEND_JSM_URL", sink("jsm")),
        ("KEYMEND_JSM_KEY", "drill-genie-key".to_owned()),
        ("KEYMEND_JIRA_URL", sink("jira")),
        ("KEYMEND_JIRA_USER", "keymend@contoso.example".to_owned()),
        ("KEYMEND_JIRA_TOKEN", "drill-jira-token".to_owned()),
        ("KEYMEND_JIRA_PROJECT", "OPS".to_owned()),
    ] {
        command.env(name, value);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    drop(folder);
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for secret in ["drill-client-secret", "drill-genie-key", "drill-jira-token", "d000000000", "T0/B0"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    output
}

#[tokio::test]
async fn every_channel_is_tried_and_nothing_stays_open() {
    let sky = sky().await;
    let said = doctor(&sky, &[]).await;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.status.code(), Some(0), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 6, "{text}");
    let tests = sky.list("servicenow", "incidents");
    let ours: Vec<&Value> = tests
        .iter()
        .filter(|one| one["short_description"].as_str().unwrap_or_default().starts_with("[TEST]"))
        .collect();
    assert_eq!(ours.len(), 1);
    assert_eq!((&ours[0]["state"], &ours[0]["urgency"]), (&json!("6"), &json!("3")));
    let alerts = sky.list("pagerduty", "alerts");
    assert_eq!((alerts[0]["severity"].as_str(), alerts[0]["state"].as_str()), (Some("info"), Some("resolved")));
    let alerts = sky.list("jsm", "alerts");
    assert_eq!((alerts[0]["priority"].as_str(), alerts[0]["status"].as_str()), (Some("P5"), Some("closed")));
    assert!(sky.list("jira", "issues").is_empty(), "Jira is only asked");
    assert!(sky.list("slack", "messages")[0].to_string().contains("TEST MESSAGE"));
    assert_eq!(sky.asked("teams").len(), 1);
}

#[tokio::test]
async fn a_channel_that_fails_is_named_with_what_to_do_and_the_exit_code_says_so() {
    let sky = sky().await;
    sky.cloud.fault(keymend::drill::cloud::Fault::new(status(403), "/sink/slack", 9));
    let said = doctor(&sky, &["--json"]).await;
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((said.status.code(), &report["well"]), (Some(1), &json!(false)), "{report:#}");
    let failed: Vec<&Value> = report["channels"].as_array().unwrap().iter().filter(|one| one["ok"] == false).collect();
    assert_eq!((failed.len(), &failed[0]["channel"]), (1, &json!("slack")));
    assert!(failed[0]["said"].as_str().unwrap().contains("403") && failed[0]["todo"].is_string());
}
