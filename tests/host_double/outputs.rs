//! What the host does with the outputs of an invocation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The answer to the caller of an HTTP function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The messages that an output to a queue becomes.
pub fn messages(value: &Value) -> Result<Vec<Vec<u8>>, String> {
    match value {
        Value::Array(all) => Ok(all.iter().map(message).collect::<Result<Vec<_>, _>>()?),
        other => message(other).map(|message| vec![message]),
    }
}

/// A string that happens to be base64 is decoded, whatever it was meant to be; JSON is written anew, indented.
fn message(value: &Value) -> Result<Vec<u8>, String> {
    let Value::String(text) = value else { return Ok(indented(value)) };
    if let Some(bytes) = as_base64(text) {
        return Ok(bytes);
    }
    let looks_like_json = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    if !looks_like_json('{', '}') && !looks_like_json('[', ']') {
        return Ok(text.clone().into_bytes());
    }
    let json: Value = serde_json::from_str(text).map_err(|error| format!("an output looks like JSON: {error}"))?;
    Ok(indented(&json))
}

/// Whether the host takes a text for base64: any non-empty one whose length is a multiple of four and that decodes.
pub fn as_base64(text: &str) -> Option<Vec<u8>> {
    (!text.is_empty()).then(|| STANDARD.decode(text).ok()).flatten()
}

fn indented(json: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(json).unwrap_or_default()
}

/// `{"statusCode": …, "headers": …, "body": …}`; nothing at all is 200.
pub fn http(value: Option<&Value>) -> Result<HttpAnswer, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(HttpAnswer { status: 200, headers: Vec::new(), body: Vec::new() });
    };
    let map = value.as_object().ok_or("the HTTP output is no object")?;
    let field = |name: &str| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let status = match field("statusCode").or_else(|| field("status")) {
        None => 200,
        Some(Value::Number(number)) => number.as_u64().and_then(|it| u16::try_from(it).ok()).ok_or("statusCode")?,
        Some(Value::String(text)) => text.parse().map_err(|_| format!("statusCode {text:?}"))?,
        Some(other) => return Err(format!("statusCode {other}")),
    };
    let headers = field("headers").and_then(Value::as_object).cloned().unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    let body = match field("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(other) => other.to_string().into_bytes(),
    };
    Ok(HttpAnswer { status, headers: headers.collect(), body })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_token_is_corrupted_and_base64_is_kept() {
        assert_ne!(messages(&json!("done1234")).unwrap(), [b"done1234".to_vec()]);
        let exact = r#"{"v":1,"job":"pass:x"}"#;
        assert_eq!(messages(&json!(STANDARD.encode(exact))).unwrap(), [exact.as_bytes().to_vec()]);
    }

    #[test]
    fn json_is_written_anew_and_what_only_looks_like_it_fails() {
        assert_eq!(messages(&json!(r#"{"v":1}"#)).unwrap(), [b"{\n  \"v\": 1\n}".to_vec()]);
        assert_eq!(messages(&json!([{ "a": 1 }, "x y"])).unwrap().len(), 2);
        assert!(messages(&json!("{not json}")).is_err());
    }

    #[test]
    fn status_codes_are_numbers_or_texts() {
        assert_eq!(http(Some(&json!({ "statusCode": "202", "body": { "a": 1 } }))).unwrap().status, 202);
        assert_eq!(http(None).unwrap().status, 200);
        assert!(http(Some(&json!({ "statusCode": [] }))).is_err());
    }
}
