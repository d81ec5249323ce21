//! Records as JSON, each with the version of its format.

use azure_core::http::Etag;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Found};
use crate::store::{Result, StoreError};

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record<T> {
    v: u32,
    record: T,
}

/// A time as it is stored: microseconds since 1970.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A stored time. One out of the calendar's range (a damaged record) is held at its end.
pub(super) fn time(micros: i64) -> Timestamp {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end)
}

/// A record as it is stored.
pub(super) fn write<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(&Record { v: FORMAT, record })
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written as JSON: {error}")))
}

/// A stored record; `what` names it for the person who must look at it.
pub(super) fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    let unreadable = |why: String| StoreError::Unreadable { what: what.to_owned(), why };
    if is_newer(body) {
        return Err(unreadable("a newer keymend wrote it; run that version".to_owned()));
    }
    let record: Record<T> = serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    Ok(record.record)
}

/// Whether a program that knows more than this one wrote it.
pub(super) fn is_newer(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    serde_json::from_slice::<Version>(body).is_ok_and(|version| version.v > FORMAT)
}

/// For lists: what can't be read is reported and left out, so that it does not block the rest.
pub(super) fn readable<T>(record: Result<T>) -> Option<T> {
    record.inspect_err(|error| tracing::error!(%error, "left out a record")).ok()
}

impl Blobs {
    /// Reads a record and the version of its blob.
    pub(super) async fn record<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<(T, Etag)>> {
        let Some(Found { body, etag, .. }) = self.get(name).await? else { return Ok(None) };
        Ok(Some((read(what, &body)?, etag)))
    }
}
