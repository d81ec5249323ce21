//! How far an operation got, in all the words that Azure has for it.

use super::json::{Object, get, text};

/// How far an operation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Started or accepted.
    Begun,
    /// Under way.
    InProgress,
    /// Ended as asked.
    Succeeded,
    /// Failed or cancelled.
    Failed,
}

impl Outcome {
    /// Reads `Started`, `Accept`, `Succeeded.OK` and the like; a word that says none of it (`Active`) is `None`.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let word = word.split('.').next().unwrap_or_default();
        let word: String = word.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        match word.as_str() {
            "started" | "start" | "accepted" | "accept" => Some(Self::Begun),
            "inprogress" | "running" | "pending" => Some(Self::InProgress),
            "succeeded" | "success" | "succeed" | "completed" => Some(Self::Succeeded),
            "failed" | "failure" | "fail" | "error" | "canceled" | "cancelled" | "cancel" => Some(Self::Failed),
            _ => None,
        }
    }

    /// The outcome that an Activity Log event states: `status`, or `resultType` and `resultSignature` in the records
    /// of a storage account or event hub.
    pub(super) fn of(event: &Object<'_>) -> Option<Self> {
        ["status", "resultType", "resultSignature"].iter().find_map(|key| Self::parse(&text(get(event, key)?)?))
    }
}
