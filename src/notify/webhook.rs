//! A generic webhook: CloudEvents 1.0 in structured mode, signed as Standard Webhooks lays down.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use sha2::Sha256;

use crate::clock::Clock;
use crate::notify::post::{InvalidChannel, Network, Poster, TIMEOUT};
use crate::notify::reach::Reach;
use crate::notify::secret::Secret;
use crate::notify::{Channel, ChannelError, Parcel, TrialMessage, event};

/// What may be set of a webhook.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// Which networks it may be in.
    pub reach: Reach,
    /// The events' `source`: a URI that tells this deployment from others, such as the function app's resource id.
    pub source: String,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self { reach: Reach::default(), source: "urn:keymend".to_owned(), timeout: TIMEOUT }
    }
}

/// A receiver of signed CloudEvents.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    keys: Vec<SigningKey>,
    source: String,
}

/// The bytes of a signing secret.
struct SigningKey(Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

impl SigningKey {
    /// Reads `whsec_` and 24 to 64 bytes in base64 (Standard Webhooks, "signature scheme").
    fn read(secret: &Secret) -> Result<Self, &'static str> {
        let text = secret.expose().trim();
        let encoded = text.strip_prefix("whsec_").ok_or("it does not begin with whsec_")?;
        let bytes = STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is not base64")?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err("it must hold 24 to 64 bytes") }
    }

    /// `v1,` and the signature in base64.
    fn sign(&self, message: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(message);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl Webhook {
    /// A channel called `name` that posts to `url`, signed with each of `secrets`: one, or during a rotation the old
    /// and the new one.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address is not allowed or a secret is unusable.
    pub fn new(
        name: impl Into<String>,
        url: Secret,
        secrets: &[Secret],
        options: WebhookOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let poster = Poster::new(name.into(), url, Network::Guarded(options.reach), options.timeout, clock)?;
        let name = poster.name().to_owned();
        let unusable = |why| InvalidChannel::SigningKey { channel: name.clone(), why };
        if secrets.is_empty() {
            return Err(unusable("there is none; make one with 32 random bytes in base64 after whsec_"));
        }
        let read = |secret: &Secret| {
            let secret = Secret::from_setting(&format!("signing secret of channel {name}"), secret.expose())?;
            SigningKey::read(&secret).map_err(unusable)
        };
        let keys = secrets.iter().map(read).collect::<Result<_, InvalidChannel>>()?;
        Ok(Self { poster, keys, source: options.source })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn name(&self) -> &str {
        self.poster.name()
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        self.post(&notice.id, event::event(notice, &self.source)).await.map(|_| None)
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        let status = self.post(&trial.id, event::trial(trial, &self.source)).await?;
        Ok(format!("{status}: the receiver took it"))
    }
}

impl Webhook {
    async fn post(&self, id: &str, body: String) -> Result<u16, ChannelError> {
        let timestamp = self.poster.now().as_second();
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures: Vec<String> = self.keys.iter().filter_map(|key| key.sign(signed.as_bytes())).collect();
        let request = self
            .poster
            .request()
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body);
        self.poster.send(request, hint).await
    }
}

/// What a refusal by a receiver means (CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery").
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "the address redirects, and redirects are not followed. Set the address it leads to",
        401 | 403 => "the receiver refuses us. Check the signing secret and its clock",
        404 => "nothing is there. Check the address",
        410 => "the receiver wants no more messages. Remove this channel or set another address",
        413 => "the message is too large for the receiver",
        415 => "the receiver does not take CloudEvents in structured mode (application/cloudevents+json)",
        _ => "the receiver refused the message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(secret: &str) -> Result<Webhook, InvalidChannel> {
        let url = Secret::new("https://hooks.example/keymend");
        Webhook::new("hook", url, &[Secret::new(secret)], WebhookOptions::default(), Clock::system())
    }

    /// The example of the Standard Webhooks reference libraries.
    #[test]
    fn signs_as_others_do() {
        let key = SigningKey::read(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = key.sign(b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn takes_only_secrets_that_are_strong_enough() {
        assert!(with(&format!("whsec_{}", STANDARD.encode([7; 24]))).is_ok());
        assert!(with(&format!("whsec_{}", STANDARD.encode([7; 64]))).is_ok());
        for weak in [STANDARD.encode([7; 32]), format!("whsec_{}", STANDARD.encode([7; 23])), "whsec_%%".to_owned()] {
            let error = with(&weak).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("hook") && !error.contains(&weak), "{error}");
        }
        assert!(matches!(with("@Microsoft.KeyVault(x)"), Err(InvalidChannel::Secret(_))));
    }

    #[test]
    fn goes_only_where_it_may() {
        let secret = [Secret::new(format!("whsec_{}", STANDARD.encode([7; 32])))];
        let error = |url: &str, reach| {
            let options = WebhookOptions { reach, ..WebhookOptions::default() };
            Webhook::new("hook", Secret::new(url), &secret, options, Clock::system()).err()
        };
        let out_of_reach = Some(InvalidChannel::OutOfReach("hook".to_owned()));
        let not_https = Some(InvalidChannel::NotHttps("hook".to_owned()));
        let closed = Reach::default();
        let open = Reach { private: true, loopback: true };
        assert_eq!(error("https://10.0.0.4/x", closed), out_of_reach);
        assert_eq!(error("https://169.254.169.254/metadata", open), out_of_reach);
        assert_eq!(error("https://[::ffff:10.0.0.4]/x", closed), out_of_reach);
        assert_eq!(error("https://127.0.0.1/x", closed), out_of_reach);
        assert_eq!(error("http://hooks.example/x", open), not_https);
        assert_eq!(error("http://127.0.0.1/x", closed), not_https);
        assert_eq!(error("ftp://hooks.example/x", open), not_https);
        assert_eq!(error("http://127.0.0.1/x", open), None);
        assert_eq!(error("https://10.0.0.4/x", open), None);
        assert_eq!(error("https://u:p@hooks.example/x", open), Some(InvalidChannel::Address("hook".to_owned())));
    }
}
