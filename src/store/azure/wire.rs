//! How requests reach the storage account: no redirects, short deadlines, few tries, and no address in an error.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, ExponentialRetryOptions, HttpClient, Request, RetryOptions, Transport,
};
use futures::StreamExt as _;
use url::{Host, Url};

use super::account::{StorageAccess, StorageAccount};
use super::shared_key::SharedKey;
use crate::store::{Result, StoreError};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How long one try may take.
const WHOLE: Duration = Duration::from_secs(6);

/// How long a request is tried; azure_core looks at it after each try.
const PATIENCE: Duration = Duration::from_secs(6);

/// How often a request is tried again.
const AGAIN: u32 = 3;

/// The largest answer that is read: a page of a list has 5,000 entries at most.
const LARGEST_ANSWER: usize = 64 << 20;

/// The options that all clients of an account share.
pub(super) fn client_options(account: &StorageAccount) -> Result<ClientOptions> {
    let mut builder = crate::tls::client()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .pool_idle_timeout(Duration::from_secs(4));
    if is_address(&account.blob) {
        builder = builder.no_proxy();
    }
    let client = builder
        .build()
        .map_err(|error| StoreError::Unavailable(format!("no HTTP client can be made: {}", error.without_url())))?;
    let mut options = ClientOptions {
        transport: Some(Transport::new(Arc::new(Wire { client }))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: azure_core::time::Duration::milliseconds(200),
            max_retries: AGAIN,
            max_total_elapsed: PATIENCE.try_into().unwrap_or(azure_core::time::Duration::seconds(6)),
            max_delay: azure_core::time::Duration::seconds(2),
        }),
        ..ClientOptions::default()
    };
    if let StorageAccess::Key { account, key } = &account.access {
        options.per_try_policies.push(Arc::new(SharedKey::new(account, key)));
    }
    Ok(options)
}

/// The address of a container or queue, with the signature if that is how we sign in.
pub(super) fn address(account: &StorageAccount, service: &Url, name: &str) -> Url {
    let mut address = service.clone();
    if let Ok(mut path) = address.path_segments_mut() {
        path.pop_if_empty().push(name);
    }
    if let StorageAccess::Sas(signature) = &account.access {
        address.set_query(Some(signature.expose()));
    }
    address
}

/// An emulator, which no proxy is asked for.
fn is_address(url: &Url) -> bool {
    !matches!(url.host(), Some(Host::Domain(name)) if name != "localhost")
}

/// The transport of the official crates, with what they don't offer: the whole answer under one deadline and a limit,
/// and errors without the address, which may hold a signature.
#[derive(Debug)]
struct Wire {
    client: reqwest::Client,
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| azure_core::Error::with_error(ErrorKind::Other, error, "no method of HTTP"))?;
        let mut outgoing = self.client.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let outgoing = match request.body().clone() {
            Body::Bytes(bytes) => outgoing.body(bytes),
            Body::SeekableStream(stream) => outgoing.body(reqwest::Body::wrap_stream(stream)),
        };
        let answer = outgoing.send().await.map_err(lost)?;
        let status = answer.status().as_u16().into();
        let headers: std::collections::HashMap<_, _> = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = HeaderValue::from(value.to_str().ok()?.to_owned());
                Some((HeaderName::from(name.as_str().to_owned()), value))
            })
            .collect();
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(lost)?);
            if body.len() > LARGEST_ANSWER {
                return Err(azure_core::Error::with_message(ErrorKind::Other, "the answer is too long"));
            }
        }
        Ok(AsyncRawResponse::from_bytes(status, Headers::from(headers), body))
    }
}

fn lost(error: reqwest::Error) -> azure_core::Error {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    azure_core::Error::with_error(kind, error.without_url(), "the storage account was not reached")
}
