//! Delivery over real HTTP on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::SignedDuration;
use keymend::clock::Clock;
use keymend::domain::notice::Notice;
use keymend::notify::reach::Reach;
use keymend::notify::secret::Secret;
use keymend::notify::teams::{Teams, TeamsOptions};
use keymend::notify::terminal::Log;
use keymend::notify::webhook::{Webhook, WebhookOptions};
use keymend::notify::{Channel, ChannelError, Parcel};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::samples;

/// The part of an address that nobody may see.
const SIG: &str = "s3cr3t-SAS-signature";

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers every path alike and remembers what it was sent.
async fn receiver(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> (String, Seen) {
    let seen = Seen::default();
    let keep = move |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| {
        let answer = answer.clone();
        async move {
            seen.lock().unwrap().push((headers, body));
            answer()
        }
    };
    let app = Router::new().route("/workflows/{*rest}", post(keep)).with_state(seen.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}/workflows/x/triggers/manual/paths/invoke?sp=%2Ftriggers&sig={SIG}"), seen)
}

fn notice() -> Notice {
    samples::all().into_iter().find(|(name, _)| *name == "escalated_missing_right").map(|(_, notice)| notice).unwrap()
}

fn teams(url: &str) -> Teams {
    Teams::new("teams-dba", Secret::new(url), TeamsOptions::default(), Clock::system()).unwrap()
}

/// What comes of sending to a receiver that answers like this.
async fn outcome(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Result<(), ChannelError> {
    let (url, seen) = receiver(answer).await;
    let outcome = teams(&url).send(&Parcel::of(&notice())).await.map(drop);
    assert_eq!(seen.lock().unwrap().len(), 1, "one attempt, no more");
    if let Err(error) = &outcome {
        keeps_the_secret(&format!("{error} {error:?}"));
    }
    outcome
}

fn keeps_the_secret(text: &str) {
    assert!(!text.contains(SIG) && !text.contains("/workflows/") && !text.contains("sig="), "{text}");
}

#[track_caller]
fn permanent(outcome: Result<(), ChannelError>) -> String {
    match outcome {
        Err(ChannelError::Permanent { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn retry(outcome: Result<(), ChannelError>) -> (Option<SignedDuration>, String) {
    match outcome {
        Err(ChannelError::Retry { after, why }) => (after, why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_card_arrives_and_202_is_sent() {
    let (url, seen) = receiver(|| StatusCode::ACCEPTED.into_response()).await;
    assert_eq!(teams(&url).send(&Parcel::of(&notice())).await.map(drop), Ok(()));
    let seen = seen.lock().unwrap();
    let (headers, body) = &seen[0];
    assert!(headers.get("authorization").is_none(), "a Workflow that is open to anyone refuses a token");
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/json"));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
    assert!(body.to_string().contains("km-20261124-0207-7f3k"));
}

#[tokio::test]
async fn a_response_action_with_200_is_sent_too() {
    assert_eq!(outcome(|| (StatusCode::OK, "{\"ok\":true}").into_response()).await, Ok(()));
}

#[tokio::test]
async fn refusals_are_permanent_and_name_the_flows_error() {
    let flow = |status: StatusCode| {
        let message = format!("The workflow of {SIG} is disabled");
        let error = json!({"error": {"code": "WorkflowTriggerIsNotEnabled", "message": message}});
        move || (status, axum::Json(error.clone())).into_response()
    };
    for status in [400, 401, 403, 404, 410, 413] {
        let status = StatusCode::from_u16(status).unwrap();
        let why = permanent(outcome(flow(status)).await);
        assert!(why.contains("teams-dba") && why.contains("WorkflowTriggerIsNotEnabled"), "{why}");
        assert!(why.contains(status.as_str()), "{why}");
    }
    let gone = permanent(outcome(|| StatusCode::GONE.into_response()).await);
    assert!(gone.contains("gone or switched off"), "{gone}");
}

#[tokio::test]
async fn an_error_code_that_echoes_the_address_is_left_out() {
    let echo = || (StatusCode::BAD_REQUEST, axum::Json(json!({"error": {"code": SIG}}))).into_response();
    permanent(outcome(echo).await);
    let long = || (StatusCode::BAD_REQUEST, "x".repeat(3_000_000)).into_response();
    permanent(outcome(long).await);
}

#[tokio::test]
async fn throttling_and_faults_are_tried_again() {
    let throttled = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "37")]).into_response();
    let (after, _) = retry(outcome(throttled).await);
    assert_eq!(after, Some(SignedDuration::from_secs(37)));
    for status in [StatusCode::REQUEST_TIMEOUT, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY] {
        let (after, why) = retry(outcome(move || status.into_response()).await);
        assert_eq!(after, None);
        assert!(why.contains(status.as_str()), "{why}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, lured) = receiver(|| StatusCode::ACCEPTED.into_response()).await;
    let redirect = move || (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere.clone())]).into_response();
    let why = permanent(outcome(redirect).await);
    assert!(why.contains("307"), "{why}");
    assert!(lured.lock().unwrap().is_empty(), "the message went to another address");
}

/// Reads the beginning of the request, then does `then` with the connection.
async fn raw<F>(then: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 64];
            let _ = stream.read(&mut some).await;
            tokio::spawn(then(stream));
        }
    });
    format!("http://{address}/workflows/x?sig={SIG}")
}

#[tokio::test]
async fn silence_reset_and_nobody_there_are_tried_again() {
    let silent = raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let options = TeamsOptions { timeout: Duration::from_millis(200), ..TeamsOptions::default() };
    let channel = Teams::new("teams-dba", Secret::new(silent), options, Clock::system()).unwrap();
    let (_, why) = retry(channel.send(&Parcel::of(&notice())).await.map(drop));
    assert!(why.contains("did not answer in time"), "{why}");
    keeps_the_secret(&why);

    // Closing with unread data resets the connection.
    let resetting = raw(|stream| async move { drop(stream) }).await;
    let (_, why) = retry(teams(&resetting).send(&Parcel::of(&notice())).await.map(drop));
    assert!(why.contains("broke the connection off"), "{why}");
    keeps_the_secret(&why);

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/workflows/x?sig={SIG}", free.local_addr().unwrap());
    drop(free);
    let (_, why) = retry(teams(&nobody).send(&Parcel::of(&notice())).await.map(drop));
    assert!(why.contains("cannot be connected to"), "{why}");
    keeps_the_secret(&why);
}

#[tokio::test]
async fn the_twenty_sixth_message_waits_without_being_sent() {
    let (url, seen) = receiver(|| StatusCode::ACCEPTED.into_response()).await;
    let clock = Clock::stepped(samples::at("02:07:31"), None);
    let channel = Teams::new("teams-dba", Secret::new(url), TeamsOptions::default(), clock.clone()).unwrap();
    let _still = clock.busy();
    for _ in 0..25 {
        assert_eq!(channel.send(&Parcel::of(&notice())).await.map(drop), Ok(()));
    }
    let (after, _) = retry(channel.send(&Parcel::of(&notice())).await.map(drop));
    assert_eq!(after, Some(SignedDuration::from_secs(300)));
    assert_eq!(seen.lock().unwrap().len(), 25);
    clock.pause(SignedDuration::from_secs(300)).await;
    assert_eq!(channel.send(&Parcel::of(&notice())).await.map(drop), Ok(()));
}

#[test]
fn addresses_that_give_the_secret_away_are_refused() {
    let error = |url: &str| {
        let url = Secret::new(url);
        Teams::new("teams-dba", url, TeamsOptions::default(), Clock::system()).err().map(|error| error.to_string())
    };
    for url in [
        format!("http://prod-1.westeurope.logic.azure.com/workflows/x?sig={SIG}"),
        format!("ftp://127.0.0.1/workflows/x?sig={SIG}"),
        format!("no address sig={SIG}"),
        format!("@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/{SIG}/)"),
        String::new(),
    ] {
        let error = error(&url).unwrap();
        assert!(error.contains("teams-dba"), "{error}");
        keeps_the_secret(&error);
    }
    assert_eq!(error(&format!("https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig={SIG}")), None);
}

#[test]
fn channels_do_not_show_their_secrets() {
    let teams = teams(&format!("https://prod-1.logic.azure.com/workflows/x?sig={SIG}"));
    keeps_the_secret(&format!("{teams:?} {teams:#?}"));
    assert!(format!("{teams:?}").contains("***"));
    let hook = webhook(&format!("http://127.0.0.1:1/workflows/x?sig={SIG}"), &[key(1)]);
    let shown = format!("{hook:?}");
    keeps_the_secret(&shown);
    assert!(!shown.contains(key(1).expose()) && !shown.contains("1, 1, 1"), "{shown}");
}

fn key(byte: u8) -> Secret {
    Secret::new(format!("whsec_{}", STANDARD.encode([byte; 32])))
}

fn webhook(url: &str, keys: &[Secret]) -> Webhook {
    let options = WebhookOptions {
        reach: Reach { private: false, loopback: true },
        source: "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/func-keymend".to_owned(),
        ..WebhookOptions::default()
    };
    Webhook::new("hook", Secret::new(url), keys, options, Clock::system()).unwrap()
}

#[tokio::test]
async fn an_event_is_signed_so_that_the_receiver_can_tell() {
    let (url, seen) = receiver(|| StatusCode::NO_CONTENT.into_response()).await;
    let notice = notice();
    assert_eq!(webhook(&url, &[key(1), key(2)]).send(&Parcel::of(&notice)).await.map(drop), Ok(()));
    let seen = seen.lock().unwrap();
    let (headers, body) = &seen[0];
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(header("webhook-id"), "km-20261124-0207-7f3k.1");
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), str::from_utf8(body).unwrap());
    let signature = |byte: u8| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[byte; 32]).unwrap();
        mac.update(signed.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    assert_eq!(header("webhook-signature"), format!("{} {}", signature(1), signature(2)));
    let age = Clock::system().now().as_second() - header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "the timestamp is {age} s old");

    let event: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "km-20261124-0207-7f3k.1");
    assert_eq!(event["type"], "io.keymend.incident.escalated.v1");
    assert_eq!(event["time"], "2026-11-24T02:15:05Z");
    assert_eq!(event["subject"], samples::vault().as_str());
    assert!(event["source"].as_str().is_some_and(|source| source.ends_with("/func-keymend")));
    let names = event.as_object().unwrap().keys();
    assert!(names.into_iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())));
    assert_eq!(event["data"]["needs_person"]["missing_rights"][0]["role"], "Key Vault Contributor");
    assert_eq!(event["data"]["affected"]["down_count"], 3);
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_is_told_apart_from_a_busy_one() {
    let (gone, _) = receiver(|| StatusCode::GONE.into_response()).await;
    let why = permanent(webhook(&gone, &[key(1)]).send(&Parcel::of(&notice())).await.map(drop));
    assert!(why.contains("wants no more"), "{why}");
    let (busy, _) = receiver(|| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "120")]).into_response()).await;
    let (after, _) = retry(webhook(&busy, &[key(1)]).send(&Parcel::of(&notice())).await.map(drop));
    assert_eq!(after, Some(SignedDuration::from_secs(120)));
}

