//! A stand-in for Azure in tests: a real HTTP server on loopback that answers by a closure and keeps what it was asked.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Azure, Credential, Endpoints, Secret};
use crate::clock::Clock;
use crate::ids::Ids;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub host: String,
    pub headers: HeaderMap,
    pub body: Value,
    /// The body as it came, for what is no JSON.
    pub raw: Vec<u8>,
}

/// What is answered: status, headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Reply(pub u16, pub Vec<(&'static str, String)>, pub String);

impl Reply {
    pub(crate) fn json(body: Value) -> Self {
        Self(200, vec![], body.to_string())
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self(
            status,
            vec![],
            json!({"error": {"code": code, "message": format!("{code}, says the stand-in")}}).to_string(),
        )
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.1.push((name, value.into()));
        self
    }
}

type Answers = Arc<dyn Fn(&Asked, usize) -> Reply + Send + Sync>;

/// The running stand-in.
#[derive(Clone)]
pub(crate) struct StandIn {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl StandIn {
    /// Starts one. The closure is given each request and how many came before it.
    pub(crate) async fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state = (Arc::new(answer) as Answers, asked.clone());
        let router = axum::Router::new().fallback(handle).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `METHOD path` of everything asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// A handle to it, with a stepped clock.
    pub(crate) fn azure(&self) -> Azure {
        azure_at(&self.address)
    }
}

pub(crate) fn azure_at(address: &str) -> Azure {
    let endpoints = Endpoints::simulated(address).unwrap();
    let credential = Credential::static_token(Secret::new("drill-token"), &endpoints).unwrap();
    let clock = Clock::stepped("2026-11-24T02:07:31Z".parse::<Timestamp>().unwrap(), None);
    let second = std::time::Duration::from_secs(1);
    Azure::with_deadlines(endpoints, credential, clock, Ids::seeded(7), second, second).unwrap()
}

async fn handle(
    State((answer, asked)): State<(Answers, Arc<Mutex<Vec<Asked>>>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let request = Asked {
        method: method.to_string(),
        path: decode(uri.path()),
        query: decode(uri.query().unwrap_or_default()),
        host,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        raw: body.to_vec(),
    };
    let before = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    let Reply(status, headers, body) = answer(&request, before);
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
