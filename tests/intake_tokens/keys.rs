//! The tenant's keys: read when they are needed, not when somebody likes, and kept while they cannot be read.

use keymend::drill::cloud::FaultKind;
use keymend::web::callers::HowTokens;
use serde_json::{Value, json};

use super::stage::Stage;

fn unknown(stage: &Stage, n: usize) -> String {
    let head = json!({ "alg": "RS256", "kid": format!("made-up-{n}") });
    stage.cloud.sign_as(&head.to_string(), &stage.claims(|_| {}).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_keys_makes_few_requests_and_does_nothing() {
    let mut stage = Stage::usual().await;
    for round in 1..=3 {
        let tokens: Vec<String> = (0..100).map(|n| unknown(&stage, n)).collect();
        for answer in futures::future::join_all(tokens.iter().map(|token| stage.send(token))).await {
            // 401 for what the tenant was asked about; 503 for what it may not be asked about yet.
            assert!(matches!(answer.status, 401 | 503), "{answer:?}");
        }
        stage.nothing_was_done("unknown keys").await;
        assert_eq!(stage.asked(), [round, round], "one reading in half a minute, whatever comes");
        stage.pass(31).await;
    }
    assert_eq!(stage.send(&unknown(&stage, 1)).await.status, 401);
    assert_eq!(stage.send(&stage.token()).await.status, 202, "who has a known key is not kept waiting");
}

#[tokio::test]
async fn no_alert_is_lost_when_the_tenant_changes_its_keys() {
    let mut stage = Stage::usual().await;
    let old = stage.token();
    assert_eq!(stage.send(&old).await.status, 202);
    stage.cloud.roll_signing_key();
    let new = stage.token();
    // The keys were read this minute. Azure Monitor tries again after 5, 20, 5, 40 and 5 seconds.
    let first = stage.send(&new).await;
    assert_eq!((first.status, first.header("retry-after")), (503, Some("20")), "{first:?}");
    let mut statuses = Vec::new();
    for wait in [5, 20, 5, 40, 5] {
        stage.pass(wait).await;
        statuses.push(stage.send(&new).await.status);
    }
    assert_eq!(statuses, [503, 503, 202, 202, 202]);
    assert_eq!(stage.send(&old).await.status, 202, "what the older key signed is still good");
    stage.cloud.withdraw_older_signing_keys();
    stage.pass(31).await;
    stage.send(&unknown(&stage, 0)).await;
    stage.send(&old).await.is_error(503);
    stage.pass(31).await;
    stage.send(&old).await.is_error(401);
    assert_eq!(stage.send(&new).await.status, 202);
}

#[tokio::test]
async fn while_entra_is_down_the_caller_is_asked_to_come_again() {
    for kind in [
        FaultKind::Status { status: 503, code: "Down".to_owned() },
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Say { status: 200, content_type: "text/html".into(), text: "<html>sign in".into(), location: None },
        FaultKind::Say {
            status: 200,
            content_type: "application/json".into(),
            text: "{\"keys\":[]}".into(),
            location: None,
        },
    ] {
        for path in ["/.well-known/", "/discovery/"] {
            let mut stage = Stage::usual().await;
            stage.entra_says(path, kind.clone(), 1);
            let answer = stage.send(&stage.token()).await;
            let why = answer.is_error(503);
            assert!(why.contains("signing keys") && answer.header("retry-after") == Some("20"), "{kind:?}: {answer:?}");
            stage.nothing_was_done("not checked").await;
            assert_eq!(stage.send(&stage.token()).await.status, 503, "not asked again at once");
            assert_eq!(stage.asked()[0], 1, "{kind:?}");
            stage.pass(11).await;
            assert_eq!(stage.send(&stage.token()).await.status, 202, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn keys_at_hand_are_kept_while_entra_is_down() {
    let mut stage = Stage::usual().await;
    assert_eq!(stage.send(&stage.token()).await.status, 202);
    stage.entra_is_down(1000);
    for _ in 0..3 {
        stage.pass(25 * 3600).await;
        assert_eq!(stage.send(&stage.token()).await.status, 202, "old keys are better than none");
    }
    stage.send(&unknown(&stage, 0)).await.is_error(503);
}

#[tokio::test]
async fn keys_are_read_anew_every_day() {
    let mut stage = Stage::usual().await;
    assert_eq!(stage.send(&stage.token()).await.status, 202);
    stage.pass(23 * 3600).await;
    assert_eq!(stage.send(&stage.token()).await.status, 202);
    assert_eq!(stage.asked(), [1, 1]);
    stage.pass(2 * 3600).await;
    assert_eq!(stage.send(&stage.token()).await.status, 202);
    let read = async {
        while stage.asked() != [2, 2] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), read).await.expect("they are read in the background");
}

#[tokio::test]
async fn keys_are_read_ahead() {
    let stage = Stage::open(1, HowTokens::default()).await;
    stage.callers.warm(stage.now()).await;
    assert_eq!(stage.asked(), [2, 2], "of both versions");
    assert_eq!(stage.send(&stage.token()).await.status, 202);
    assert_eq!(stage.asked(), [2, 2]);
}

/// Metadata that lead elsewhere, by a name, a redirect or another issuer, are followed nowhere.
#[tokio::test]
async fn keys_are_asked_for_at_entra_alone() {
    let elsewhere =
        keymend::drill::cloud::Cloud::new(keymend::drill::cloud::World::standard(), keymend::clock::Clock::system());
    let running = elsewhere.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let tenant = "99999999-8888-7777-6666-555555555555";
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let keys = format!("{}/{tenant}/discovery/v2.0/keys", running.url());
    let said = |status, body: &Value, location: Option<&str>| FaultKind::Say {
        status,
        content_type: "application/json".into(),
        text: body.to_string(),
        location: location.map(str::to_owned),
    };
    for kind in [
        said(200, &json!({ "issuer": issuer, "jwks_uri": keys }), None),
        said(200, &json!({ "issuer": "https://login.evil.example/v2.0", "jwks_uri": keys }), None),
        said(302, &json!({}), Some(&keys)),
        said(307, &json!({}), Some(&keys)),
        said(200, &json!({ "issuer": issuer, "jwks_uri": "file:///etc/passwd" }), None),
    ] {
        let stage = Stage::usual().await;
        stage.entra_says("/.well-known/", kind.clone(), 10);
        let forged = elsewhere.sign(&stage.claims(|_| {}));
        stage.send(&forged).await.is_error(503);
        stage.nothing_was_done("keys from elsewhere").await;
        assert_eq!(stage.asked()[1], 0, "{kind:?}");
    }
    assert!(elsewhere.requests().is_empty(), "nobody asked there");
}