/// A name that is harmless to look at and leads to this machine: refused when it is resolved, and nothing is sent.
#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed() {
    let touched = Arc::new(Mutex::new(0));
    let count = touched.clone();
    let app = Router::new().fallback(any(move || async move { *count.lock().unwrap() += 1 }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = Secret::new(format!("https://localhost:{port}/hook?sig={SIG}"));
    let hook = Webhook::new("hook", url, &[key(1)], WebhookOptions::default(), Clock::system()).unwrap();
    let why = permanent(hook.send(&Parcel::of(&notice())).await.map(drop));
    assert!(why.contains("private, local or reserved"), "{why}");
    keeps_the_secret(&why);
    assert_eq!(*touched.lock().unwrap(), 0);
}

#[tokio::test]
async fn the_log_takes_everything() {
    for (_, notice) in samples::all() {
        assert_eq!(Log::new().send(&Parcel::of(&notice)).await.map(drop), Ok(()));
    }
}

#[test]
fn events_stay_within_what_every_receiver_takes() {
    for (name, mut notice) in samples::all() {
        let whole: Value = serde_json::from_str(&keymend::notify::event::event(&notice, "urn:keymend")).unwrap();
        assert_eq!(whole["data"]["affected"]["complete"], true, "{name}");
        let storm = samples::storm();
        notice.servers = storm.servers().cloned().collect();
        notice.databases = storm.inaccessible();
        notice.databases.iter_mut().for_each(|database| database.name = "n".repeat(128));
        notice.down = notice.databases.clone();
        let event = keymend::notify::event::event(&notice, "urn:keymend");
        assert!(event.len() <= keymend::notify::event::LARGEST, "{name}: {}", event.len());
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["data"]["affected"]["databases_count"], 400);
        assert_eq!(event["data"]["affected"]["complete"], false);
    }
}
