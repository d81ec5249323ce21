//! The HTTP client of the exporters. They run on threads of their own; the requests run on tokio, which they never block.
//! That a collector cannot be reached is said once a minute, and never in the way of anything.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::count;

/// How often a collector that cannot be reached is complained of.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long one delivery may take.
const WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Complains once a minute, however many exporters share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    kept_back: u64,
}

impl Complaints {
    /// Says it, or counts it.
    fn say(&self, what: &'static str, why: &str, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.duration_since(last) < COMPLAIN_EVERY) {
            said.kept_back += 1;
            return false;
        }
        let more = std::mem::take(&mut said.kept_back);
        said.last = Some(now);
        drop(said);
        tracing::warn!(
            what,
            why,
            not_told_before = more,
            "telemetry could not be delivered to the collector; work goes on"
        );
        true
    }
}

/// Delivers one kind of telemetry.
pub(super) struct Carrier {
    what: &'static str,
    http: reqwest::Client,
    tokio: Handle,
    complaints: Complaints,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Carrier {
    /// One for `what` (`traces`, `metrics`). A collector on this machine is never looked for behind a proxy.
    pub(super) fn new(
        what: &'static str,
        on_this_machine: bool,
        tokio: Handle,
        complaints: Complaints,
    ) -> Result<Self, reqwest::Error> {
        let mut builder = crate::tls::client()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(WITHIN)
            .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
        if on_this_machine {
            builder = builder.no_proxy();
        }
        Ok(Self { what, http: builder.build()?, tokio, complaints })
    }

    fn failed(&self, why: &str) {
        count::export_failed(self.what);
        self.complaints.say(self.what, why, Instant::now());
    }
}

#[async_trait]
impl HttpClient for Carrier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.tokio.spawn(async move { http.send_bytes(request).await.map_err(|error| reason(&*error)) });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => {
                self.failed(why);
                return Err(why.into());
            }
            // The process is ending.
            Err(_) => return Err("it was broken off".into()),
        };
        if !answer.status().is_success() {
            self.failed(&format!("it answered {}", answer.status().as_u16()));
        }
        Ok(answer)
    }
}

/// Why there was no answer, in words that hold no address: one may hold a key.
fn reason(error: &(dyn std::error::Error + Send + Sync + 'static)) -> &'static str {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "it does not answer in time",
        Some(error) if error.is_connect() => "it cannot be connected to",
        Some(_) => "the connection broke",
        None => "its answer cannot be used",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_complains_once_a_minute() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        let said = |second| complaints.say("traces", "it cannot be connected to", start + Duration::from_secs(second));
        let seconds: Vec<u64> = (0..180).step_by(5).filter(|second| said(*second)).collect();
        assert_eq!(seconds, [0, 60, 120]);
    }
}
