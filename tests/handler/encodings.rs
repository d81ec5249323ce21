//! Whatever way the host writes a payload, the same is understood; what cannot be is refused at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::doors::{alert, database};
use crate::stage::{Handler, answer};

/// A value as it is, once, twice and three times encoded.
fn all(value: &Value) -> Vec<Value> {
    (0..4).map(|times| (0..times).fold(value.clone(), |value, _| Value::String(value.to_string()))).collect()
}

#[tokio::test]
async fn a_call_for_a_job_is_read_in_every_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    for bell in all(&json!({ "v": 1, "job": "pass:km-none" })) {
        let (status, said) = handler.invoke("jobs", json!({ "job": bell })).await;
        assert_eq!((status, &said["job"]), (200, &json!("done before")), "{bell}");
    }
    // A queue message can overwrite every word of the metadata.
    let forged = json!({ "Data": { "job": "{\"v\":1,\"job\":\"pass:km-none\"}" },
        "Metadata": { "DequeueCount": { "x": [] }, "sys": 4, "Id": null, "job": "pass:other" } });
    assert_eq!(answer(handler.call(Method::POST, "/jobs").body(forged.to_string())).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_read_fails_at_once_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut handler = Handler::working(folder.path()).await;
    for body in [
        "",
        "null",
        "{}",
        "{\"Data\":",
        "{\"Data\":{}}",
        "{\"Data\":{\"job\":\"\\\"hello\\\"\"}}",
        "{\"Data\":{\"job\":{\"v\":2,\"job\":\"pass:x\"}}}",
        "\u{0}\u{ffff}",
        &"[".repeat(200_000),
    ] {
        let (status, said) = answer(handler.call(Method::POST, "/jobs").body(body.to_owned())).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(status, 400, "{shown}: {said}");
    }
    assert!(handler.is_alive());
    assert_eq!(handler.health().await.0, 200);
}

#[tokio::test]
async fn events_of_event_grid_are_stored_alone_and_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    let event = |id: &str| {
        json!({
            "id": id, "subject": "tde-key", "eventType": "Microsoft.Resources.ResourceWriteSuccess",
            "topic": format!("/subscriptions/{}", crate::doors::SUBSCRIPTION),
            "eventTime": "2026-11-24T02:03:00Z", "dataVersion": "1", "metadataVersion": "1",
            "data": { "resourceUri": format!("{}/databases/orders", database("x").sql_server().unwrap()),
                      "operationName": "Microsoft.Sql/servers/databases/write", "status": "Succeeded" }
        })
    };
    for (place, one) in all(&event("e-1")).into_iter().enumerate() {
        let (status, said) = handler.invoke("events", json!({ "event": one })).await;
        let new = u64::from(place == 0);
        assert_eq!((status, &said["accepted"], &said["repeated"]), (202, &json!(new), &json!(1 - new)), "{said}");
    }
    let many = Value::String(json!([event("e-2"), event("e-3")]).to_string());
    let (status, said) = handler.invoke("events", json!({ "event": many })).await;
    assert_eq!((status, &said["accepted"]), (202, &json!(2)), "{said}");
    assert_eq!(handler.invoke("events", json!({ "event": "4" })).await.0, 400);
}

#[tokio::test]
async fn a_host_that_cannot_proxy_is_answered_in_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    let request = |method: &str, path: &str, body: Option<&str>| {
        let mut request = json!({
            "Url": format!("https://keymend.azurewebsites.net{path}?code=the-functions-key"), "Method": method,
            "Query": { "code": "the-functions-key" }, "Params": {}, "Identities": [],
            "Headers": { "Content-Type": ["application/json"], "Content-Length": ["3"], "x-functions-key": ["k"] },
        });
        if let Some(body) = body {
            request["Body"] = json!(body);
        }
        json!({ "req": request })
    };
    let body = alert(&database("orders"), "e-1").to_string();
    let (status, said) = handler.invoke("alerts", request("POST", "/api/alerts", Some(&body))).await;
    let res = &said["Outputs"]["res"];
    assert_eq!((status, &res["statusCode"], &res["body"]["accepted"]), (200, &json!(202), &json!(1)), "{said}");
    assert_eq!(res["headers"]["content-type"], "application/json; charset=utf-8");
    let (status, said) = handler.invoke("alerts", request("POST", "/api/alerts", None)).await;
    assert_eq!((status, &said["Outputs"]["res"]["statusCode"]), (200, &json!(400)), "sent in chunks: {said}");
    let (status, said) = handler.invoke("pages", request("GET", "/api/health", None)).await;
    assert_eq!((status, &said["Outputs"]["res"]["body"]["status"]), (200, &json!("ok")), "{said}");
    assert_eq!(handler.invoke("alerts", json!({ "req": "no request" })).await.0, 400);
}

#[tokio::test]
async fn the_timer_and_a_message_that_was_given_up_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = crate::stage::usual();
    settings.push(("KEYMEND_LOG", "info".to_owned()));
    let handler = Handler::start(folder.path(), &settings).await;
    handler.until(|health| health["status"] == "ok").await;
    for timer in [json!({ "Schedule": {}, "ScheduleStatus": null, "IsPastDue": true }), json!("4"), json!(null)] {
        let (status, said) = handler.invoke("patrol", json!({ "timer": timer })).await;
        assert_eq!((status, &said["failed"]), (200, &json!([])), "{said}");
    }
    let hostile = json!("\"rm -rf \u{1b}[2J\r\nazfuncjsonlog: \u{202e}evil\"");
    for _ in 0..2 {
        let (status, said) = handler.invoke("poison", json!({ "message": hostile })).await;
        assert_eq!((status, &said["recorded"]), (200, &json!("unreadable message")), "{said}");
    }
    let (status, _) = handler.invoke("poison", json!({ "message": "{\"v\":1,\"job\":\"pass:km-none\"}" })).await;
    assert_eq!(status, 200, "a job that was done meanwhile");
    // The team is told by the log's own channel, once.
    handler.until(|_| true).await;
    let began = std::time::Instant::now();
    while handler.health().await.1["next_job_at"] != json!(null) && began.elapsed().as_secs() < 30 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let left = handler.stop("-KILL");
    let told = left.out.lines().filter(|line| line.contains("A PERSON IS NEEDED")).count();
    assert_eq!(told, 1, "{}", left.log());
    assert!(left.log().lines().all(|line| line.starts_with('{')), "{}", left.log());
}
