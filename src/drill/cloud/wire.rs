//! A request as the simulated services see it, and their answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Decoded, without a query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) query: BTreeMap<String, String>,
    /// `http://…`, where this request came to: links in answers begin with it.
    pub(crate) base: String,
    /// Without a port, in lower case.
    pub(crate) host: String,
    pub(crate) token: Option<String>,
    pub(crate) client_request_id: Option<String>,
    /// What the answer's headers and the Activity Log know this request by.
    pub(crate) correlation: String,
    /// `None` for no body, an error for one that is no JSON.
    pub(crate) body: Option<Result<Value, String>>,
}

impl Request {
    /// The body as an object, or an answer that says what is wrong with it.
    pub(crate) fn object(&self) -> Result<&Value, Answer> {
        match &self.body {
            Some(Ok(value)) if value.is_object() => Ok(value),
            None => Err(Answer::error(400, "MissingRequestBody", "The request body is missing.")),
            Some(_) => Err(Answer::error(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'it is not a JSON object'.",
            )),
        }
    }

    /// A number in the query that continues a list.
    pub(crate) fn skip(&self) -> usize {
        self.query.get("$skiptoken").and_then(|token| token.parse().ok()).unwrap_or(0)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    /// A body that is no JSON, and its type.
    pub(crate) text: Option<Box<(String, String)>>,
    /// Only a part of the body is sent, then the connection breaks.
    pub(crate) cut_short: bool,
    /// The connection is dropped instead: nobody is there.
    pub(crate) nobody_there: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, text: None, cut_short: false, nobody_there: false }
    }

    /// A body that is no JSON.
    pub(crate) fn text(status: u16, kind: &str, text: impl Into<String>) -> Self {
        Self { text: Some(Box::new((kind.to_owned(), text.into()))), ..Self::empty(status) }
    }

    /// An error in the shape common to ARM and Key Vault.
    pub(crate) fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::json(status, json!({ "error": { "code": code, "message": message.into() } }))
    }

    pub(crate) fn nobody_there() -> Self {
        Self { nobody_there: true, ..Self::empty(0) }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The error's code, wherever this service puts it.
    pub(crate) fn code(&self) -> Option<&str> {
        let body = self.body.as_ref()?;
        body.pointer("/error/code").or_else(|| body.get("code"))?.as_str()
    }
}
