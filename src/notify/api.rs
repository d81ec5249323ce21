//! Calls to a vendor's API: one attempt each, no redirects, an answer that is read whole and not trusted. Neither addresses
//! nor credentials get into an error, not even where the vendor's own words repeat them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::Url;

use crate::clock::Clock;
use crate::notify::http::{self, InvalidChannel, Network};
use crate::notify::secret::Secret;
use crate::notify::texts::words::clean;
use crate::notify::{ChannelError, texts};

/// As much of an answer is read: what is longer is none that we understand.
const LARGEST_ANSWER: usize = 1 << 20;
/// As much of a vendor's own words is shown.
const SAID: usize = 300;
/// A secret that is shorter than this is too likely to be a piece of an ordinary word.
const SHORTEST_SECRET: usize = 6;

/// A service with an address, and the means to call it.
#[derive(Clone)]
pub struct Api {
    name: String,
    base: Url,
    client: Client,
    clock: Clock,
    secrets: Vec<Secret>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("name", &self.name).field("host", &self.host()).finish_non_exhaustive()
    }
}

/// What came back: whatever the status, as far as it could be read.
#[derive(Debug)]
pub struct Heard {
    /// The status.
    pub status: StatusCode,
    /// How long the service asks us to wait.
    pub after: Option<SignedDuration>,
    /// The body as text.
    pub text: String,
    /// The body, if it is JSON.
    pub json: Option<Value>,
}

impl Api {
    /// The service at `base` that the channel called `name` uses. `secrets` are kept out of every error.
    ///
    /// # Errors
    /// [`InvalidChannel`], never with the address in it.
    pub fn new(
        name: impl Into<String>,
        base: &str,
        secrets: &[&Secret],
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let base = http::checked(&name, base.trim(), Network::Open)?;
        let client = http::client(&name, &base, Network::Open, timeout)?;
        let secrets = secrets.iter().map(|&secret| secret.clone()).collect();
        Ok(Self { name, base, client, clock, secrets })
    }

    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host that is called; no secret.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A request to the base address with `path` (segments are encoded) and `query` behind it.
    pub fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if !path.is_empty()
            && let Ok(mut segments) = url.path_segments_mut()
        {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.client.request(method, url)
    }

    /// The same with a JSON body.
    pub fn json(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: &Value) -> RequestBuilder {
        let json = HeaderValue::from_static("application/json");
        self.request(method, path, query).header(CONTENT_TYPE, json).body(body.to_string())
    }

    /// Sends it once and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`ChannelError::Retry`] if there was no whole answer: the request may have had its effect all the same.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Heard, ChannelError> {
        let mut answer = request.send().await.map_err(|error| http::broken(&self.name, &error))?;
        let (status, after) = (answer.status(), http::retry_after(answer.headers(), self.now()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| http::broken(&self.name, &error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                break;
            }
        }
        let json = serde_json::from_slice(&body).ok();
        Ok(Heard { status, after, text: String::from_utf8_lossy(&body).into_owned(), json })
    }

    /// What an answer means that is no success. `said` is the vendor's own word for it, `hint` what it means and what to do.
    #[must_use]
    pub fn refused(&self, heard: &Heard, said: &str, hint: &str) -> ChannelError {
        let said = self.harmless(said);
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        let what = format!("channel `{}` answered {}{said}", self.name, heard.status.as_u16());
        // A success of another kind than the one that was meant is somebody in between, or a service that is not itself.
        if is_passing(heard.status) || heard.status.is_success() {
            ChannelError::Retry { after: heard.after, why: what }
        } else {
            ChannelError::Permanent { why: format!("{what}: {hint}") }
        }
    }

    /// A fault that may pass: an answer that is not what the service promises.
    #[must_use]
    pub fn odd(&self, heard: &Heard, why: &str) -> ChannelError {
        let status = heard.status.as_u16();
        ChannelError::Retry { after: heard.after, why: format!("channel `{}` answered {status}, but {why}", self.name) }
    }

    /// Nothing can help until somebody changes the settings.
    #[must_use]
    pub fn permanent(&self, why: impl std::fmt::Display) -> ChannelError {
        ChannelError::Permanent { why: format!("channel `{}`: {why}", self.name) }
    }

    /// A vendor's words, cut and cleaned; nothing if they repeat a secret.
    #[must_use]
    pub fn harmless(&self, said: &str) -> String {
        let leaks = |secret: &&Secret| {
            let text = secret.expose();
            text.len() >= SHORTEST_SECRET && said.contains(text)
        };
        let echoes_address = self.base.query().is_some_and(|query| said.contains(query));
        if echoes_address || self.secrets.iter().any(|secret| leaks(&secret)) {
            return String::new();
        }
        clean(said, SAID)
    }
}

/// Whether a status may pass by itself.
#[must_use]
pub fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// An Authorization header that is not shown in logs.
///
/// # Errors
/// [`InvalidChannel`] where the credential holds what no header can.
pub fn authorization(channel: &str, value: &str) -> Result<(reqwest::header::HeaderName, HeaderValue), InvalidChannel> {
    Ok((AUTHORIZATION, credential(channel, value)?))
}

/// A header's value that is not shown in logs.
///
/// # Errors
/// [`InvalidChannel`] where the credential holds what no header can.
pub fn credential(channel: &str, value: &str) -> Result<HeaderValue, InvalidChannel> {
    let mut value = HeaderValue::from_str(value).map_err(|_| InvalidChannel::Setting {
        channel: channel.to_owned(),
        why: "its credential holds characters that cannot be sent; copy it again".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The headline of a notice behind its phase, in at most `most` characters.
#[must_use]
pub fn title(message: &texts::Message, most: usize) -> String {
    clean(&format!("{}: {}", message.banner, message.headline), most)
}
