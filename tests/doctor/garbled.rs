//! Answers that are none of Azure's: nothing breaks, and nothing is taken for granted.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use serde_json::Value;

use crate::clinic::{check, run};

async fn nonsense(status: u16, body: &'static str) -> String {
    let answer = async move || {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
    format!("http://{address}")
}

async fn examined(arm: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("KEYMEND_ARM_ENDPOINT", arm), ("KEYMEND_SUBSCRIPTIONS", "11111111-2222-3333-4444-555555555555")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let said = run(folder.path(), &["--json"], &variables).await;
    assert_eq!(said.code, 1, "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_unknown() {
    let deep: &'static str = Box::leak(("[".repeat(5000)).into_boxed_str());
    for (status, body) in [
        (200, "<html>a proxy's own page</html>"),
        (200, "[]"),
        (200, "{}"),
        (200, "null"),
        (200, r#"{"value": [{"id": 7, "properties": []}]}"#),
        (200, r#"{"value": "x", "nextLink": 3}"#),
        (200, deep),
        (404, ""),
        (418, r#"{"error": []}"#),
    ] {
        let report = examined(&nonsense(status, body).await).await;
        assert_eq!(report["missing"], 0, "nothing can be said to be missing: {body}: {report:#}");
        assert!(report["unknown"].as_u64().unwrap() > 0, "{body}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let began = Instant::now();
    let report = examined(&format!("http://{address}")).await;
    assert!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
    assert_eq!(
        (&check(&report, "ARM")["state"], &check(&report, "clock")["state"]),
        (&"missing".into(), &"unknown".into())
    );
}
