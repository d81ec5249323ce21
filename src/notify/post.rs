//! Posting a message over HTTP: one attempt, no redirects, and an answer that says whether trying again may help.
//! Addresses are secrets: nothing here puts one into an error or a log.

use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::clock::Clock;
use crate::notify::ChannelError;
use crate::notify::reach::{GuardedResolver, Reach, Refused, is_loopback};
use crate::notify::secret::{InvalidSecret, Secret};

/// How long one attempt may take, unless set otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait that a receiver's Retry-After can ask for.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// As much of an error's body is read.
const LARGEST_ANSWER: usize = 16 * 1024;

/// Why a channel's settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChannel {
    /// The secret itself.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// Not a URL, or one with a user name, a password or a fragment.
    #[error("the address of channel `{0}` is not a URL that can be posted to")]
    Address(String),
    /// Plain http.
    #[error("the address of channel `{0}` must begin with https:// (plain http is accepted on this machine only)")]
    NotHttps(String),
    /// An address that must not be reached.
    #[error(
        "the address of channel `{0}` leads into a private, local or reserved network; allow that in its settings if \
         it is meant"
    )]
    OutOfReach(String),
    /// A signing key.
    #[error("the signing secret of channel `{channel}` is unusable: {why}")]
    SigningKey {
        /// Which channel.
        channel: String,
        /// What is wrong with it, without its text.
        why: &'static str,
    },
    /// TLS could not be set up.
    #[error("channel `{channel}` cannot be set up: {why}")]
    Client {
        /// Which channel.
        channel: String,
        /// Why.
        why: String,
    },
}

/// The checked address of a channel, and the means to post to it.
#[derive(Clone)]
pub struct Poster {
    name: String,
    address: Secret,
    url: Url,
    client: Client,
    clock: Clock,
}

impl std::fmt::Debug for Poster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poster").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where a channel's messages may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Anywhere, through a proxy if the environment names one; plain http on this machine only.
    Open,
    /// Only where the reach allows, never through a proxy.
    Guarded(Reach),
}

impl Poster {
    /// Checks the address of the channel called `name`.
    ///
    /// # Errors
    /// [`InvalidChannel`], never with the address in it.
    pub fn new(
        name: String,
        address: Secret,
        network: Network,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let address = Secret::from_setting(&format!("address of channel {name}"), address.expose())?;
        let invalid = || InvalidChannel::Address(name.clone());
        let url = Url::parse(address.expose()).map_err(|_| invalid())?;
        if !url.has_host() || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(invalid());
        }
        let local = is_loopback(&url);
        let plain_is_allowed = local && !matches!(network, Network::Guarded(Reach { loopback: false, .. }));
        match url.scheme() {
            "https" => {}
            "http" if plain_is_allowed => {}
            _ => return Err(InvalidChannel::NotHttps(name.clone())),
        }
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
        if let Network::Guarded(reach) = network {
            if !reach.allows_host(&url) {
                return Err(InvalidChannel::OutOfReach(name.clone()));
            }
            builder = builder.dns_resolver(Arc::new(GuardedResolver(reach))).no_proxy();
        } else if local {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| InvalidChannel::Client { channel: name.clone(), why: error.without_url().to_string() })?;
        Ok(Self { name, address, url, client, clock })
    }

    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host that is posted to; no secret.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A request to the address, to be completed and given to [`Self::send`].
    pub fn request(&self) -> RequestBuilder {
        self.client.post(self.url.clone())
    }

    /// Sends it once and answers with the status. `hint` says what a refusal with a status means for this kind of channel and
    /// what to do.
    ///
    /// # Errors
    /// [`ChannelError`]: whether trying again may help.
    pub async fn send(
        &self,
        request: RequestBuilder,
        hint: fn(StatusCode) -> &'static str,
    ) -> Result<u16, ChannelError> {
        let answer = request.send().await.map_err(|error| self.broken(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        let after = retry_after(answer.headers(), self.now());
        let code = self.error_code(answer).await;
        let what = format!("channel `{}` answered {}{code}", self.name, status.as_u16());
        if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
        {
            return Err(ChannelError::Retry { after, why: what });
        }
        Err(ChannelError::Permanent { why: format!("{what}: {}", hint(status)) })
    }

    fn broken(&self, error: &reqwest::Error) -> ChannelError {
        let name = &self.name;
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(inner) = cause {
            if inner.is::<Refused>() {
                return ChannelError::Permanent {
                    why: format!("channel `{name}` was not sent to: {Refused}. Correct its address, or allow that"),
                };
            }
            cause = inner.source();
        }
        let why = if error.is_timeout() {
            "did not answer in time; the message may have arrived all the same"
        } else if error.is_connect() {
            "cannot be connected to"
        } else {
            "broke the connection off; the message may have arrived all the same"
        };
        ChannelError::Retry { after: None, why: format!("channel `{name}` {why}") }
    }

    /// The `error.code` of a Logic Apps style answer, as ` (Code)`; nothing if there is none or it could hold a piece
    /// of the address.
    async fn error_code(&self, mut answer: Response) -> String {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                return String::new();
            }
        }
        let Ok(json) = serde_json::from_slice::<Value>(&body) else { return String::new() };
        let code = json.pointer("/error/code").and_then(Value::as_str).unwrap_or_default();
        let harmless = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = (1..=64).contains(&code.len()) && code.chars().all(harmless);
        if fits && !self.address.expose().contains(code) { format!(" ({code})") } else { String::new() }
    }
}

/// How long a receiver asks us to wait: seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<i64>() {
        Ok(seconds) => SignedDuration::from_secs(seconds),
        Err(_) => DateTimeParser::new().parse_timestamp(text).ok()?.duration_since(now),
    };
    Some(wait.clamp(SignedDuration::ZERO, LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_retry_after() {
        let now: Timestamp = "2026-11-24T02:07:30Z".parse().unwrap();
        let wait = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Tue, 24 Nov 2026 02:08:00 GMT"), Some(30));
        assert_eq!(wait("Tue, 24 Nov 2026 02:00:00 GMT"), Some(0));
        assert_eq!(wait("-5"), Some(0));
        assert_eq!(wait("99999999999999999"), Some(86_400));
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
