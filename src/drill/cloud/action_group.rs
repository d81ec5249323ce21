//! The Action Group: posts alerts to the webhook, tries again as Azure does, and then falls silent.
//!
//! Facts: at least one and at most five retries, 5, 20, 5, 40 and 5 seconds apart, after 408, 429, 503, 504 and broken
//! connections; then no call to the endpoint for 15 minutes. Nothing else is tried again, and nothing is kept: what is
//! due in those minutes is lost.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{FirstParty, Inner};
use crate::clock::{Busy, Clock, add};

const RETRIES: [i64; 5] = [5, 20, 5, 40, 5];
const QUIET: SignedDuration = SignedDuration::from_mins(15);
/// How long an answer is waited for, in real time. Azure's own limit was once documented as ten seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// One attempt to deliver an alert.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// When it was made.
    pub at: Timestamp,
    /// The event's id: the same for every attempt.
    pub event: String,
    /// 1 for the first.
    pub attempt: u32,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// The answer's body, cut short; or why there was none.
    pub answer: String,
    /// The body that was posted.
    pub body: Value,
}

/// Posts one alert until it is taken or given up. The guard keeps the clock still while the receiver works.
pub(super) async fn deliver(inner: Arc<Inner>, body: Value, mut busy: Busy) {
    let Some(url) = inner.webhook() else { return };
    let event = ["/data/alertContext/eventDataId", "/data/context/activityLog/eventDataId"];
    let event = event.iter().find_map(|at| body.pointer(at)?.as_str()).unwrap_or_default().to_owned();
    for attempt in 1..=6_u32 {
        let now = inner.clock.now();
        if inner.is_quiet(now) {
            let answer = "not posted: the endpoint has failed, and is not called for 15 minutes".to_owned();
            inner.delivered(Delivery { at: now, event, attempt, status: None, answer, body });
            return;
        }
        let (status, answer) = post(&inner, &url, &body).await;
        let again = status.is_none_or(|status| matches!(status, 408 | 429 | 503 | 504));
        let event = event.clone();
        inner.delivered(Delivery { at: now, event, attempt, status, answer, body: body.clone() });
        if !again {
            return;
        }
        let Some(wait) = RETRIES.get(attempt as usize - 1) else { break };
        busy = sleep(&inner.clock, add(now, SignedDuration::from_secs(*wait)), busy).await;
    }
    inner.be_quiet_until(add(inner.clock.now(), QUIET));
    drop(busy);
}

async fn post(inner: &Inner, url: &str, body: &Value) -> (Option<u16>, String) {
    let Some(client) = &inner.client else { return (None, "no HTTP client".to_owned()) };
    let request = client
        .post(url)
        .timeout(PATIENCE)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "IcMBroadcaster/1.0")
        .body(body.to_string());
    let request = match inner.token_of(FirstParty::ActionGroups) {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            (Some(status), text.chars().take(500).collect())
        }
        Err(error) => (None, error.without_url().to_string()),
    }
}

/// Waits until `until`, giving the clock free only once the wait is known to it.
pub(super) async fn sleep(clock: &Clock, until: Timestamp, busy: Busy) -> Busy {
    let wait = clock.idle_until(until);
    tokio::pin!(wait);
    match futures::poll!(&mut wait) {
        std::task::Poll::Ready(busy) => busy,
        std::task::Poll::Pending => {
            drop(busy);
            wait.await
        }
    }
}
