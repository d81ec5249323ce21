//! A change to Azure: first prepared, so that exactly what would be sent can be shown, then sent.

use reqwest::Method;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::operation::OperationUrl;
use crate::azure::request::{Answer, Plane, Request, encode_path};
use crate::azure::transport::Azure;
use crate::domain::key_uri::VaultHost;

/// A change, complete and not sent. Made by the functions named after what they do (`PreparedWrite::recover_vault` …),
/// which stand in the file of their service.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedWrite {
    plane: Plane,
    method: Method,
    path: String,
    query: String,
    body: Option<Value>,
    action: String,
    scope: String,
}

impl PreparedWrite {
    /// `path` is percent-encoded here.
    pub(crate) fn arm(method: Method, path: &str, api_version: &str, body: Option<Value>, action: &str) -> Self {
        Self {
            plane: Plane::Arm,
            method,
            path: encode_path(path),
            query: format!("api-version={api_version}"),
            body,
            action: action.to_owned(),
            scope: path.to_owned(),
        }
    }

    /// The same, to a vault's data plane.
    pub(crate) fn at(self, host: &VaultHost) -> Self {
        Self { plane: Plane::Vault(host.clone()), scope: host.to_string(), ..self }
    }

    /// `PUT`, `PATCH` or `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Path and query; for a key vault with its host in front.
    #[must_use]
    pub fn url_path(&self) -> String {
        match &self.plane {
            Plane::Arm => format!("{}?{}", self.path, self.query),
            Plane::Vault(host) => format!("https://{host}{}?{}", self.path, self.query),
        }
    }

    /// The body, if one is sent.
    #[must_use]
    pub const fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    /// The right that it takes, in Azure's words.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// What it changes: a resource id, or a vault's host.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

impl Serialize for PreparedWrite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = serde_json::json!({"method": self.method(), "url_path": self.url_path(), "body": self.body});
        shown.serialize(serializer)
    }
}

impl std::fmt::Display for PreparedWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method(), self.url_path())?;
        self.body.as_ref().map_or(Ok(()), |body| write!(f, " {body}"))
    }
}

/// What came back for a sent change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteReceipt {
    /// The id we sent; the Activity Log shows it as `httpRequest.clientRequestId`.
    pub client_request_id: String,
    /// Azure's id of the request.
    pub request_id: Option<String>,
    /// Azure's correlation id.
    pub correlation_id: Option<String>,
    /// HTTP status: 200, 201, 202 or 204.
    pub status: u16,
    /// Where to ask how it goes, if it goes on. Only ever at the configured Resource Manager.
    pub operation: Option<OperationUrl>,
}

impl Azure {
    /// Sends a change. Every change is safe to send again.
    ///
    /// # Errors
    /// [`AzureError::Refused`], [`AzureError::Forbidden`], [`AzureError::NotFound`], [`AzureError::Throttled`] and
    /// [`AzureError::Unreachable`]: nothing was changed. [`AzureError::OutcomeUnknown`]: read again.
    pub async fn send(&self, write: &PreparedWrite) -> Result<WriteReceipt, AzureError> {
        let request = Request {
            plane: write.plane.clone(),
            method: write.method.clone(),
            path: write.path.clone(),
            query: write.query.clone(),
            body: write.body.clone(),
            action: write.action.clone(),
            scope: write.scope.clone(),
            write: true,
        };
        let answer = self.perform(&request).await?;
        let operation = if write.plane == Plane::Arm { self.operation_of(&answer) } else { None };
        let Answer { status, headers, client_request_id, .. } = answer;
        Ok(WriteReceipt {
            client_request_id: client_request_id.to_string(),
            request_id: headers.request_id,
            correlation_id: headers.correlation_id,
            status,
            operation,
        })
    }
}
