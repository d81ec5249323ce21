//! Documents and times in columns.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Outcome;
use crate::store::StoreError;

/// A time as it is stored.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A stored time. One out of the calendar's range (a damaged file) is held at its end.
pub(super) fn time(micros: i64) -> Timestamp {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end)
}

/// A document as it is stored.
pub(super) fn write<T: Serialize>(value: &T) -> Outcome<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written as JSON: {error}")).into())
}

/// A stored document; `what` names the record for the person who must look at it.
pub(super) fn read<T: DeserializeOwned>(what: impl FnOnce() -> String, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable { what: what(), why: error.to_string() })
}

/// For lists: what can't be read is reported and left out, so that it does not block the rest.
pub(super) fn readable<T>(record: Result<T, StoreError>) -> Option<T> {
    record.inspect_err(|error| tracing::error!(%error, "left out a record")).ok()
}
