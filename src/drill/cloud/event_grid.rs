//! Event Grid's delivery: proves that an endpoint wants events, delivers each at least once, tries again for a day.
//!
//! Documented: an answer is waited for 30 seconds; tries follow 10 and 30 seconds, 1, 5, 10 and 30 minutes, 1, 3, 6 and
//! 12 hours later; a webhook that answers 400, 401, 403, 404 or 413 is not tried again.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::action_group::{Delivery, sleep};
use super::{FirstParty, Inner, lock};
use crate::clock::{Busy, add};

const RETRIES: [i64; 10] = [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200];
const PATIENCE: Duration = Duration::from_secs(30);
const CODE: &str = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6";

/// Where events go.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// The endpoint, if it is not the Action Group's.
    pub(super) url: Option<String>,
    /// The endpoint that has proved that it wants them.
    proved: Option<String>,
}

/// Delivers one event until it is taken or given up.
pub(super) async fn deliver(inner: Arc<Inner>, body: Value, mut busy: Busy) {
    let event = body.pointer("/0/id").or_else(|| body.get("id")).and_then(Value::as_str).unwrap_or_default().to_owned();
    for attempt in 1..=11_u32 {
        let url = lock(&inner.events).url.clone();
        let Some(url) = url.or_else(|| inner.webhook()) else { return };
        let now = inner.clock.now();
        let (status, answer) = if proved(&inner, &url, body.is_array()).await {
            let kind = if body.is_array() { "application/json" } else { "application/cloudevents+json" };
            post(&inner, &url, kind, "Notification", &body).await
        } else {
            (None, "the endpoint has not proved that it wants events".to_owned())
        };
        let delivery = Delivery { at: now, event: event.clone(), attempt, status, answer, body: body.clone() };
        inner.delivered(delivery);
        let done = status.is_some_and(|status| status < 300 || matches!(status, 400 | 401 | 403 | 404 | 413));
        let Some(wait) = RETRIES.get(attempt as usize - 1).filter(|_| !done) else { break };
        busy = sleep(&inner.clock, add(now, SignedDuration::from_secs(*wait)), busy).await;
    }
    drop(busy);
}

/// Asks an endpoint, once, whether it wants events.
async fn proved(inner: &Inner, url: &str, own_schema: bool) -> bool {
    if lock(&inner.events).proved.as_deref() == Some(url) {
        return true;
    }
    let wanted = if own_schema { validates(inner, url).await } else { allows(inner, url).await };
    if wanted {
        lock(&inner.events).proved = Some(url.to_owned());
    }
    wanted
}

/// Event Grid's own handshake: the code must come back.
async fn validates(inner: &Inner, url: &str) -> bool {
    let question = json!([{
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", "topic": "/subscriptions/11111111-2222-3333-4444-555555555555",
        "subject": "", "data": { "validationCode": CODE }, "eventTime": inner.clock.now(),
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "metadataVersion": "1", "dataVersion": "2",
    }]);
    let (status, answer) = post(inner, url, "application/json", "SubscriptionValidation", &question).await;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    status == Some(200) && answer["validationResponse"] == CODE
}

/// The handshake of CloudEvents.
async fn allows(inner: &Inner, url: &str) -> bool {
    let Some(client) = &inner.client else { return false };
    let request = client.request(reqwest::Method::OPTIONS, url).timeout(PATIENCE);
    let request = signed(inner, request);
    let answer = request.header("webhook-request-origin", "eventgrid.azure.net").send().await;
    answer.is_ok_and(|answer| answer.status().is_success() && answer.headers().contains_key("webhook-allowed-origin"))
}

async fn post(inner: &Inner, url: &str, content: &str, kind: &str, body: &Value) -> (Option<u16>, String) {
    let Some(client) = &inner.client else { return (None, "no HTTP client".to_owned()) };
    let request = client
        .post(url)
        .timeout(PATIENCE)
        .header("content-type", format!("{content}; charset=utf-8"))
        .header("aeg-event-type", kind)
        .body(body.to_string());
    match signed(inner, request).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            (Some(status), text.chars().take(500).collect())
        }
        Err(error) => (None, error.without_url().to_string()),
    }
}

/// With a token, if the endpoint is protected. That the handshakes carry one too is an assumption.
fn signed(inner: &Inner, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    match inner.token_of(FirstParty::EventGrid) {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}
