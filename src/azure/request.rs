//! One request and one answer, as data.

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

use crate::azure::error::AzureError;
use crate::domain::key_uri::VaultHost;

/// What may stand in a path segment or query value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In a path also parentheses, which resource group names may hold.
const PATH: &AsciiSet = &PLAIN.remove(b'(').remove(b')');

/// Which service a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plane {
    /// The Resource Manager.
    Arm,
    /// A vault's own data plane.
    Vault(VaultHost),
}

/// One request, not yet sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub plane: Plane,
    pub method: Method,
    /// Absolute and percent-encoded.
    pub path: String,
    /// Encoded, without the question mark.
    pub query: String,
    pub body: Option<Value>,
    /// The right it takes, in Azure's words, if Azure does not name it in a refusal.
    pub action: String,
    /// On what.
    pub scope: String,
    pub write: bool,
}

impl Request {
    /// A read of a path at the Resource Manager. `path` is percent-encoded here.
    pub(crate) fn get(path: &str, api_version: &str, action: &str) -> Self {
        Self {
            plane: Plane::Arm,
            method: Method::GET,
            path: encode_path(path),
            query: format!("api-version={api_version}"),
            body: None,
            action: action.to_owned(),
            scope: path.to_owned(),
            write: false,
        }
    }

    /// The same, asked of a vault.
    pub(crate) fn at(self, host: &VaultHost) -> Self {
        Self { plane: Plane::Vault(host.clone()), scope: host.to_string(), ..self }
    }

    /// With a query parameter more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query = format!("{}&{name}={}", self.query, utf8_percent_encode(value, PLAIN));
        self
    }

    /// A read that is a POST.
    pub(crate) fn posting(self, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..self }
    }

    /// Which service answers it, as a label: `vault` is a vault's own data plane, `key_vault` its resource provider.
    pub(crate) fn service(&self) -> &'static str {
        if matches!(self.plane, Plane::Vault(_)) {
            return "vault";
        }
        let path = self.path.to_ascii_lowercase();
        // A role assignment on a vault is the work of the last provider named.
        let provider = path.rsplit_once("/providers/").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
        match provider {
            "microsoft.sql" => "sql",
            "microsoft.keyvault" => "key_vault",
            "microsoft.authorization" => "authorization",
            "microsoft.insights" => "insights",
            "microsoft.managedidentity" => "managed_identity",
            "microsoft.resourcegraph" => "resource_graph",
            _ => "resources",
        }
    }

    /// What it does, as a label: `read`, `write`, or `knock` (whether a vault answers at all).
    pub(crate) fn operation(&self) -> &'static str {
        if self.write {
            "write"
        } else if self.path == "/healthstatus" {
            "knock"
        } else {
            "read"
        }
    }

    pub(crate) fn what(&self) -> String {
        match &self.plane {
            Plane::Arm => format!("{} {}", self.method, self.path),
            Plane::Vault(host) => format!("{} https://{host}{}", self.method, self.path),
        }
    }
}

/// Percent-encodes each segment of an absolute path. A slash at the end stays: `/keys/{key}/` is how Key Vault is asked
/// for a key's current version.
pub(crate) fn encode_path(path: &str) -> String {
    let segments = path.trim_start_matches('/').split('/');
    segments.fold(String::new(), |path, segment| format!("{path}/{}", utf8_percent_encode(segment, PATH)))
}

/// A final answer below 400.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub what: String,
    pub status: u16,
    pub body: Value,
    pub headers: AnswerHeaders,
    pub client_request_id: Uuid,
}

impl Answer {
    pub(crate) fn bad(&self, why: impl Into<String>) -> AzureError {
        AzureError::BadAnswer { what: self.what.clone(), why: why.into() }
    }

    /// The body in its shape.
    pub(crate) fn shaped<T: serde::de::DeserializeOwned>(&self) -> Result<T, AzureError> {
        crate::azure::json::shaped(&self.body).map_err(|why| self.bad(why))
    }
}

/// The headers that matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerHeaders {
    pub retry_after: Option<SignedDuration>,
    pub location: Option<String>,
    pub async_operation: Option<String>,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
    /// When the answer was made, by the clock there.
    pub date: Option<Timestamp>,
}

impl AnswerHeaders {
    pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self {
            retry_after: text("retry-after").and_then(|value| retry_after(&value, now)),
            location: text("location"),
            async_operation: text("azure-asyncoperation"),
            request_id: text("x-ms-request-id"),
            correlation_id: text("x-ms-correlation-request-id"),
            date: text("date").and_then(|value| http_date(&value)),
        }
    }
}

/// `Retry-After`: seconds, or an HTTP date.
fn retry_after(value: &str, now: Timestamp) -> Option<SignedDuration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    Some(http_date(value)?.duration_since(now).max(SignedDuration::ZERO))
}

fn http_date(value: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp())
}
