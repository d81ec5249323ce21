//! Routes, keys, and how requests reach the handler.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::host_double::Host;
use crate::toy::Toy;

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn json(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

fn header(seen: &Value, name: &str) -> Vec<String> {
    let all = seen["headers"].as_array().unwrap();
    all.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

async fn post(host: &Host, path: &str, key: &str) -> Response {
    client().post(format!("{}{path}", host.url())).header("x-functions-key", key).body("a body").send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_the_key_stay_outside() {
    let host = Toy::new("behaves", &[]).start().await;
    for key in ["", "wrong"] {
        assert_eq!(post(&host, "/api/echo/x", key).await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(host.calls().len(), 0, "the handler is not called");
    for key in [host.keys().function.clone(), host.keys().master.clone()] {
        assert_eq!(post(&host, "/api/echo/x", &key).await.status(), StatusCode::IM_A_TEAPOT);
    }
    let wrong_header = post(&host, &format!("/api/echo/x?code={}", host.keys().function), "wrong").await;
    assert_eq!(wrong_header.status(), StatusCode::UNAUTHORIZED, "the header goes before the query");
    let anonymous = client().get(format!("{}/api/some/page", host.url())).send().await.unwrap();
    assert_eq!(json(anonymous).await["path"], "/api/some/page");
    for path in ["/work", "/admin/functions", "/echo/x", "/"] {
        assert_eq!(post(&host, path, &host.keys().master).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxying_streams_the_body_and_overwrites_the_headers_of_the_host() {
    let host = Toy::new("behaves", &[]).start().await;
    let pieces = futures::stream::iter(["a ", "body"].map(Ok::<_, std::io::Error>));
    let answer = client()
        .post(host.url_with_key("/api/echo/x"))
        .header("x-azure-functions-invocationid", "forged")
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT, "the handler's own status");
    let seen = json(answer).await;
    assert_eq!(seen["body"], "a body", "a chunked body comes through");
    assert_eq!(header(&seen, "x-azure-functions-invocationid").len(), 1);
    assert_ne!(header(&seen, "x-azure-functions-invocationid")[0], "forged");
    assert!(seen["path"].as_str().unwrap().contains("?code="), "the key is passed on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarding_drops_a_chunked_body_and_appends_headers() {
    let switches = [
        ("/customHandler/enableProxyingHttpRequest", json!(false)),
        ("/customHandler/enableForwardingHttpRequest", json!(true)),
    ];
    let host = Toy::new("behaves", &switches).start().await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>("a body")]);
    let answer = client()
        .post(format!("{}&a=1&a=2", host.url_with_key("/api/echo/x")))
        .header("x-azure-functions-invocationid", "forged")
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await
        .unwrap();
    let seen = json(answer).await;
    assert_eq!(seen["body"], "");
    assert_eq!(header(&seen, "x-azure-functions-invocationid").len(), 2);
    assert!(seen["path"].as_str().unwrap().ends_with("&a=1%2C2"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_binding_more_is_the_payload_mode() {
    let host = Toy::new("behaves", &[]).start().await;
    let key = host.keys().function.clone();
    let answer = post(&host, "/api/wrapped", &key).await;
    assert_eq!(answer.status().as_u16(), 207, "the status is the output's");
    let seen = json(answer).await;
    assert_eq!(seen["body"], "a body");
    assert!(seen["keys"].to_string().contains("default"), "the key's name is told: {seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_load_balancer_waits_only_so_long() {
    let toy = Toy::new("behaves", &[]);
    let mut options = crate::host_double::Options::new(toy.settings.clone());
    options.answer_limit = std::time::Duration::from_millis(1500);
    let host = Host::start(toy.root.path(), options).await.unwrap();
    host.worker().ready().await.unwrap();
    let key = host.keys().function.clone();
    assert_eq!(post(&host, "/api/echo/slowly", &key).await.status(), StatusCode::GATEWAY_TIMEOUT);
}
