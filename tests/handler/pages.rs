//! The pages under the Functions host: proxied, and in a payload.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::stage::{Handler, INVOCATION, answer, usual};

const GROUP: &str = "7d1a0000-0000-4000-8000-000000000001";

fn principal(group: &str) -> String {
    let claims = json!([{ "typ": "name", "val": "Ada" }, { "typ": "groups", "val": group }]);
    STANDARD.encode(json!({ "auth_typ": "aad", "claims": claims }).to_string())
}

async fn under(platform: &[(&'static str, &str)]) -> (tempfile::TempDir, Handler) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = usual();
    settings.extend([
        ("KEYMEND_PAGES_ACCESS", "sign-in".to_owned()),
        ("KEYMEND_PAGES_READERS", GROUP.to_owned()),
        ("WEBSITE_HOSTNAME", "keymend.azurewebsites.net".to_owned()),
    ]);
    settings.extend(platform.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let handler = Handler::start(folder.path(), &settings).await;
    handler.until(|health| health["status"].is_string()).await;
    (folder, handler)
}

/// A request as the host proxies it.
fn proxied(handler: &Handler, method: Method, path: &str) -> reqwest::RequestBuilder {
    let request = handler.client.request(method, handler.url(path)).header("host", "keymend.azurewebsites.net");
    request.header("x-forwarded-for", "203.0.113.9").header(INVOCATION, crate::stage::ID).header("accept", "text/html")
}

#[tokio::test]
async fn who_signed_in_reads_through_the_host() {
    let (_folder, handler) = under(&[("WEBSITE_AUTH_ENABLED", "True")]).await;
    let (in_it, out_of_it) = (principal(GROUP), principal("7d1a0000-0000-4000-8000-000000000009"));
    for path in ["/api/incidents", "/api/Incidents/", "/api/INCIDENTS?show=past"] {
        let read = |who: &str| proxied(&handler, Method::GET, path).header("x-ms-client-principal", who);
        let page = read(&in_it).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
        assert!(page.text().await.unwrap().contains("There are no incidents."));
        assert_eq!(read(&out_of_it).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let nobody = proxied(&handler, Method::GET, "/api/incidents").send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    let missing = proxied(&handler, Method::GET, "/api/incidents/km-x").header("x-ms-client-principal", &in_it);
    assert_eq!(missing.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let style = proxied(&handler, Method::GET, "/api/assets/keymend.css").send().await.unwrap();
    assert_eq!((style.status(), &style.headers()["content-type"].to_str().unwrap()[..8]), (StatusCode::OK, "text/css"));
    let head = proxied(&handler, Method::HEAD, "/api/incidents").header("x-ms-client-principal", &in_it);
    assert_eq!(head.send().await.unwrap().status(), StatusCode::OK);
    let past_the_host = handler.client.get(handler.url("/api/incidents")).header("x-ms-client-principal", &in_it);
    assert_eq!(past_the_host.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_reads_where_the_platform_does_not_check() {
    for platform in [&[][..], &[("WEBSITE_AUTH_ENABLED", "False")]] {
        let (_folder, handler) = under(platform).await;
        let page = proxied(&handler, Method::GET, "/api/incidents").header("x-ms-client-principal", principal(GROUP));
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
        assert!(page.text().await.unwrap().contains("nobody checks it"));
        let health = handler.health().await.1;
        assert_eq!(health["status"], "degraded", "and it is said: {health}");
        assert!(health["faults"].to_string().contains("pages.access"), "{health}");
    }
    let (_folder, handler) = under(&[("KEYMEND_PAGES_EASY_AUTH", "on")]).await;
    let page = proxied(&handler, Method::GET, "/api/incidents").header("x-ms-client-principal", principal(GROUP));
    assert_eq!(page.send().await.unwrap().status(), StatusCode::OK, "somebody says that it does");
}

/// What a host sends that does not know how to proxy.
#[tokio::test]
async fn pages_come_in_a_payload_too() {
    let (_folder, handler) = under(&[("WEBSITE_AUTH_ENABLED", "True")]).await;
    let request = |path: &str, method: &str| {
        json!({ "req": {
            "Url": format!("https://keymend.azurewebsites.net{path}"), "Method": method, "Query": {}, "Params": {},
            "Headers": { "Accept": ["text/html"], "X-MS-CLIENT-PRINCIPAL": [principal(GROUP)] },
        } })
    };
    for (path, method, status, kind, said) in [
        ("/api/incidents", "GET", 200, "text/html; charset=utf-8", "There are no incidents."),
        ("/api/incidents/km-x", "GET", 404, "text/html; charset=utf-8", "There is no such incident"),
        ("/api/assets/keymend.js", "GET", 200, "text/javascript; charset=utf-8", "'use strict'"),
    ] {
        let (code, sent) = handler.invoke("pages", request(path, method)).await;
        let res = &sent["Outputs"]["res"];
        assert_eq!(
            (code, &res["statusCode"], &res["headers"]["content-type"]),
            (200, &json!(status), &json!(kind)),
            "{sent}"
        );
        assert!(res["body"].as_str().unwrap().contains(said), "{sent}");
    }
    let (code, sent) = handler.invoke("pages", request("/api/incidents", "HEAD")).await;
    assert_eq!((code, &sent["Outputs"]["res"]["statusCode"]), (200, &json!(200)), "{sent}");
    let (status, _) = answer(handler.client.get(handler.url("/"))).await;
    assert_eq!(status, 200);
}
