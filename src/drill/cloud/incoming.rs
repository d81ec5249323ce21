//! A request that came in, read: which service it is for, and what it says.

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::recording::Plane;
use super::wire::Request;
use super::{entra, sinks};
use crate::domain::key_uri::VaultHost;

/// A request, read.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) headers: HeaderMap,
    pub(super) plane: Plane,
    pub(super) url: String,
    pub(super) place: String,
    /// The body as it came, for a sink: signatures are over its bytes.
    pub(super) raw: String,
}

impl Incoming {
    pub(super) fn new(method: &axum::http::Method, uri: &axum::http::Uri, headers: &HeaderMap, bytes: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let authority = uri.authority().map_or_else(|| text("host").to_owned(), ToString::to_string);
        let host = host_only(&authority).to_ascii_lowercase();
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let vault = VaultHost::parse(&host);
        let plane = if vault.is_some() {
            Plane::KeyVault
        } else if sinks::is_sink(&path) {
            Plane::Other
        } else if path.ends_with("/oauth2/v2.0/token")
            || path == "/metadata/identity/oauth2/token"
            || entra::is_public(&path)
        {
            Plane::Token
        } else {
            Plane::Arm
        };
        let shown = match plane {
            Plane::KeyVault => host.as_str(),
            Plane::Token => "login.microsoftonline.com",
            _ => "management.azure.com",
        };
        let query = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let body = (!bytes.is_empty())
            .then(|| serde_json::from_slice(bytes).map_err(|_| String::from_utf8_lossy(bytes).into_owned()));
        let token = text("authorization").strip_prefix("Bearer ").map(|token| token.trim().to_owned());
        let client_request_id = Some(text("x-ms-client-request-id")).filter(|id| !id.is_empty()).map(str::to_owned);
        let raw = if plane == Plane::Other { String::from_utf8_lossy(bytes).into_owned() } else { String::new() };
        Self {
            raw,
            url: format!("https://{shown}{}", uri.path_and_query().map_or("/", |all| all.as_str())),
            place: format!("{host}{path}"),
            plane,
            headers: headers.clone(),
            request: Request {
                method: method.as_str().to_owned(),
                path,
                query: pairs.map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect(),
                base: format!("http://{authority}"),
                host,
                token,
                client_request_id,
                correlation: String::new(),
                body,
            },
        }
    }

    pub(super) fn body_json(&self) -> Option<Value> {
        self.request.body.clone().map(|body| body.unwrap_or_else(Value::String))
    }
}

/// The host of an authority, without its port.
pub(super) fn host_only(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// The headers of a request as texts.
pub(super) fn header_texts(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A body as JSON, or as a text.
pub(super) fn body_or_null(incoming: &Incoming) -> Value {
    incoming.body_json().unwrap_or_else(|| json!(null))
}
