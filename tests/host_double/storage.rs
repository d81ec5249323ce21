//! Queues of Azure Storage by their REST API: the host's side, which knows nothing of the handler's own client.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, StatusCode};
use sha2::Sha256;

use super::payload::QueueMessage;

const VERSION: &str = "2022-11-02";
/// The account that every emulator has, as documented.
const DEVELOPMENT: &str = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;\
    AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;";

/// The queues of one account.
#[derive(Debug, Clone)]
pub struct Queues {
    http: reqwest::Client,
    endpoint: String,
    sas: String,
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    pub message: QueueMessage,
    /// As it is stored.
    pub raw: String,
}

impl Queues {
    /// The account of a connection string.
    pub fn of(connection: &str) -> Result<Self, String> {
        let connection = if connection.contains("UseDevelopmentStorage=true") { DEVELOPMENT } else { connection };
        let parts = connection.split(';').filter_map(|part| part.split_once('='));
        let parts: BTreeMap<String, &str> = parts.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let part = |name: &str| parts.get(name).copied().ok_or_else(|| format!("the connection string has no {name}"));
        let sas = match part("sharedaccesssignature") {
            Ok(sas) => sas.trim_start_matches('?').to_owned(),
            Err(_) => sas(part("accountname")?, part("accountkey")?)?,
        };
        let endpoint = part("queueendpoint")?.trim_end_matches('/').to_owned();
        let http = keymend::tls::client().no_proxy().timeout(Duration::from_secs(30)).build();
        Ok(Self { http: http.map_err(|error| error.to_string())?, endpoint, sas })
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Response, String> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}/{path}{joint}{}", self.endpoint, self.sas);
        let mut request = self.http.request(method, url).header("x-ms-version", VERSION);
        request = match body {
            Some(body) => request.header("content-type", "application/xml").body(body),
            None => request.header("content-length", "0"),
        };
        request.send().await.map_err(|error| error.without_url().to_string())
    }

    /// Makes a queue; one that is there stays.
    pub async fn create(&self, queue: &str) -> Result<(), String> {
        ok(self.send(Method::PUT, queue, None).await?).await.map(drop)
    }

    /// At most `count` messages, invisible to others for `lease`. A queue that is not there is empty.
    pub async fn receive(&self, queue: &str, count: usize, lease: Duration) -> Result<Vec<Received>, String> {
        let path = format!("{queue}/messages?numofmessages={count}&visibilitytimeout={}", lease.as_secs().max(1));
        let answer = self.send(Method::GET, &path, None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let text = ok(answer).await?;
        elements(&text, "QueueMessage").into_iter().map(received).collect()
    }

    /// Texts of up to 32 visible messages, as they are stored.
    pub async fn peek(&self, queue: &str) -> Result<Vec<String>, String> {
        let answer = self.send(Method::GET, &format!("{queue}/messages?peekonly=true&numofmessages=32"), None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let text = ok(answer).await?;
        Ok(elements(&text, "MessageText").into_iter().map(unescaped).collect())
    }

    /// How many messages there are, visible or not.
    pub async fn count(&self, queue: &str) -> Result<u64, String> {
        let answer = self.send(Method::GET, &format!("{queue}?comp=metadata"), None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(0);
        }
        let count = answer.headers().get("x-ms-approximate-messages-count").and_then(|count| count.to_str().ok());
        count.and_then(|count| count.parse().ok()).ok_or_else(|| "no count of messages".to_owned())
    }

    /// Puts a message as it is to be stored.
    pub async fn put(&self, queue: &str, raw: &str) -> Result<(), String> {
        let text = raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        ok(self.send(Method::POST, &format!("{queue}/messages"), Some(body)).await?).await.map(drop)
    }

    /// Removes a message; `false` if it is no longer ours.
    pub async fn delete(&self, queue: &str, message: &QueueMessage) -> Result<bool, String> {
        let answer = self.send(Method::DELETE, &path_of(queue, message), None).await?;
        held(answer).await.map(|answer| answer.is_some())
    }

    /// Makes a message visible after `after`. Answers its new receipt; nothing if it is no longer ours.
    pub async fn update(&self, queue: &str, message: &QueueMessage, after: Duration) -> Result<Option<String>, String> {
        let path = format!("{}&visibilitytimeout={}", path_of(queue, message), after.as_secs());
        let Some(answer) = held(self.send(Method::PUT, &path, None).await?).await? else { return Ok(None) };
        let receipt = answer.headers().get("x-ms-popreceipt").and_then(|receipt| receipt.to_str().ok());
        Ok(receipt.map(str::to_owned))
    }
}

async fn ok(answer: Response) -> Result<String, String> {
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.without_url().to_string())?;
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}

/// The answer, or nothing where the message is gone or another's.
async fn held(answer: Response) -> Result<Option<Response>, String> {
    match answer.status() {
        status if status.is_success() => Ok(Some(answer)),
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
            let text = answer.text().await.unwrap_or_default();
            if text.contains("PopReceiptMismatch") { Ok(None) } else { Err(text) }
        }
        status => Err(format!("{status}")),
    }
}

fn path_of(queue: &str, message: &QueueMessage) -> String {
    let receipt = utf8_percent_encode(&message.pop_receipt, NON_ALPHANUMERIC);
    format!("{queue}/messages/{}?popreceipt={receipt}", message.id)
}

fn received(xml: &str) -> Result<Received, String> {
    let text = |name: &str| elements(xml, name).first().map(|text| unescaped(text)).ok_or(format!("no {name}: {xml}"));
    let time = |name: &str| -> Result<Timestamp, String> {
        let text = text(name)?;
        // What never expires does so at the end of .NET's calendar, which is a day longer than ours.
        if text.contains(" 9999 ") {
            return Ok(Timestamp::MAX);
        }
        jiff::fmt::rfc2822::parse(&text).map(|at| at.timestamp()).map_err(|error| format!("{text}: {error}"))
    };
    let message = QueueMessage {
        id: text("MessageId")?,
        pop_receipt: text("PopReceipt")?,
        dequeue_count: text("DequeueCount")?.parse().map_err(|error| format!("DequeueCount: {error}"))?,
        inserted: time("InsertionTime")?,
        expires: time("ExpirationTime")?,
        next_visible: time("TimeNextVisible")?,
    };
    Ok(Received { message, raw: text("MessageText").unwrap_or_default() })
}

/// What stands between each `<name>` and `</name>`.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close).map(|(inner, _)| inner)).collect()
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#xD;", "\r").replace("&amp;", "&")
}

/// A signature for the account's queues that outlives any test.
fn sas(account: &str, key: &str) -> Result<String, String> {
    let (permissions, expiry) = ("rwdlacup", "2099-01-01T00:00:00Z");
    let to_sign = format!("{account}\n{permissions}\nq\nsco\n\n{expiry}\n\nhttps,http\n{VERSION}\n\n");
    let key = STANDARD.decode(key).map_err(|error| format!("the account key: {error}"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(to_sign.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    Ok(format!(
        "sv={VERSION}&ss=q&srt=sco&sp={permissions}&se={}&spr=https,http&sig={signature}",
        "2099-01-01T00%3A00%3A00Z"
    ))
}
