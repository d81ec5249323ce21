//! Posting a message over HTTP: one attempt, no redirects, and an answer that says whether trying again may help.
//! Addresses are secrets: nothing here puts one into an error or a log.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::clock::Clock;
use crate::notify::secret::Secret;
use crate::notify::{ChannelError, http};

pub use crate::notify::http::{InvalidChannel, Network, TIMEOUT};

/// As much of an error's body is read.
const LARGEST_ANSWER: usize = 16 * 1024;

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
        let url = http::checked(&name, address.expose(), network)?;
        let client = http::client(&name, &url, network, timeout)?;
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
        let answer = request.send().await.map_err(|error| http::broken(&self.name, &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        let after = http::retry_after(answer.headers(), self.now());
        let code = self.error_code(answer).await;
        let what = format!("channel `{}` answered {}{code}", self.name, status.as_u16());
        if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
        {
            return Err(ChannelError::Retry { after, why: what });
        }
        Err(ChannelError::Permanent { why: format!("{what}: {}", hint(status)) })
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
