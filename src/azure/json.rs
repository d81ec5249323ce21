//! Reading Azure's JSON strictly: what is absent is `None`, what has the wrong type is an error and never a default, so
//! that a garbled answer cannot pass for "there is no identity" or "there is no policy".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The text, if it is one.
pub(crate) fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// The answer in the shape it should have, or in what way it has not.
pub(crate) fn shaped<T: DeserializeOwned>(body: &Value) -> Result<T, String> {
    T::deserialize(body).map_err(|error| format!("unexpected shape: {error}"))
}

/// `null`, nothing and an empty text are `None`; a text is parsed.
pub(crate) fn filled<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(text) if !text.trim().is_empty() => {
            T::deserialize(Value::String(text)).map(Some).map_err(serde::de::Error::custom)
        }
        _ => Ok(None),
    }
}

/// A moment that is only shown: anything that is not RFC 3339 is `None`.
pub(crate) fn shown_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().and_then(|text| text.trim().parse().ok()))
}

/// A moment in Unix seconds, as Key Vault writes them.
pub(crate) fn unix_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(seconds) = Option::<i64>::deserialize(deserializer)? else { return Ok(None) };
    Timestamp::from_second(seconds).map(Some).map_err(serde::de::Error::custom)
}

/// String tags; `null` tags are no tags, a `null` value is an empty one.
pub(crate) fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let tags = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(tags.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

/// A list; `null` is an empty one.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
