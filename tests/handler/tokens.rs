//! Tokens of Entra behind the Functions host: it checks the function's key, and we the token.

use keymend::clock::Clock;
use keymend::drill::cloud::{Cloud, FirstParty, Running, SecureWebhook, World};
use serde_json::{Value, json};

use crate::doors::{alert, database};
use crate::stage::{Handler, ID, INVOCATION, answer, usual};

async fn entra() -> (Cloud, Running) {
    let mut world = World::standard();
    world.alerts.secure_webhook = Some(SecureWebhook::default());
    let cloud = Cloud::new(world, Clock::system());
    let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    (cloud, running)
}

fn settings(entra: &Running, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut settings = usual();
    settings.retain(|(name, _)| *name != "KEYMEND_ARM_ENDPOINT");
    settings.extend([
        ("KEYMEND_ARM_ENDPOINT", entra.url()),
        ("KEYMEND_CALLERS_CLIENT_ID", SecureWebhook::default().client_id),
        ("KEYMEND_CALLERS_TENANT_ID", World::standard().tenant),
    ]);
    settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    settings
}

async fn send(handler: &Handler, token: Option<&str>) -> (u16, Value) {
    let request = handler.client.post(handler.url("/api/alerts?code=the-functions-key"));
    let request = request.header("host", "keymend.azurewebsites.net").header("x-forwarded-for", "203.0.113.9");
    let request = request.header(INVOCATION, ID).header("content-type", "application/json");
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    answer(request.body(alert(&database("orders"), "e-1").to_string())).await
}

#[tokio::test]
async fn behind_the_host_a_token_is_wanted_beside_the_key() {
    let (cloud, entra) = entra().await;
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::start(folder.path(), &settings(&entra, &[])).await;
    handler.until(|health| health["status"] == "ok").await;
    let claims = cloud.claims_of(FirstParty::ActionGroups);
    let mut expired = claims.clone();
    expired["exp"] = json!(1_000_000_000);
    assert_eq!(send(&handler, None).await.0, 401, "the key alone");
    assert_eq!(send(&handler, Some(&cloud.sign(&expired))).await.0, 401);
    assert_eq!(send(&handler, Some("forged")).await.0, 401);
    let carried = |token: &str| {
        json!({ "req": {
            "Url": "https://keymend.azurewebsites.net/api/alerts?code=k", "Method": "POST",
            "Headers": { "Content-Type": ["application/json"], "Authorization": [format!("Bearer {token}")] },
            "Body": alert(&database("orders"), "e-1").to_string(),
        } })
    };
    let (_, forged) = handler.invoke("alerts", carried("forged")).await;
    assert_eq!(forged["Outputs"]["res"]["statusCode"], 401, "{forged}");
    assert_eq!(handler.health().await.1["next_job_at"], json!(null), "nothing was stored");
    let (status, said) = send(&handler, Some(&cloud.sign(&claims))).await;
    assert_eq!((status, said), (202, json!({ "accepted": 1, "repeated": 0 })));
    let (_, good) = handler.invoke("alerts", carried(&cloud.sign(&claims))).await;
    assert_eq!(good["Outputs"]["res"]["statusCode"], 202, "{good}");
    let log = handler.stop("-TERM").log();
    assert!(!log.contains(&cloud.sign(&claims)) && !log.contains("eyJ"), "no token in the log");
}

#[tokio::test]
async fn during_a_changeover_the_key_is_enough() {
    let (cloud, entra) = entra().await;
    let folder = tempfile::tempdir().unwrap();
    let more = [("KEYMEND_CALLERS_ACCEPT", "token_or_secret")];
    let handler = Handler::start(folder.path(), &settings(&entra, &more)).await;
    handler.until(|health| health["status"] == "ok").await;
    assert_eq!(send(&handler, None).await.0, 202);
    assert_eq!(send(&handler, Some(&cloud.sign(&cloud.claims_of(FirstParty::EventGrid)))).await.0, 202);
}
