//! Every request and its answer, as they came, and as HAR 1.2.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Which service a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// Azure Resource Manager.
    Arm,
    /// Key Vault's data plane.
    KeyVault,
    /// Where tokens come from.
    Token,
    /// The sinks for notices, and what is nothing of Azure's.
    Other,
}

/// One request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// Its place among all requests, from 1.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// When it was answered; `None` while it is not, and for ever if the connection broke first.
    pub answered_at: Option<Timestamp>,
    /// Which service.
    pub plane: Plane,
    /// The HTTP method.
    pub method: String,
    /// The URL with the host that Azure would have: `https://management.azure.com/…`, `https://{vault}…/…`.
    pub url: String,
    /// The answer's status; 0 where there is none.
    pub status: u16,
    /// The body sent, if any; no JSON is kept as a text.
    pub request_body: Option<Value>,
    /// The body answered, if any.
    pub response_body: Option<Value>,
    /// Headers of the answer.
    pub response_headers: Vec<(String, String)>,
    /// Whether anything in the world was changed by it.
    pub effect: bool,
}

impl Exchange {
    /// Whether it would change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.plane, Plane::Arm | Plane::KeyVault)
            && self.method != "GET"
            && !self.url.contains("/providers/Microsoft.ResourceGraph/")
    }

    fn to_har(&self) -> Value {
        let header = |(name, value): &(String, String)| json!({ "name": name, "value": value });
        let text = |body: &Option<Value>| body.as_ref().map(Value::to_string).unwrap_or_default();
        let (sent, answered) = (text(&self.request_body), text(&self.response_body));
        let took = self.answered_at.map_or(0.0, |at| at.duration_since(self.at).as_secs_f64() * 1000.0);
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut request = json!({
            "method": self.method,
            "url": self.url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "queryString": pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
            "headersSize": -1,
            "bodySize": sent.len(),
        });
        if self.request_body.is_some() {
            request["postData"] = json!({ "mimeType": "application/json", "text": sent });
        }
        let location = self.response_headers.iter().find(|(name, _)| name == "location");
        json!({
            "startedDateTime": self.at,
            "time": took,
            "request": request,
            "response": {
                "status": self.status,
                "statusText": "",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": self.response_headers.iter().map(header).collect::<Vec<_>>(),
                "content": { "size": answered.len(), "mimeType": "application/json", "text": answered },
                "redirectURL": location.map_or("", |(_, url)| url.as_str()),
                "headersSize": -1,
                "bodySize": answered.len(),
            },
            "cache": {},
            "timings": { "send": 0, "wait": took, "receive": 0 },
            "_plane": self.plane,
            "_effect": self.effect,
        })
    }
}

/// What was sent to Azure, as HAR 1.2. Requests that the cloud does not stand for Azure in are left out.
pub(crate) fn har<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> Value {
    let entries = exchanges.filter(|one| one.plane != Plane::Other && one.status != 0);
    json!({
        "log": {
            "version": "1.2",
            "creator": { "name": "keymend sim", "version": env!("CARGO_PKG_VERSION") },
            "entries": entries.map(Exchange::to_har).collect::<Vec<_>>(),
        },
    })
}
