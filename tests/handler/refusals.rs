//! Who is not the host is refused.

use reqwest::Method;
use serde_json::json;

use crate::doors::{alert, database};
use crate::stage::{Handler, ID, INVOCATION, answer};

const INTERNAL: [&str; 6] = ["/jobs", "/poison", "/patrol", "/events", "/alerts", "/pages"];

#[tokio::test]
async fn functions_are_called_by_the_host_alone() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    let body = json!({ "Data": { "event": alert(&database("orders"), "e-1") }, "Metadata": {} }).to_string();
    for path in INTERNAL {
        let plain = handler.client.post(handler.url(path)).header("content-type", "application/json");
        assert_eq!(answer(plain.body(body.clone())).await.0, 403, "{path} without any mark");
        for (name, value) in [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "keymend.azurewebsites.net"),
            ("forwarded", "for=203.0.113.9"),
            ("x-arr-log-id", "3b8e6a1c"),
            ("x-original-url", "/jobs"),
            ("x-functions-key", "a-key"),
            (INVOCATION, "a-second-one"),
        ] {
            let marked = handler.call(Method::POST, path).header(name, value).body(body.clone());
            let (status, said) = answer(marked).await;
            assert_eq!(status, 403, "{path} with {name}: {said}");
        }
        let elsewhere = handler.client.post(handler.url(path)).header("host", "keymend.azurewebsites.net");
        let elsewhere = elsewhere.header("user-agent", "Azure-Functions-Host/4.1").header(INVOCATION, ID);
        let elsewhere = elsewhere.header("x-azure-functions-hostversion", "4.1").body(body.clone());
        assert_eq!(answer(elsewhere).await.0, 403, "{path} under another name");
        assert_eq!(answer(handler.call(Method::GET, path)).await.0, 403, "{path} by GET");
    }
    let stored = handler.health().await.1;
    assert_eq!(stored["next_job_at"], json!(null), "nothing of it was stored: {stored}");
}

#[tokio::test]
async fn alerts_come_through_the_host_which_checked_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = crate::stage::usual();
    // The functions' key is none of our secrets, and the other way round.
    settings.push(("KEYMEND_WEBHOOK_SECRET", "a-secret-for-serve-alone".to_owned()));
    let handler = Handler::start(folder.path(), &settings).await;
    handler.until(|health| health["status"] == "ok").await;
    let body = alert(&database("orders"), "e-1");
    for secret in ["", "?code=a-secret-for-serve-alone"] {
        let direct = handler.client.post(handler.url(&format!("/api/alerts{secret}")));
        let direct = direct.header("content-type", "application/json").body(body.to_string());
        assert_eq!(answer(direct).await.0, 403, "past the host");
    }
    assert_eq!(handler.alert(&body).await, (202, json!({ "accepted": 1, "repeated": 0 })));
    assert_eq!(handler.alert(&body).await, (202, json!({ "accepted": 0, "repeated": 1 })));
    assert_eq!(handler.alert(&json!({})).await.0, 400);
}
