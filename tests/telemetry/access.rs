//! Who is told the metrics.

use std::net::{IpAddr, UdpSocket};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::exposition::Samples;
use crate::serve::{SECRET, Serve};
use crate::stage::{client, serve_command};

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";

/// A `serve` that listens at `listen`, with a cloud that refuses every connection.
async fn serve(listen: &str) -> (Serve, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let scope = format!("[scope]\nsubscriptions = [\"{SUBSCRIPTION}\"]\n");
    let rest = format!("[azure]\narm_endpoint = \"http://127.0.0.1:9\"\n[server]\nlisten = \"{listen}\"\n");
    std::fs::write(folder.path().join("keymend.toml"), scope + &rest).unwrap();
    let mut serve = Serve::start_as(serve_command(folder.path()));
    serve.ready().await;
    (serve, folder)
}

async fn ask(url: &str, headers: &[(HeaderName, &str)]) -> (u16, String, HeaderMap) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    let answer = client().get(url).headers(map).send().await.unwrap();
    let (status, its) = (answer.status().as_u16(), answer.headers().clone());
    (status, answer.text().await.unwrap(), its)
}

/// Asks as a stranger, with and without the secret; `from` makes the caller a stranger.
async fn stranger_needs_the_secret(url: &str, from: &[(HeaderName, &str)]) {
    let with = |header: (HeaderName, String)| {
        let headers: Vec<(HeaderName, String)> =
            from.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).chain([header]).collect();
        let url = url.to_owned();
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
            ask(&url, &headers).await
        }
    };
    let (status, body, headers) = ask(url, from).await;
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("Authorization: Bearer") && !body.contains("keymend_"), "{body}");
    assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    let key = HeaderName::from_static("x-functions-key");
    for wrong in ["Bearer wrong", "Bearer ", &format!("Basic {SECRET}"), SECRET] {
        let (status, body, _) = with((AUTHORIZATION, wrong.to_owned())).await;
        assert_eq!(status, 401, "{wrong}: {body}");
        assert!(!body.contains("keymend_") && !body.contains(SECRET), "{body}");
    }
    for (name, right) in [(AUTHORIZATION, format!("Bearer {SECRET}")), (key, SECRET.to_owned())] {
        let (status, body, _) = with((name, right)).await;
        assert_eq!(status, 200);
        assert!(Samples::read(&body).families.contains_key("keymend_incidents_opened_total"));
    }
    assert_eq!(ask(&format!("{url}?code={SECRET}"), from).await.0, 200);
    assert_eq!(ask(&format!("{url}?code=wrong"), from).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_needs_no_secret_and_who_comes_through_a_proxy_does() {
    let (serve, _folder) = serve("127.0.0.1:0").await;
    let url = format!("{}/metrics", serve.address());
    assert_eq!(ask(&url, &[]).await.0, 200);
    stranger_needs_the_secret(&url, &[(HeaderName::from_static("x-forwarded-for"), "203.0.113.7")]).await;
    stranger_needs_the_secret(&url, &[(reqwest::header::HOST, "rebound.example")]).await;
    let log = serve.stop();
    assert!(!log.contains(SECRET), "{log}");
    assert!(log.contains("a caller was not told the metrics"), "{log}");
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_over_the_network_needs_the_secret() {
    let Some(address) = outward() else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let (serve, _folder) = serve("0.0.0.0:0").await;
    let port = serve.address().rsplit_once(':').unwrap().1.to_owned();
    stranger_needs_the_secret(&format!("http://{address}:{port}/metrics"), &[]).await;
    // The name alone does not make a caller local.
    stranger_needs_the_secret(&format!("http://{address}:{port}/metrics"), &[(reqwest::header::HOST, "localhost")])
        .await;
    assert_eq!(ask(&format!("http://127.0.0.1:{port}/metrics"), &[]).await.0, 200);
}
