//! Every scenario of the drill, played by the built binary: each must end as it declares, and what it costs must stay
//! within its bounds.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

use std::process::Command;

use serde_json::Value;

fn keymend(args: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_keymend")).args(args).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn list() -> Vec<Value> {
    let (ok, out, err) = keymend(&["drill", "--list", "--json"]);
    assert!(ok, "{err}");
    serde_json::from_str(&out).expect("a JSON array")
}

#[test]
fn the_list_names_every_promised_scenario() {
    let names: Vec<String> = list().iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect();
    for promised in [
        "missing-identity",
        "vault-deleted",
        "vault-firewalled",
        "vault-outage",
        "key-deleted",
        "key-disabled",
        "key-expired",
        "expiring-key",
        "permission-revoked-policy",
        "permission-revoked-rbac",
        "permission-model-switched",
        "late-alert",
        "old-eight-hour-window",
        "key-purged",
        "key-replaced",
        "deliberate-revocation",
        "hold-tag",
        "read-only-lock",
        "deny-assignment",
        "fight-the-admin",
        "shared-vault",
        "false-alarm",
        "already-fixed",
        "throttled",
        "no-rights",
    ] {
        assert!(names.iter().any(|name| name == promised), "{promised} is not listed");
    }
}

/// `two-thousand-servers` takes two minutes in a debug build: `KEYMEND_TEST_STORY=all` plays it too. A fifth of its servers, at
/// the same pace, are in `tests/patrol_scale`.
fn is_played(name: &str) -> bool {
    name != "two-thousand-servers" || std::env::var("KEYMEND_TEST_STORY").is_ok_and(|story| story == "all")
}

#[test]
fn every_scenario_ends_as_it_declares() {
    // What was sent is kept: `scripts/test` holds it against Azure's published OpenAPI.
    let traffic = concat!(env!("CARGO_TARGET_TMPDIR"), "/drill.har");
    let listed = list();
    let names: Vec<&str> =
        listed.iter().map(|one| one["name"].as_str().unwrap()).filter(|name| is_played(name)).collect();
    let (ok, out, err) = keymend(&[&["drill", "--json", "--har", traffic], &names[..]].concat());
    let played: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let wrong: Vec<String> = played
        .iter()
        .filter(|one| one["ok"] != true)
        .map(|one| format!("{}:{} {}", one["scenario"], one["preset"], one["faults"]))
        .collect();
    assert!(wrong.is_empty() && ok, "{}", wrong.join("\n"));
    let wanted = listed.iter().filter(|one| is_played(one["name"].as_str().unwrap()));
    let wanted: usize = wanted.map(|one| one["presets"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(played.len(), wanted, "each scenario is played under each of its presets");
}

#[test]
fn every_kind_of_loss_is_found_and_repaired_where_every_alert_is_lost() {
    let stories = [
        "missing-identity",
        "vault-deleted",
        "vault-firewalled",
        "key-deleted",
        "key-disabled",
        "key-expired",
        "permission-revoked-policy",
        "permission-revoked-rbac",
        "permission-model-switched",
        "latent-key-disabled",
        "managed-instance-permission",
        "synapse-workspace",
        "database-level-key",
    ];
    let (_, out, err) = keymend(&[&["drill", "--alerts-lost", "--json"], &stories[..]].concat());
    let played: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert!(played.len() >= stories.len(), "{}", played.len());
    for one in &played {
        let name = format!("{}:{}", one["scenario"], one["preset"]);
        assert_eq!(one["ok"], true, "{name} {}", one["faults"]);
        assert!(one["requests"]["changes"].as_u64() > Some(0), "{name}: nothing was repaired");
        assert!(!one["story"].to_string().contains("Action Group posts"), "{name}: an alert was not lost");
    }
}

#[test]
fn a_rotation_costs_a_handful_of_reads() {
    let (ok, out, err) = keymend(&["drill", "--json", "rotation-told"]);
    let played: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert!(ok, "{out}");
    let requests = &played[0]["requests"];
    let reads = requests["arm"].as_u64().unwrap() + requests["key_vault"].as_u64().unwrap();
    assert!((1..=16).contains(&reads), "the event was looked into, once: {requests}");
    assert_eq!((&requests["changes"], &played[0]["cards"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn the_tour_can_be_read() {
    let (ok, out, err) = keymend(&["drill"]);
    assert!(ok, "{err}");
    for word in ["vault-deleted", "deliberate-revocation", "shared-vault", "approves", "CHANGE", "3 of 3 stories"] {
        assert!(out.contains(word), "{word:?} is missing in:\n{out}");
    }
}

#[test]
fn a_scenario_that_does_not_exist_is_named() {
    let (ok, _, err) = keymend(&["drill", "no-such-thing"]);
    assert!(!ok && err.contains("no-such-thing") && err.contains("--list"), "{err}");
}
