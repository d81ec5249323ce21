//! The port answers before anything else is known.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::stage::{Handler, answer, usual};

/// What a debug build on a busy machine may take; the deployed build is held to 20 ms where it is packed.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn it_answers_at_once_without_any_setting() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::spawn(folder.path(), &[]);
    let took = handler.ready().await;
    assert!(took < SOON, "{took:?}");
    let (status, body) = answer(handler.client.get(handler.url("/"))).await;
    assert_eq!((status, &body["service"]), (200, &serde_json::json!("keymend")));
}

#[tokio::test]
async fn asking_whether_it_is_there_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        assert_eq!(answer(handler.client.get(handler.url("/"))).await.0, 200);
        times.push(began.elapsed());
    }
    times.sort();
    assert!(times[50] < Duration::from_millis(5), "half of the calls within {:?}", times[50]);
}

#[tokio::test]
async fn a_store_that_another_process_holds_does_not_keep_it_from_answering() {
    let folder = tempfile::tempdir().unwrap();
    let first = Handler::working(folder.path()).await;
    let second = Handler::spawn(folder.path(), &usual());
    let took = second.ready().await;
    assert!(took < SOON, "{took:?}");
    assert_eq!(second.health().await.0, 503, "the rooms are not open");
    let began = Instant::now();
    assert_eq!(answer(second.client.get(second.url("/"))).await.0, 200);
    assert!(began.elapsed() < SOON);
    drop(first);
    second.until(|health| health["status"] == "ok").await;
}

#[tokio::test]
async fn nothing_is_at_other_paths() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::working(folder.path()).await;
    for path in ["/api", "/api/", "/api/nothing", "/api/alerts/more", "/nothing", "/jobs/more", "/admin/functions"] {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let (status, body) = answer(handler.call(method.clone(), path).body("{}")).await;
            assert_eq!(status, 404, "{method} {path}: {body}");
        }
    }
    assert_eq!(answer(handler.call(Method::DELETE, "/api/alerts")).await.0, 405);
    assert_eq!(answer(handler.call(Method::POST, "/")).await.0, 405);
}
