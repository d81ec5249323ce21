//! Tokens that nobody may come in with: each is wrong in one thing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use keymend::drill::cloud::{Cloud, World};
use serde_json::{Value, json};
use sha2::Sha256;

use super::stage::Stage;

const OTHER: &str = "aaaaaaaa-0000-0000-0000-000000000009";

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signed by a key of the forger's, named as the tenant's.
fn by_another_key(stage: &Stage, claims: &Value) -> String {
    let other = Cloud::new(World::standard(), stage.cloud.clock().clone());
    let kid = stage.cloud.signing_key()["kid"].clone();
    other.sign_as(&json!({ "alg": "RS256", "kid": kid }).to_string(), &claims.to_string())
}

/// HMAC with what everybody knows of the key.
fn by_the_public_key(claims: &Value, kid: &Value, secret: &[u8]) -> String {
    let head = json!({ "alg": "HS256", "typ": "JWT", "kid": kid }).to_string();
    let message = format!("{}.{}", encode(head), encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_gets_nothing_done() {
    let stage = Stage::usual().await;
    let now = stage.now().as_second();
    let tid = "99999999-8888-7777-6666-555555555555";
    let changes: Vec<(&str, u16, Value)> = vec![
        ("expired", 401, json!({ "exp": now - 3600 })),
        ("expires never", 401, json!({ "exp": null })),
        ("expires in words", 401, json!({ "exp": "tomorrow" })),
        ("not yet valid", 401, json!({ "nbf": now + 3600 })),
        ("issued in the future", 401, json!({ "iat": now + 3600 })),
        ("for another application", 401, json!({ "aud": OTHER })),
        ("for Azure", 401, json!({ "aud": "https://management.azure.com" })),
        ("for several", 401, json!({ "aud": [OTHER, "cccccccc-0000-0000-0000-000000000001"] })),
        ("for nobody", 401, json!({ "aud": null })),
        (
            "by another tenant",
            401,
            json!({ "iss": format!("https://login.microsoftonline.com/{OTHER}/v2.0"), "tid": OTHER }),
        ),
        ("by every tenant", 401, json!({ "iss": "https://login.microsoftonline.com/common/v2.0" })),
        ("by another host", 401, json!({ "iss": format!("https://login.evil.example/{tid}/v2.0") })),
        ("by half an issuer", 401, json!({ "iss": format!("https://sts.windows.net/{tid}") })),
        ("of another tenant", 401, json!({ "tid": OTHER })),
        ("of no tenant", 401, json!({ "tid": null })),
        ("of another application", 403, json!({ "azp": OTHER })),
        ("of no application", 403, json!({ "azp": null })),
        ("of one application or another", 403, json!({ "appid": OTHER })),
        ("in the other version's word", 403, json!({ "azp": null, "appid": "461e8683-5575-4561-ac7f-899cc907d62a" })),
        ("without a role", 403, json!({ "roles": [] })),
        ("with a wish for a role", 401, json!({ "roles": "ActionGroupsSecureWebhook" })),
        ("with another's role", 403, json!({ "roles": ["AzureEventGridSecureWebhookSubscriber"] })),
        ("with nearly the role", 403, json!({ "roles": ["actiongroupssecurewebhook", "ActionGroupsSecureWebhook "] })),
        ("of a person", 403, json!({ "scp": "user_impersonation" })),
    ];
    for (what, status, change) in changes {
        let claims = stage.claims(|claims| {
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
        });
        let answer = stage.send(&stage.cloud.sign(&claims)).await;
        answer.is_error(status);
        stage.nothing_was_done(what).await;
    }
    assert_eq!(stage.asked(), [0, 0], "what is wrong before the signature costs no request");
    assert_eq!(stage.send(&stage.token()).await.status, 202, "the right one is let in");
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_the_tenant_gets_nothing_done() {
    let stage = Stage::usual().await;
    let (claims, key) = (stage.claims(|_| {}), stage.cloud.signing_key());
    let good = stage.token();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let with = |head: Value| stage.cloud.sign_as(&head.to_string(), &claims.to_string());
    let unsigned = |alg: &str| format!("{}.{payload}.", encode(json!({ "alg": alg, "kid": key["kid"] }).to_string()));
    let promoted = stage.claims(|claims| claims["aud"] = "api://keymend".into());
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    let everything = key.to_string();
    let forged = [
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("RS256 without a signature", unsigned("RS256")),
        ("no signature at all", message.to_owned()),
        ("another key", by_another_key(&stage, &claims)),
        ("the signature of other claims", format!("{head}.{}.{signature}", encode(promoted.to_string()))),
        ("half a signature", format!("{message}.{}", &signature[..signature.len() / 2])),
        ("HS256 with the modulus", by_the_public_key(&claims, &key["kid"], &modulus)),
        (
            "HS256 with the modulus in base64",
            by_the_public_key(&claims, &key["kid"], key["n"].as_str().unwrap().as_bytes()),
        ),
        ("HS256 with the published key", by_the_public_key(&claims, &key["kid"], everything.as_bytes())),
        ("HS256 with nothing", by_the_public_key(&claims, &key["kid"], b"")),
        ("RS384", with(json!({ "alg": "RS384", "kid": key["kid"] }))),
        ("PS256", with(json!({ "alg": "PS256", "kid": key["kid"] }))),
        ("no algorithm", with(json!({ "kid": key["kid"] }))),
        ("no key's name", with(json!({ "alg": "RS256" }))),
        ("an empty name", with(json!({ "alg": "RS256", "kid": "" }))),
        (
            "two algorithms",
            stage.cloud.sign_as(
                &format!("{{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":{}}}", key["kid"]),
                &claims.to_string(),
            ),
        ),
        ("unencoded", with(json!({ "alg": "RS256", "kid": key["kid"], "b64": false, "crit": ["b64"] }))),
        ("critical and unknown", with(json!({ "alg": "RS256", "kid": key["kid"], "crit": ["x"], "x": 1 }))),
        ("a claim twice", {
            let twice = claims.to_string().replacen('{', "{\"aud\":\"cccccccc-0000-0000-0000-000000000001\",", 1);
            stage.cloud.sign_as(&json!({ "alg": "RS256", "kid": key["kid"] }).to_string(), &twice)
        }),
        ("no claims", stage.cloud.sign_as(&json!({ "alg": "RS256", "kid": key["kid"] }).to_string(), "[]")),
        ("four parts", format!("{good}.x")),
        ("blanks within", good.replacen('.', " .", 1)),
        ("a secret", "correct-horse-battery-staple".to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("a long one", format!("{head}.{}.{signature}", encode("x".repeat(20_000)))),
    ];
    for (what, token) in &forged {
        let answer = stage.send(token).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(token.is_empty() || !answer.text.contains(token.as_str()), "{what}: {answer:?}");
        stage.nothing_was_done(what).await;
    }
    assert_eq!(stage.asked(), [1, 1]);
    assert_eq!(stage.send(&good).await.status, 202, "the right one is let in");
}

/// A key that comes with the token, or an address where it is, is the forger's.
#[tokio::test]
async fn a_key_in_a_header_is_never_used_and_an_address_never_asked() {
    let stage = Stage::usual().await;
    let claims = stage.claims(|_| {});
    let forger = Cloud::new(World::standard(), stage.cloud.clock().clone());
    let running = forger.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let at = format!("{}/99999999-8888-7777-6666-555555555555/discovery/v2.0/keys", running.url());
    for (what, extra) in [
        ("jwk", json!({ "jwk": forger.signing_key() })),
        ("jku", json!({ "jku": at })),
        ("x5u", json!({ "x5u": at })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
    ] {
        for kid in [stage.cloud.signing_key()["kid"].clone(), json!("forged")] {
            let mut head = json!({ "alg": "RS256", "kid": kid });
            head.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let answer = stage.send(&forger.sign_as(&head.to_string(), &claims.to_string())).await;
            answer.is_error(401);
            stage.nothing_was_done(what).await;
        }
    }
    assert!(forger.requests().is_empty(), "nobody asked the forger");
    assert_eq!(stage.asked(), [0, 0]);
}

#[tokio::test]
async fn odd_headers_are_no_token() {
    let stage = Stage::usual().await;
    let good = format!("Bearer {}", stage.token());
    let long = format!("Bearer {}", "x".repeat(100_000));
    for headers in [
        vec![("Authorization", good.as_str()), ("Authorization", "Bearer forged")],
        vec![("Authorization", "Bearer forged"), ("Authorization", good.as_str())],
        vec![("Authorization", good.as_str()), ("authorization", good.as_str())],
        vec![("Authorization", "Basic YTpi")],
        vec![("Authorization", "Bearer")],
        vec![("Authorization", "")],
        vec![("Authorization", long.as_str())],
        vec![("X-Authorization", good.as_str())],
        vec![("Cookie", good.as_str())],
    ] {
        let answer = stage.send_with(&headers).await;
        assert!(matches!(answer.status, 401 | 431), "{:?}: {answer:?}", headers[0].0);
        stage.nothing_was_done(headers[0].0).await;
    }
    // Too long for any header: the connection ends before anything of ours sees it.
    let endless = format!("Bearer {}", "x".repeat(2_000_000));
    let answer = stage.send_with(&[("Authorization", &endless)]).await;
    assert_eq!(answer.status, 431);
    stage.nothing_was_done("an endless header").await;
}

/// Whatever is changed in a good token, it is no longer one.
#[tokio::test]
async fn no_changed_token_is_let_in() {
    let stage = Stage::usual().await;
    let good = stage.token();
    let admits = async |token: String| {
        let Ok(value) = format!("Bearer {token}").parse() else { return false };
        let headers = axum::http::HeaderMap::from_iter([(axum::http::header::AUTHORIZATION, value)]);
        stage.callers.admit(&headers, &"/api/alerts".parse().unwrap(), stage.now()).await.is_ok()
    };
    assert!(admits(good.clone()).await);
    for at in 0..good.len() {
        let mut other = good.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(!admits(other.clone()).await, "changed at {at}: {other}");
        assert!(!admits(good[..at].to_owned()).await, "cut at {at}");
    }
}
