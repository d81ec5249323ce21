//! What Keymend stands on: settings, identity, clock, store, channels, vaults.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use keymend::clock::{Clock, add};
use keymend::drill::cloud::{Break, What, World};
use serde_json::{Value, json};

use crate::clinic::{Clinic, OBJECT, answering, check, in_state, well};

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_not_understood_are_all_told() {
    let clinic = Clinic::well().await;
    clinic.settings("[policy]\npreset = \"gaurded\"\n[stoer]\nx = 1");
    let said = clinic.doctor(&[]).await;
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("guarded") && said.err.contains("\"store\""), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_had_is_missing() {
    let clinic = Clinic::well().await;
    clinic.settings("[server]\nwebhook_secret_env = \"NOT_SET_HERE\"");
    let (code, report) = clinic.report().await;
    let missing = in_state(&report, "missing");
    assert_eq!((code, missing.len()), (1, 1));
    assert!(missing[0]["said"].as_str().unwrap().contains("NOT_SET_HERE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_is_read_from_the_token_and_the_token_is_not_shown() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let application = "c0ffee00-0000-4000-8000-000000000001";
    let payload = json!({"oid": OBJECT, "appid": application, "tid": application, "idtyp": "app"});
    let token = format!("{}.{}.signature-of-the-token", part(json!({"alg": "none"})), part(payload));
    let mut world = well(World::standard());
    world.responder.token.clone_from(&token);
    let clinic = Clinic::open(world).await.with("KEYMEND_STATIC_TOKEN", &token);
    let (code, report) = clinic.report().await;
    assert_eq!(code, 0, "{report:#}");
    let said = check(&report, "token for ARM")["said"].as_str().unwrap();
    assert_eq!(said, format!("object {OBJECT}, application {application}, tenant {application}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_azure_does_not_take_is_told_at_once() {
    let clinic = Clinic::well().await.with("KEYMEND_STATIC_TOKEN", "another-token");
    let (code, report) = clinic.report().await;
    assert_eq!((code, &check(&report, "ARM")["state"]), (1, &Value::from("missing")), "{report:#}");
    let said = clinic.doctor(&[]).await;
    assert!(said.out.contains("401") && !said.out.contains("another-token"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_told_before_tokens_are_refused() {
    for (minutes, state, code) in [(1, "ok", 0), (-3, "warning", 0), (3, "warning", 0), (-10, "missing", 1)] {
        let there = add(Clock::system().now(), SignedDuration::from_mins(minutes));
        let clinic = Clinic::at(well(World::standard()), Clock::scaled(there, 1.0)).await;
        let (exit, report) = clinic.report().await;
        assert_eq!((&check(&report, "clock")["state"], exit), (&Value::from(state), code), "{minutes} minutes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_is_missing() {
    let clinic = Clinic::well().await;
    std::fs::write(clinic.folder.path().join("poem.txt"), "no database at all, and long enough to be one ".repeat(20))
        .unwrap();
    std::fs::create_dir(clinic.folder.path().join("folder.db")).unwrap();
    for place in ["sqlite:not-there/keymend.db", "sqlite:folder.db", "sqlite:poem.txt"] {
        let said = clinic.doctor(&["--json", "--store", place]).await;
        let report: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((said.code, &check(&report, "store")["state"]), (1, &Value::from("missing")), "{place}");
        assert_eq!(in_state(&report, "missing").len(), 1, "{report:#}");
    }
    let poem = std::fs::read_to_string(clinic.folder.path().join("poem.txt")).unwrap();
    assert!(poem.starts_with("no database at all"), "what is not ours is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_works_beside_a_responder() {
    let clinic = Clinic::well().await;
    let path = clinic.folder.path().join("keymend.db");
    let now = Clock::system().now();
    let store = keymend::store::SqliteStore::open_to_work(&path, now, std::time::Duration::from_secs(1)).unwrap();
    let (code, report) = clinic.report().await;
    assert_eq!((code, &check(&report, "store")["state"]), (0, &Value::from("ok")));
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_nobody_answers_is_missing_and_its_address_stays_secret() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let address = format!("http://{closed}/workflows/hunter2?sig=hunter2");
    let clinic = Clinic::well().await.with("KEYMEND_TEAMS_URL", &address);
    let (code, report) = clinic.report().await;
    assert_eq!((code, &check(&report, "teams")["state"]), (1, &Value::from("missing")));
    let said = clinic.doctor(&[]).await;
    assert!(said.out.contains("127.0.0.1 cannot be reached"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_knocked_at_and_nothing_is_sent() {
    let clinic = Clinic::well().await;
    let sink = format!("{}/sink/teams", clinic.running.url());
    let events = answering().await;
    let secret = format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode([7; 32]));
    let clinic = clinic
        .with("KEYMEND_TEAMS_URL", &sink)
        .with("KEYMEND_EVENTS_URL", &events)
        .with("KEYMEND_EVENTS_SECRET", &secret);
    clinic.settings("[webhook]\nallow_private = true");
    let (code, report) = clinic.report().await;
    assert_eq!(
        (code, &check(&report, "teams")["state"], &check(&report, "webhook")["state"]),
        (0, &json!("ok"), &json!("ok"))
    );
    assert!(clinic.cloud.inbox().is_empty());
    assert!(!report.to_string().contains(&secret));
    // What is on this machine is out of reach unless that is meant.
    clinic.settings("");
    let (code, report) = clinic.report().await;
    assert_eq!((code, &check(&report, "webhook")["state"]), (1, &json!("missing")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_behind_its_firewall_answers_and_keeps_us_out() {
    let clinic = Clinic::well().await;
    clinic.cloud.break_it(&Break::new(What::FirewallVault { vault: None, ip_rules: None }));
    let (code, report) = clinic.report().await;
    let vault = check(&report, "contoso-kv");
    assert_eq!((code, &vault["state"]), (0, &json!("warning")));
    assert!(vault["said"].as_str().unwrap().contains("stops recover_key, enable_key, extend_expiry"), "{vault}");
    clinic.settings("[policy]\npreset = \"observe\"");
    let (_, report) = clinic.report().await;
    assert!(!check(&report, "contoso-kv")["said"].as_str().unwrap().contains("stops"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_vault_does_not_answer() {
    let clinic = Clinic::well().await;
    clinic.cloud.break_it(&Break::new(What::DeleteVault { vault: None }));
    let (code, report) = clinic.report().await;
    let vault = check(&report, "contoso-kv");
    assert_eq!((code, &vault["state"]), (1, &json!("missing")), "{report:#}");
    assert!(vault["said"].as_str().unwrap().contains("deleted"), "{vault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_secure_webhook_could_come_in_is_told() {
    let clinic = Clinic::well().await.with("KEYMEND_WEBHOOK_SECRET", "a-key-that-nobody-is-shown");
    let callers = "[callers]\nclient_id = \"cccccccc-0000-0000-0000-000000000001\"\ntenant_id = ";
    clinic.settings(&format!("{callers}\"99999999-8888-7777-6666-555555555555\""));
    let (code, report) = clinic.report().await;
    assert_eq!((code, &check(&report, "signing keys")["state"]), (0, &Value::from("ok")), "{report:#}");
    let unused = check(&report, "callers.accept");
    assert_eq!(unused["state"], "warning");
    assert!(unused["said"].as_str().unwrap().contains("senders that know the secret alone are refused"), "{unused}");
    clinic.settings(&format!("{callers}\"00000000-8888-7777-6666-555555555555\"\naccept = \"token_or_secret\""));
    let (code, report) = clinic.report().await;
    let missing = check(&report, "signing keys");
    assert_eq!((code, &missing["state"]), (1, &Value::from("missing")), "the tenant is not there: {report:#}");
    assert!(missing["said"].as_str().unwrap().contains("/.well-known/openid-configuration"), "{missing}");
    assert_eq!(check(&report, "callers.accept")["state"], "warning");
}
