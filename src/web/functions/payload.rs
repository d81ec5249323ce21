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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn payload(datum: Value, metadata: Value) -> Payload {
        Payload::read(json!({ "Data": { "job": datum }, "Metadata": metadata }).to_string().as_bytes()).unwrap()
    }

    /// A value in so many encodings.
    fn encoded(value: &Value, times: usize) -> Value {
        (0..times).fold(value.clone(), |value, _| Value::String(value.to_string()))
    }

    /// Any JSON whose strings do not look like JSON themselves: as an object is, whose encodings are all taken off.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn the_hosts_own_example_is_read() {
        // As the host's own tests have it: the message is a string of JSON, and so is what is in it.
        let body = r#"{"Data":{"job":"\"{\\\"v\\\":1,\\\"job\\\":\\\"pass:km-1\\\"}\""},
            "Metadata":{"DequeueCount":"1","Id":"\"400462fd\"","sys":{"MethodName":"jobs"},"v":"\"1\""}}"#;
        let payload = Payload::read(body.as_bytes()).unwrap();
        assert_eq!(doorbell(&payload, "job"), Ok("pass:km-1".to_owned()));
        assert_eq!(payload.text("job").unwrap(), r#"{"v":1,"job":"pass:km-1"}"#);
    }

    #[test]
    fn what_is_no_call_for_a_job_is_refused_in_words() {
        for (datum, word) in [
            (json!("\"hello\""), "no JSON object"),
            (json!("4"), "no JSON object"),
            (json!({ "v": 2, "job": "pass:km-1" }), "version"),
            (json!({ "job": "pass:km-1" }), "version"),
            (json!({ "v": 1 }), "without the job's key"),
            (json!({ "v": 1, "job": "" }), "without the job's key"),
            (json!({ "v": 1, "job": ["pass:km-1"] }), "without the job's key"),
        ] {
            let why = doorbell(&payload(datum.clone(), json!({})), "job").unwrap_err().to_string();
            assert!(why.contains(word), "{datum}: {why}");
        }
        assert_eq!(doorbell(&payload(json!({}), json!({})), "message"), Err(Unreadable::NoBinding("message")));
        for body in ["", "null", "[]", "{}", r#"{"Data":"x"}"#, "\u{feff}", "{\"Data\":{"] {
            assert!(Payload::read(body.as_bytes()).is_err(), "{body:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(Payload::read(deep.as_bytes()).is_err(), "nested too deeply to be meant");
    }

    proptest! {
        #[test]
        fn every_encoding_comes_to_the_same(key in ".{1,40}", times in 0_usize..=4, metadata in any_json()) {
            let bell = json!({ "v": 1, "job": key });
            prop_assert_eq!(doorbell(&payload(encoded(&bell, times), metadata), "job"), Ok(key));
        }

        #[test]
        fn metadata_changes_nothing(one in any_json(), other in any_json(), datum in any_json()) {
            prop_assert_eq!(payload(datum.clone(), one), payload(datum, other));
        }

        #[test]
        fn the_text_of_a_message_is_what_was_written(text in ".{0,60}") {
            let sent = Value::String(Value::String(text.clone()).to_string());
            prop_assert_eq!(payload(sent, json!({})).text("job").unwrap(), text);
        }

        #[test]
        fn nothing_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), any in any_json()) {
            if let Ok(payload) = Payload::read(&body) {
                let _ = (doorbell(&payload, "job"), payload.text("job"));
            }
            if let Ok(payload) = Payload::read(any.to_string().as_bytes()) {
                let _ = (doorbell(&payload, "job"), payload.text("job"));
            }
            let _ = doorbell(&payload(any, json!({})), "job");
        }
    }
}
