//! Long-running operations: where to ask, and how it goes (Microsoft, "track asynchronous Azure operations").

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::azure::error::{AzureError, error_body};
use crate::azure::request::{Answer, Request};
use crate::azure::transport::Azure;

/// Azure's own limit on such URLs.
const LONGEST: usize = 4096;

/// Where to ask about an operation: path and query at the configured Resource Manager, never a host, so that a stored one
/// cannot lead elsewhere. Read from and written as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperationUrl(String);

/// A text that is not the path of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of an operation at the Resource Manager")]
pub struct InvalidOperationUrl;

impl OperationUrl {
    /// Path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OperationUrl {
    type Error = InvalidOperationUrl;

    fn try_from(url: String) -> Result<Self, InvalidOperationUrl> {
        let plain = url.chars().all(|c| c.is_ascii_graphic() && c != '\\' && c != '#');
        let rooted = url.starts_with('/') && !url.starts_with("//");
        if plain && rooted && url.len() <= LONGEST { Ok(Self(url)) } else { Err(InvalidOperationUrl) }
    }
}

impl FromStr for OperationUrl {
    type Err = InvalidOperationUrl;

    fn from_str(url: &str) -> Result<Self, InvalidOperationUrl> {
        url.to_owned().try_into()
    }
}

impl From<OperationUrl> for String {
    fn from(url: OperationUrl) -> Self {
        url.0
    }
}

impl fmt::Display for OperationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an operation goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Ask again later.
    Running {
        /// When, if Azure said.
        retry_after: Option<SignedDuration>,
    },
    /// Done.
    Succeeded,
    /// It failed or was cancelled.
    Failed {
        /// Azure's error code, such as `AzureKeyVaultMissingPermissions`.
        code: String,
        /// Azure's words.
        message: String,
    },
}

impl Azure {
    /// The operation that an accepted write goes on as; `Azure-AsyncOperation` is preferred to `Location`.
    pub(crate) fn operation_of(&self, answer: &Answer) -> Option<OperationUrl> {
        // A 201's Location is the new resource, not an operation.
        let location = answer.headers.location.as_deref().filter(|_| answer.status == 202);
        let url = answer.headers.async_operation.as_deref().or(location)?;
        let operation = self.operation_url(url);
        if operation.is_none() {
            tracing::warn!(
                what = answer.what,
                "the operation's address lies outside the Resource Manager; not followed"
            );
        }
        operation
    }

    fn operation_url(&self, text: &str) -> Option<OperationUrl> {
        if text.len() > LONGEST {
            return None;
        }
        let url = self.same_arm(text)?;
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{query}", url.path()).try_into().ok()
    }

    /// Asks how an operation goes: a status in the body decides (`Azure-AsyncOperation`), else the HTTP status
    /// (`Location`: 202 runs, 200 and 204 are done, an error is its failure).
    ///
    /// # Errors
    /// [`AzureError`] where that could not be learnt; an operation that failed is [`Progress::Failed`].
    pub async fn poll(&self, operation: &OperationUrl) -> Result<Progress, AzureError> {
        let (path, query) = operation.0.split_once('?').unwrap_or((&operation.0, ""));
        let request = Request {
            path: path.to_owned(),
            query: query.to_owned(),
            ..Request::get(path, "", "Microsoft.Sql/locations/*/read")
        };
        match self.perform(&request).await {
            Ok(answer) => Ok(progress(&answer)),
            Err(AzureError::Refused { code, message, inner_code, .. }) => {
                Ok(Progress::Failed { code: inner_code.unwrap_or(code), message })
            }
            Err(error) => Err(error),
        }
    }
}

fn progress(answer: &Answer) -> Progress {
    let running = Progress::Running { retry_after: answer.headers.retry_after };
    match &answer.body["status"] {
        _ if answer.status == 202 => running,
        Value::String(status) => by_status(status, answer).unwrap_or(running),
        _ => Progress::Succeeded,
    }
}

/// The end that a status names; anything else means that it runs on.
fn by_status(status: &str, answer: &Answer) -> Option<Progress> {
    match status.to_ascii_lowercase().as_str() {
        "succeeded" | "completed" => Some(Progress::Succeeded),
        "failed" | "canceled" | "cancelled" => {
            let error = error_body(&answer.body);
            let code = error.inner_code.or(error.code).unwrap_or_else(|| status.to_owned());
            Some(Progress::Failed { code, message: error.message })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn a_stored_url_is_a_path_or_refused(url in "\\PC{0,60}|//[a-z]{1,9}/x|https?://[a-z]{1,9}/x|/[a-z/]{0,30}\\?[a-z=&]{0,10}") {
            let read: Result<OperationUrl, _> = serde_json::from_value(json!(url));
            if let Ok(read) = read {
                let resolved = url::Url::parse("https://management.azure.com/").unwrap().join(read.as_str()).unwrap();
                prop_assert_eq!(resolved.host_str(), Some("management.azure.com"));
            }
        }
    }

    #[test]
    fn survives_a_store() {
        let url: OperationUrl = "/subscriptions/s/x?api-version=1".parse().unwrap();
        let stored = serde_json::to_string(&url).unwrap();
        assert_eq!(serde_json::from_str::<OperationUrl>(&stored).unwrap(), url);
    }
}
