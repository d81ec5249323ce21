//! Faults, hooks, records, and the control routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keymend::drill::cloud::{Fault, FaultKind, Moment, Plane, TOKEN, Verdict, World};
use serde_json::json;

use crate::sky::{SERVER, SUB, Sky, VAULT_HOST};

#[tokio::test(flavor = "multi_thread")]
async fn faults_hit_what_they_name_as_often_as_they_say() {
    let sky = Sky::new(World::standard()).await;
    sky.cloud.fault(Fault::new(FaultKind::Throttle { retry_after: 7 }, "/encryptionProtector", 1).method("GET"));
    let hit = sky.sql("GET", "/encryptionProtector/current", None).await;
    assert_eq!((hit.status, hit.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(sky.sql("GET", "/encryptionProtector/current", None).await.status, 200);

    sky.cloud.fault(Fault::new(FaultKind::Reset, VAULT_HOST, 1));
    assert!(sky.key("GET", "/keys/tde-key/", None).await.is_err());
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 200);

    let before = sky.clock.now();
    sky.cloud.fault(Fault::new(FaultKind::Slow { milliseconds: 90_000 }, "/", 1));
    assert_eq!(sky.sql("GET", "", None).await.status, 200);
    assert_eq!(sky.clock.now().duration_since(before).as_secs(), 90);

    sky.cloud.fault(Fault::new(FaultKind::Reset, "", 1));
    assert_eq!(sky.sql("GET", "", None).await.status, 200, "an empty path means nothing, not everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_lost_after_the_change_was_made() {
    let sky = Sky::new(World::standard()).await;
    sky.cloud.fault(Fault::new(FaultKind::Reset, "/keys/tde-key", 1).method("PATCH").after_effect());
    let body = json!({ "attributes": { "exp": 4_000_000_000_i64 } });
    assert!(sky.key("PATCH", "/keys/tde-key/", Some(body.clone())).await.is_err());
    let first = sky.cloud.requests().pop().unwrap();
    assert_eq!((first.effect, first.status), (true, 0));
    assert_eq!(sky.key("PATCH", "/keys/tde-key/", Some(body)).await.unwrap().status, 200);
    assert!(!sky.cloud.requests().pop().unwrap().effect, "the second time there is nothing left to change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_never_answered_leaves_the_clock_running() {
    let mut sky = Sky::new(World::standard()).await;
    sky.cloud.fault(Fault::new(FaultKind::Timeout, SERVER, 1));
    let url = format!("{}{SUB}{SERVER}?api-version=2025-01-01", sky.running.url());
    let client = keymend::tls::client().no_proxy().timeout(Duration::from_millis(200)).build().unwrap();
    assert!(client.get(url).bearer_auth(TOKEN).send().await.unwrap_err().is_timeout());
    sky.pass(5).await;
    assert_eq!(sky.cloud.requests()[0].answered_at, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_sees_each_request_twice_and_may_stall_it_on_either_side_of_its_effect() {
    for (moment, effect) in [(Moment::Before, false), (Moment::After, true)] {
        let sky = Sky::new(World::standard()).await;
        let seen = Arc::new(AtomicU32::new(0));
        let count = seen.clone();
        sky.cloud.on_request(move |now, request| {
            count.fetch_add(1, Ordering::SeqCst);
            if request.number == 2 && now == moment { Verdict::Stall } else { Verdict::Go }
        });
        assert_eq!(sky.sql("GET", "", None).await.status, 200);
        let body = json!({ "attributes": { "exp": 4_000_000_000_i64 } });
        let stalled = tokio::time::timeout(Duration::from_millis(200), sky.key("PATCH", "/keys/tde-key/", Some(body)));
        assert!(stalled.await.is_err());
        assert_eq!(seen.load(Ordering::SeqCst), if effect { 4 } else { 3 });
        assert_eq!(sky.cloud.requests()[1].effect, effect);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_shows_azures_hosts_and_holds_no_token() {
    let sky = Sky::new(World::standard()).await;
    sky.sql("GET", "", None).await;
    sky.key("GET", "/keys/tde-key/", None).await.unwrap();
    sky.send("POST", "/sink/teams", Some(json!({ "type": "message" }))).await;
    let requests = sky.cloud.requests();
    assert_eq!(requests.iter().map(|one| one.plane).collect::<Vec<_>>(), [Plane::Arm, Plane::KeyVault, Plane::Other]);
    let har = sky.send("GET", "/sim/requests", None).await.body;
    let urls: Vec<&str> =
        har["log"]["entries"].as_array().unwrap().iter().map(|one| one["request"]["url"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), 2, "what is nothing of Azure's is left out");
    assert!(urls[0].starts_with("https://management.azure.com/subscriptions/"));
    assert_eq!(urls[1], format!("https://{VAULT_HOST}/keys/tde-key/?api-version=2025-07-01"));
    assert!(!har.to_string().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sinks_keep_what_they_are_sent() {
    let sky = Sky::new(World::standard()).await;
    let card = json!({ "type": "message", "attachments": [] });
    let teams = sky.raw("POST", None, "/sink/teams", "", Some(card.clone())).await.unwrap();
    assert_eq!((teams.status, teams.body.is_null()), (202, true));
    sky.cloud.fault(Fault::new(FaultKind::Status { status: 500, code: "x".into() }, "/sink/webhook", 1));
    assert_eq!(sky.raw("POST", None, "/sink/webhook", "", Some(json!({ "id": 1 }))).await.unwrap().status, 500);
    let inbox = sky.cloud.inbox();
    assert_eq!((inbox[0].sink.as_str(), &inbox[0].body, inbox[0].status), ("teams", &card, 202));
    assert_eq!(inbox[1].status, 500);
    assert_eq!(inbox[0].headers["content-type"], "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_routes_answer_loopback_hosts_only() {
    let sky = Sky::new(World::standard()).await;
    assert_eq!(sky.raw("GET", None, "/sim/world", "", None).await.unwrap().status, 200);
    let clock = sky.raw("GET", Some("localhost:8080"), "/sim/clock", "", None).await.unwrap();
    assert_eq!(clock.body["now"], "2026-11-20T10:00:00Z");
    let rebound = sky.raw("GET", Some("evil.example"), "/sim/world", "", None).await.unwrap();
    assert_eq!(rebound.status, 403);
    assert_eq!(sky.raw("GET", Some(VAULT_HOST), "/sim/world", "", None).await.unwrap().status, 403);
    let armed = json!({ "path": "/servers/", "fault": "throttle", "retry_after": 3, "times": 2 });
    assert_eq!(sky.send("POST", "/sim/fault", Some(armed)).await.status, 200);
    assert_eq!(sky.sql("GET", "", None).await.status, 429);
    let empty = json!({ "path": "", "fault": "reset" });
    assert_eq!(sky.send("POST", "/sim/fault", Some(empty)).await.code(), "EmptyPath");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_given_as_entra_and_a_managed_identity_give_them() {
    let sky = Sky::new(World::standard()).await;
    let entra =
        sky.raw("POST", None, "/99999999-8888-7777-6666-555555555555/oauth2/v2.0/token", "", None).await.unwrap();
    assert_eq!((entra.body["token_type"].as_str(), entra.body["access_token"].as_str()), (Some("Bearer"), Some(TOKEN)));
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net";
    let identity = sky.raw("GET", None, path, "", None).await.unwrap();
    assert_eq!(identity.body["expires_in"], "86400");
}
