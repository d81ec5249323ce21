//! A gate on the road to the simulated cloud: it lets requests through, stops them, answers in the cloud's place, or
//! loses the cloud's answer, and keeps a list of what came by.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A request as it came by.
#[derive(Debug, Clone)]
pub struct Passed {
    pub method: String,
    /// `path?query`; for a key vault with `https://{host}` in front, as a prepared write shows it.
    pub url: String,
    pub body: Value,
    /// What was answered; `None` if the answer was lost or is owed.
    pub status: Option<u16>,
    /// Whether the cloud got it.
    pub arrived: bool,
}

impl Passed {
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// Whether the cloud took it as a write.
    pub fn took(&self) -> bool {
        self.is_write() && self.arrived && self.status.is_none_or(|status| status < 300)
    }
}

/// What becomes of one request.
#[derive(Debug, Clone)]
pub enum Do {
    Pass,
    /// Answered here; the cloud gets nothing.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Neither passed on nor answered.
    StopBefore,
    /// Passed on; its answer is never given.
    StopAfter,
    /// Passed on; the connection breaks in the middle of the answer.
    Lose,
}

impl Do {
    pub fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"error": {"code": code, "message": format!("{code}, says the gate")}});
        Self::Answer(status, vec![], body.to_string())
    }

    pub fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push((name, value.to_owned()));
                Self::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

type Rule = Box<dyn FnMut(&Passed, usize) -> Do + Send>;

struct Inner {
    to: String,
    http: reqwest::Client,
    rule: Mutex<Rule>,
    passed: Mutex<Vec<Passed>>,
    stopped: Notify,
}

#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
    pub address: String,
}

impl Gate {
    /// A gate before the cloud at `to`, open.
    pub async fn before(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let http = keymend::tls::client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let inner = Arc::new(Inner {
            to: to.to_owned(),
            http,
            rule: Mutex::new(Box::new(|_, _| Do::Pass)),
            passed: Mutex::default(),
            stopped: Notify::new(),
        });
        let router = axum::Router::new().fallback(handle).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, address }
    }

    /// From now on: `rule` is given each request and how many came before it since now. The list begins anew.
    pub fn rule(&self, rule: impl FnMut(&Passed, usize) -> Do + Send + 'static) {
        *self.inner.rule.lock().unwrap() = Box::new(rule);
        self.inner.passed.lock().unwrap().clear();
    }

    /// Lets everything through; the list begins anew.
    pub fn open(&self) {
        self.rule(|_, _| Do::Pass);
    }

    pub fn passed(&self) -> Vec<Passed> {
        self.inner.passed.lock().unwrap().clone()
    }

    pub fn writes(&self) -> Vec<Passed> {
        self.passed().into_iter().filter(Passed::is_write).collect()
    }

    /// Waits until a request is stopped.
    pub async fn stopped(&self) {
        self.inner.stopped.notified().await;
    }
}

async fn handle(
    State(gate): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let at_vault = if host.ends_with(".vault.azure.net") { format!("https://{host}") } else { String::new() };
    let request = Passed {
        method: method.to_string(),
        url: format!("{at_vault}{path}"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        status: None,
        arrived: false,
    };
    let index = {
        let mut passed = gate.passed.lock().unwrap();
        passed.push(request.clone());
        passed.len() - 1
    };
    let what = (gate.rule.lock().unwrap())(&request, index);
    let note = |status: Option<u16>, arrived: bool| {
        if let Some(entry) = gate.passed.lock().unwrap().get_mut(index) {
            (entry.status, entry.arrived) = (status, arrived);
        }
    };
    match what {
        Do::Answer(status, headers, body) => {
            note(Some(status), false);
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Do::StopBefore => {
            gate.stopped.notify_one();
            std::future::pending().await
        }
        Do::StopAfter => {
            let (status, ..) = forward(&gate, method, path, headers, body).await;
            note(Some(status), true);
            gate.stopped.notify_one();
            std::future::pending().await
        }
        Do::Lose => {
            let (status, ..) = forward(&gate, method, path, headers, body).await;
            note(Some(status), true);
            let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
            Response::builder().status(200).body(Body::from_stream(broken)).unwrap()
        }
        Do::Pass => {
            let (status, headers, body) = forward(&gate, method, path, headers, body).await;
            note(Some(status), true);
            let mut response = Response::builder().status(status);
            for (name, value) in headers.iter().filter(|(name, _)| *name != "transfer-encoding") {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
    }
}

async fn forward(gate: &Inner, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> (u16, HeaderMap, Bytes) {
    let request = gate.http.request(method, format!("{}{path}", gate.to)).headers(headers).body(body);
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap())
}
