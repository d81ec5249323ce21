//! What all channels share that speak HTTP: checked addresses, a client that follows no redirect, what a broken connection
//! means, how long a receiver asks us to wait.

use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

use crate::notify::ChannelError;
use crate::notify::reach::{GuardedResolver, Reach, Refused, is_loopback};
use crate::notify::secret::InvalidSecret;

/// How long one attempt may take, unless set otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt may take with services that are known to be slow.
pub const SLOW_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest wait that a receiver's Retry-After can ask for.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);

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
    /// Another setting.
    #[error("channel `{channel}` cannot be used: {why}")]
    Setting {
        /// Which channel.
        channel: String,
        /// What is wrong, and what to write instead; without secrets.
        why: String,
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

/// Where a channel's messages may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Anywhere, through a proxy if the environment names one; plain http on this machine only.
    Open,
    /// Only where the reach allows, never through a proxy.
    Guarded(Reach),
}

/// An address that may be posted to.
pub(super) fn checked(name: &str, text: &str, network: Network) -> Result<Url, InvalidChannel> {
    let invalid = || InvalidChannel::Address(name.to_owned());
    let url = Url::parse(text).map_err(|_| invalid())?;
    if !url.has_host() || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(invalid());
    }
    let plain_is_allowed = is_loopback(&url) && !matches!(network, Network::Guarded(Reach { loopback: false, .. }));
    match url.scheme() {
        "https" => {}
        "http" if plain_is_allowed => {}
        _ => return Err(InvalidChannel::NotHttps(name.to_owned())),
    }
    match network {
        Network::Guarded(reach) if !reach.allows_host(&url) => Err(InvalidChannel::OutOfReach(name.to_owned())),
        _ => Ok(url),
    }
}

/// A client for an address that was [`checked`].
pub(super) fn client(name: &str, url: &Url, network: Network, timeout: Duration) -> Result<Client, InvalidChannel> {
    let mut builder = crate::tls::client()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
    if let Network::Guarded(reach) = network {
        builder = builder.dns_resolver(Arc::new(GuardedResolver(reach))).no_proxy();
    } else if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| InvalidChannel::Client { channel: name.to_owned(), why: error.without_url().to_string() })
}

/// What a request means that was not answered.
pub(super) fn broken(name: &str, error: &reqwest::Error) -> ChannelError {
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

/// How long a receiver asks us to wait: seconds or an HTTP date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
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
