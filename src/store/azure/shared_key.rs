//! Signs requests with the account's key (Microsoft, "Authorize with Shared Key": blob and queue services).
//!
//! The official crates sign in with tokens or signed addresses alone. Emulators have neither, and a key that signs each
//! request needs no renewal and never travels.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::Sha256;
use url::Url;

use crate::azure::Secret;
use crate::clock::Clock;

/// Headers that are signed by their value alone, in the service's order; between the second and the third is the length.
const SIGNED: [&str; 10] = [
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Adds `x-ms-date` and `Authorization` to every try of a request.
#[derive(Debug)]
pub(super) struct SharedKey {
    account: String,
    key: Secret,
    /// The service allows a quarter of an hour of difference to its own clock, so this is never a scaled one.
    clock: Clock,
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &Secret) -> Self {
        Self { account: account.to_owned(), key: key.clone(), clock: Clock::system() }
    }

    fn sign(&self, request: &mut Request, now: Timestamp) {
        request.insert_header("x-ms-date", http_date(now));
        let text = string_to_sign(&self.account, request);
        let signature = signature(&self.key, &text).unwrap_or_default();
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
    }
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        self.sign(request, self.clock.now());
        match next {
            [first, rest @ ..] => first.send(ctx, request, rest).await,
            [] => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "no transport follows")),
        }
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn signature(key: &Secret, text: &str) -> Option<String> {
    let key = STANDARD.decode(key.expose()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

fn string_to_sign(account: &str, request: &Request) -> String {
    let headers: BTreeMap<String, &str> =
        request.headers().iter().map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str())).collect();
    let mut text = request.method().as_str().to_owned();
    for (n, name) in SIGNED.into_iter().enumerate() {
        if n == 2 {
            text.push('\n');
            text.push_str(&length(request));
        }
        text.push('\n');
        text.push_str(headers.get(name).copied().unwrap_or_default());
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        text.push_str(&format!("\n{name}:{}", value.trim()));
    }
    text.push('\n');
    text.push_str(&canonical_resource(account, request.url()));
    text
}

/// Nothing where there is no body: so since version 2015-02-21.
fn length(request: &Request) -> String {
    request.body().len().filter(|length| *length > 0).map(|length| length.to_string()).unwrap_or_default()
}

/// The account, the path as it is sent, and every parameter of the query in order, decoded.
fn canonical_resource(account: &str, url: &Url) -> String {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        parameters.entry(name.to_ascii_lowercase()).or_default().push(value.into_owned());
    }
    let mut text = format!("/{account}{}", url.path());
    for (name, mut values) in parameters {
        values.sort_unstable();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;

    use super::*;

    #[test]
    fn the_text_to_sign_is_the_documented_one() {
        // The example of "Authorize with Shared Key", section "Constructing the signature string".
        let url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut request = Request::new(Url::parse(url).unwrap(), Method::Get);
        request.insert_header("x-ms-version", "2015-02-21");
        request.insert_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        assert_eq!(
            string_to_sign("myaccount", &request),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn a_body_is_signed_by_its_length_and_the_key_is_not_shown() {
        let mut request = Request::new(Url::parse("http://127.0.0.1:1/acc/c/b").unwrap(), Method::Put);
        request.set_body(vec![b'x'; 5]);
        let policy = SharedKey::new("acc", &Secret::new("c2VjcmV0"));
        policy.sign(&mut request, "2026-03-01T02:00:00Z".parse().unwrap());
        let text = string_to_sign("acc", &request);
        assert!(text.starts_with("PUT\n\n\n5\n\n\n"), "{text}");
        assert!(text.ends_with("x-ms-date:Sun, 01 Mar 2026 02:00:00 GMT\n/acc/acc/c/b"), "{text}");
        assert!(!format!("{policy:?}").contains("c2VjcmV0"));
    }
}
