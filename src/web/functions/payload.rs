//! What the host sends to a function that is no HTTP function: `{"Data": {…}, "Metadata": {…}}`.
//!
//! The host writes what a trigger gives as JSON text and sends that as a JSON string, so a queue message that is JSON comes
//! encoded twice; objects come nested, and older hosts and other tools encode once (Azure/azure-functions-host,
//! `ScriptInvocationContextExtensions`). All of these are opened here.
//!
//! `Metadata` is not read at all: the host lets the top-level properties of a queue message overwrite what it says itself.

use serde_json::{Map, Value};

/// How many encodings may lie around a value: three were seen.
const MOST_ENCODINGS: usize = 4;

/// Why a payload cannot be read. The words are for the log and the answer; they repeat nothing of the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// There is no `Data` object.
    #[error("the body has no object `Data`: this is no payload of the Functions host")]
    NoData,
    /// The binding is missing.
    #[error("`Data` holds no `{0}`; function.json and the program do not fit together")]
    NoBinding(&'static str),
    /// The value is something else than was expected.
    #[error("`Data.{binding}` is {what}")]
    Unexpected {
        /// Which binding.
        binding: &'static str,
        /// What it is, or is not.
        what: &'static str,
    },
}

/// The data of one invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload(Map<String, Value>);

impl Payload {
    /// Reads the body of an invocation.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        // Only the position is said: serde's own words could repeat the text.
        let not_json =
            |error: serde_json::Error| Unreadable::NotJson(format!("line {}, column {}", error.line(), error.column()));
        match serde_json::from_slice(body).map_err(not_json)? {
            Value::Object(mut whole) => {
                let data = whole.remove("Data").or_else(|| whole.remove("data")).map(opened);
                let Some(Value::Object(data)) = data else { return Err(Unreadable::NoData) };
                Ok(Self(data))
            }
            _ => Err(Unreadable::NoData),
        }
    }

    /// The value of a binding as it was sent.
    ///
    /// # Errors
    /// [`Unreadable::NoBinding`].
    pub fn sent(&self, binding: &'static str) -> Result<&Value, Unreadable> {
        self.0.get(binding).ok_or(Unreadable::NoBinding(binding))
    }

    /// The value of a binding with every encoding taken off.
    ///
    /// # Errors
    /// [`Unreadable::NoBinding`].
    pub fn opened(&self, binding: &'static str) -> Result<Value, Unreadable> {
        self.sent(binding).cloned().map(opened)
    }

    /// The text of a queue message, as whoever sent it wrote it, or as near to it as can be told.
    ///
    /// # Errors
    /// [`Unreadable::NoBinding`].
    pub fn text(&self, binding: &'static str) -> Result<String, Unreadable> {
        Ok(match self.sent(binding)? {
            // The host's own encoding is the first one; what is inside belongs to the message.
            Value::String(sent) => match serde_json::from_str(sent) {
                Ok(Value::String(text)) => text,
                _ => sent.clone(),
            },
            other => other.to_string(),
        })
    }
}

/// Takes JSON out of strings until there is none inside.
fn opened(value: Value) -> Value {
    let mut value = value;
    for _ in 0..MOST_ENCODINGS {
        let Value::String(text) = &value else { return value };
        match serde_json::from_str(text) {
            Ok(inner) => value = inner,
            Err(_) => return value,
        }
    }
    value
}

/// What a queue message says: the doorbell of one job.
///
/// # Errors
/// [`Unreadable`], if it is none that this version knows.
pub fn doorbell(payload: &Payload, binding: &'static str) -> Result<String, Unreadable> {
    let unexpected = |what| Unreadable::Unexpected { binding, what };
    let Value::Object(bell) = payload.opened(binding)? else {
        return Err(unexpected("no JSON object, and so no call for a job"));
    };
    if bell.get("v").and_then(Value::as_u64) != Some(1) {
        return Err(unexpected("no call for a job that this version of Keymend knows (`v` is not 1)"));
    }
    match bell.get("job").and_then(Value::as_str) {
        Some(job) if !job.is_empty() => Ok(job.to_owned()),
        _ => Err(unexpected("a call for a job without the job's key")),
    }
}
