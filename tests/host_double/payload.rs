//! The payload of an invocation: `Data` and `Metadata`, encoded as the host does. Scalars are strings that hold JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A string as the host sends it: JSON in a JSON string.
pub fn string(text: &str) -> Value {
    Value::String(Value::from(text).to_string())
}

/// A value as the host sends it: objects as they are, everything else as a string of JSON.
pub fn encode(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { Value::String(value.to_string()) }
}

/// A time, to the second.
pub fn date(at: Timestamp) -> Value {
    Value::String(at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

/// `sys`, which every invocation has.
pub fn sys(function: &str, now: Timestamp) -> Value {
    json!({
        "MethodName": function,
        "UtcNow": now.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string(),
        "RandGuid": Uuid::new_v4().to_string(),
    })
}

/// What the host knows of a queue message.
#[derive(Debug, Clone)]
pub struct QueueMessage {
    pub id: String,
    pub pop_receipt: String,
    pub dequeue_count: u64,
    pub inserted: Timestamp,
    pub expires: Timestamp,
    pub next_visible: Timestamp,
}

/// The payload of a queue trigger.
pub fn queue(function: &str, binding: &str, text: &str, message: &QueueMessage, now: Timestamp) -> Value {
    let mut metadata = Map::new();
    metadata.insert("DequeueCount".to_owned(), encode(&json!(message.dequeue_count)));
    metadata.insert("ExpirationTime".to_owned(), date(message.expires));
    metadata.insert("Id".to_owned(), string(&message.id));
    metadata.insert("InsertionTime".to_owned(), date(message.inserted));
    metadata.insert("NextVisibleTime".to_owned(), date(message.next_visible));
    metadata.insert("PopReceipt".to_owned(), string(&message.pop_receipt));
    metadata.insert("sys".to_owned(), sys(function, now));
    overlay(&mut metadata, text);
    json!({ "Data": { binding: string(text) }, "Metadata": metadata })
}

/// If the message looks like JSON, its top-level properties overwrite what the host knows, in any case.
pub fn overlay(metadata: &mut Map<String, Value>, text: &str) {
    if let Ok(Value::Object(properties)) = serde_json::from_str::<Value>(text) {
        for (name, value) in properties {
            let value = match value {
                Value::Null | Value::Array(_) => continue,
                Value::Object(_) => value,
                Value::String(text) => string(&text),
                Value::Bool(flag) => string(if flag { "True" } else { "False" }),
                Value::Number(number) => string(&number.to_string()),
            };
            let known = metadata.keys().find(|key| key.eq_ignore_ascii_case(&name)).cloned();
            metadata.insert(known.unwrap_or(name), value);
        }
    }
    metadata.retain(|name, _| !name.to_ascii_lowercase().ends_with("trigger"));
}

/// An HTTP request in the payload mode.
#[derive(Debug)]
pub struct HttpRequest<'a> {
    pub url: &'a str,
    pub method: &'a str,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub params: Map<String, Value>,
    /// The name of the key that let the caller in.
    pub key_id: Option<&'a str>,
    /// Nothing where `Content-Length` is absent or 0.
    pub body: Option<Vec<u8>>,
}

/// The payload of an HTTP trigger.
pub fn http(function: &str, binding: &str, request: &HttpRequest<'_>, now: Timestamp) -> Value {
    let mut query = Map::new();
    for (name, value) in &request.query {
        match query.get_mut(name) {
            Some(Value::String(known)) => *known = format!("{known},{value}"),
            _ => _ = query.insert(name.clone(), json!(value)),
        }
    }
    let (mut headers, mut single) = (Map::new(), Map::new());
    for (name, value) in &request.headers {
        match headers.get_mut(name) {
            Some(Value::Array(known)) => known.push(json!(value)),
            _ => _ = headers.insert(name.clone(), json!([value])),
        }
        single.insert(name.clone(), json!(value));
    }
    let claims = "http://schemas.microsoft.com/2017/07/functions/claims";
    let identities = request.key_id.map_or_else(Vec::new, |key| {
        vec![json!({
            "AuthenticationType": "WebJobsAuthLevel",
            "IsAuthenticated": true,
            "Claims": [
                { "Type": format!("{claims}/authlevel"), "Value": "Function" },
                { "Type": format!("{claims}/keyid"), "Value": key },
            ],
        })]
    });
    let mut sent = json!({
        "Url": request.url, "Method": request.method, "Query": query, "Headers": headers, "Params": request.params,
        "Identities": identities,
    });
    if let Some(body) = &request.body {
        sent["Body"] = json!(String::from_utf8_lossy(body));
    }
    let mut metadata = json!({ "Query": query, "Headers": single, "Params": request.params });
    metadata["sys"] = sys(function, now);
    if let (Some(body), Value::Object(metadata)) = (&request.body, &mut metadata) {
        overlay(metadata, &String::from_utf8_lossy(body));
    }
    json!({ "Data": { binding: sent }, "Metadata": metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-11-24T02:32:33.123456Z".parse().unwrap()
    }

    fn message() -> QueueMessage {
        let (id, pop_receipt) = ("400462fd-b44b-4e39-9efa-62f6b63ee9ff".to_owned(), "MjROb3YyMDI2".to_owned());
        QueueMessage { id, pop_receipt, dequeue_count: 1, inserted: at(), expires: at(), next_visible: at() }
    }

    #[test]
    fn the_example_of_the_host_comes_out() {
        let text = r#"{"v":1,"incident":{"k":"x"}}"#;
        let payload = queue("remediate", "incident", text, &message(), at());
        assert_eq!(payload["Data"]["incident"], r#""{\"v\":1,\"incident\":{\"k\":\"x\"}}""#);
        let metadata = &payload["Metadata"];
        assert_eq!(metadata["DequeueCount"], "1");
        assert_eq!(metadata["Id"], "\"400462fd-b44b-4e39-9efa-62f6b63ee9ff\"");
        assert_eq!(metadata["InsertionTime"], "2026-11-24T02:32:33+00:00");
        assert_eq!(metadata["sys"]["MethodName"], "remediate");
        assert_eq!(metadata["v"], "\"1\"");
        assert_eq!(metadata["incident"], json!({ "k": "x" }));
    }

    #[test]
    fn a_message_overwrites_what_the_host_knows() {
        let text = r#"{"dequeuecount":"99","sys":{},"list":[1],"nothing":null,"myTrigger":"x"}"#;
        let metadata = queue("jobs", "job", text, &message(), at())["Metadata"].clone();
        assert_eq!(metadata["DequeueCount"], "\"99\"");
        assert_eq!(metadata["sys"], json!({}));
        for absent in ["list", "nothing", "myTrigger"] {
            assert!(metadata.get(absent).is_none(), "{absent}");
        }
    }
}
