//! Long-running operations: where to ask, and how it goes (Microsoft, "track asynchronous Azure operations").

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::azure::error::{AzureError, error_body};
use crate::azure::transport::{Answer, Azure, Request};

/// Azure's own limit on such URLs.
const LONGEST: usize = 4096;

/// Where to ask about an operation: path and query at the configured Resource Manager, never a host, so that a stored one
/// cannot lead elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationUrl {
    url: String,
    /// `Azure-AsyncOperation` tells the status in its body; `Location` by its HTTP status.
    status_in_body: bool,
}

impl OperationUrl {
    fn checked(url: String, status_in_body: bool) -> Option<Self> {
        let plain = url.chars().all(|c| c.is_ascii_graphic() && c != '\\' && c != '#');
        let rooted = url.starts_with('/') && !url.starts_with("//");
        (plain && rooted && url.len() <= LONGEST).then_some(Self { url, status_in_body })
    }

    /// Path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }
}

impl<'de> Deserialize<'de> for OperationUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stored {
            url: String,
            status_in_body: bool,
        }
        let Stored { url, status_in_body } = Stored::deserialize(deserializer)?;
        Self::checked(url, status_in_body).ok_or_else(|| serde::de::Error::custom("not the path of an operation"))
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
        let body_style = answer.headers.async_operation.as_deref().map(|url| (url, true));
        // A 201's Location is the new resource, not an operation.
        let location = answer.headers.location.as_deref().filter(|_| answer.status == 202).map(|url| (url, false));
        let (url, status_in_body) = body_style.or(location)?;
        let operation = self.operation_url(url, status_in_body);
        if operation.is_none() {
            tracing::warn!(
                what = answer.what,
                "the operation's address lies outside the Resource Manager; not followed"
            );
        }
        operation
    }

    fn operation_url(&self, text: &str, status_in_body: bool) -> Option<OperationUrl> {
        if text.len() > LONGEST {
            return None;
        }
        let url = self.same_arm(text)?;
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        OperationUrl::checked(format!("{}{query}", url.path()), status_in_body)
    }

    /// Asks how an operation goes.
    ///
    /// # Errors
    /// [`AzureError`] where that could not be learnt; an operation that failed is [`Progress::Failed`].
    pub async fn poll(&self, operation: &OperationUrl) -> Result<Progress, AzureError> {
        let (path, query) = operation.url.split_once('?').unwrap_or((&operation.url, ""));
        let request = Request {
            path: path.to_owned(),
            query: query.to_owned(),
            ..Request::get(path, "", "Microsoft.Sql/locations/*/read")
        };
        match self.perform(&request).await {
            Ok(answer) if operation.status_in_body => status_in_body(&answer),
            Ok(answer) => Ok(location_status(&answer)),
            Err(AzureError::Refused { code, message, inner_code, .. }) => {
                Ok(Progress::Failed { code: inner_code.unwrap_or(code), message })
            }
            Err(error) => Err(error),
        }
    }
}

fn status_in_body(answer: &Answer) -> Result<Progress, AzureError> {
    let status = answer.body["status"].as_str().ok_or_else(|| answer.bad("it has no status"))?;
    Ok(by_status(status, answer).unwrap_or(Progress::Running { retry_after: answer.headers.retry_after }))
}

fn location_status(answer: &Answer) -> Progress {
    let running = Progress::Running { retry_after: answer.headers.retry_after };
    if answer.status == 202 {
        return running;
    }
    // Some services answer 200 with a status in the body before the end.
    match &answer.body["status"] {
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
            let read: Result<OperationUrl, _> = serde_json::from_value(json!({"url": url, "status_in_body": true}));
            if let Ok(read) = read {
                let resolved = url::Url::parse("https://management.azure.com/").unwrap().join(read.as_str()).unwrap();
                prop_assert_eq!(resolved.host_str(), Some("management.azure.com"));
            }
        }
    }

    #[test]
    fn survives_a_store() {
        let url = OperationUrl::checked("/subscriptions/s/x?api-version=1".to_owned(), false).unwrap();
        let stored = serde_json::to_string(&url).unwrap();
        assert_eq!(serde_json::from_str::<OperationUrl>(&stored).unwrap(), url);
    }
}
