//! One invocation in the payload mode: sent, waited for, and judged as the host judges it.

use std::time::Duration;

use axum::body::Bytes;
use futures::stream;
use serde_json::Value;
use uuid::Uuid;

use super::host_json::at;
use super::process::Worker;

/// What the host says of itself.
pub const HOST_VERSION: &str = "4.1052.200.0";

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The answer, as it is.
    Succeeded(Answer),
    /// In the host's words; body and logs of the answer are gone.
    Failed(String),
    /// 2xx with nothing in it: in Azure, this invocation would never end.
    Hang(String),
    /// No answer within `functionTimeout`: the process is killed.
    TimedOut,
}

impl Outcome {
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded(_))
    }
}

/// `{"Outputs": …, "Logs": …, "ReturnValue": …}`, each of which may be absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    pub outputs: Value,
    pub logs: Vec<String>,
    pub return_value: Value,
}

/// How payloads are sent.
#[derive(Debug, Clone)]
pub struct Sender {
    pub client: reqwest::Client,
    pub function_timeout: Duration,
    /// Without `Content-Length`, as in Azure.
    pub chunked: bool,
}

impl Sender {
    pub fn new(function_timeout: Duration, chunked: bool) -> Self {
        let timeout = function_timeout + Duration::from_secs(60);
        let client = keymend::tls::client().no_proxy().timeout(timeout).build().unwrap();
        Self { client, function_timeout, chunked }
    }

    /// Sends a payload to a function once the handler is ready. A handler that hangs or takes too long is killed.
    pub async fn invoke(&self, worker: &Worker, function: &str, payload: Vec<u8>) -> (Uuid, Outcome) {
        let id = Uuid::new_v4();
        let outcome = match worker.ready().await {
            Ok(port) => self.post(worker, port, function, id, payload).await,
            Err(why) => Outcome::Failed(why),
        };
        (id, outcome)
    }

    async fn post(&self, worker: &Worker, port: u16, function: &str, id: Uuid, body: Vec<u8>) -> Outcome {
        let body = if self.chunked {
            let pieces: Vec<_> = body.chunks(1024).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            reqwest::Body::wrap_stream(stream::iter(pieces))
        } else {
            body.into()
        };
        let mut request = self
            .client
            .post(format!("http://127.0.0.1:{port}/{function}"))
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", format!("Azure-Functions-Host/{HOST_VERSION}"))
            .body(body);
        for (name, value) in host_headers(id) {
            request = request.header(name, value);
        }
        let (trace, span) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
        request = request.header("traceparent", format!("00-{trace}-{}-01", &span[..16]));
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
            Ok::<_, reqwest::Error>((status, kind, answer.bytes().await?))
        };
        match tokio::time::timeout(self.function_timeout, answer).await {
            Ok(Ok((status, kind, body))) => {
                let outcome = judge(status.as_u16(), kind.as_deref(), &body);
                if matches!(outcome, Outcome::Hang(_)) {
                    worker.restart().await;
                }
                outcome
            }
            Ok(Err(error)) => Outcome::Failed(with_causes(&error.without_url())),
            Err(_) => {
                worker.restart().await;
                Outcome::TimedOut
            }
        }
    }
}

/// The headers that every request to the handler has.
pub fn host_headers(id: Uuid) -> [(&'static str, String); 2] {
    [("X-Azure-Functions-HostVersion", HOST_VERSION.to_owned()), ("X-Azure-Functions-InvocationId", id.to_string())]
}

pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What the host makes of an answer.
pub fn judge(status: u16, content_type: Option<&str>, body: &Bytes) -> Outcome {
    if !(200..300).contains(&status) {
        return Outcome::Failed(format!("Response status code does not indicate success: {status}."));
    }
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return Outcome::Hang(format!("{status} with an empty body"));
    }
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "application/json" | "text/json") {
        return Outcome::Failed(format!("No MediaTypeFormatter is available for media type {kind:?}"));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Null) => Outcome::Hang(format!("{status} with null")),
        Ok(json @ Value::Object(_)) => {
            let logs = at(&json, &["Logs"]).as_array().cloned().unwrap_or_default();
            Outcome::Succeeded(Answer {
                outputs: at(&json, &["Outputs"]).clone(),
                logs: logs.iter().map(|line| line.as_str().map_or_else(|| line.to_string(), str::to_owned)).collect(),
                return_value: at(&json, &["ReturnValue"]).clone(),
            })
        }
        Ok(other) => Outcome::Failed(format!("the answer is no object: {other}")),
        Err(error) => Outcome::Failed(format!("the answer is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, kind: Option<&str>, body: &'static str) -> Outcome {
        judge(status, kind, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn answers_are_judged_as_the_host_does() {
        let json = Some("application/json; charset=utf-8");
        assert!(judged(200, json, "{}").is_success());
        assert!(judged(202, json, r#"{"key1":"unknown keys are ignored"}"#).is_success());
        for (status, body) in [(200, ""), (204, ""), (200, "null"), (202, " \n")] {
            assert!(matches!(judged(status, json, body), Outcome::Hang(_)), "{status} {body:?}");
        }
        for (status, kind, body) in
            [(200, Some("text/plain"), "ok"), (200, None, "{}"), (200, json, "{"), (500, json, "{}"), (302, json, "{}")]
        {
            assert!(matches!(judged(status, kind, body), Outcome::Failed(_)), "{status} {kind:?} {body:?}");
        }
    }

    #[test]
    fn nothing_of_a_refused_answer_is_kept() {
        let Outcome::Failed(why) = judged(500, Some("application/json"), r#"{"Logs":["a reason"]}"#) else { panic!() };
        assert!(!why.contains("a reason"));
    }
}
