//! A handler that misbehaves as its app settings say: this test binary, run again.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use crate::host_double::app_root::AppRoot;
use crate::host_double::host_json::AppSettings;
use crate::host_double::{Host, Options};

const ROLE: &str = "TOY_ROLE";

/// The arguments with which this binary is nothing but the toy.
const ARGUMENTS: [&str; 3] = ["toy::play_the_handler", "--exact", "--nocapture"];

/// An app with the toy in it; `setting` changes its `host.json`.
pub struct Toy {
    pub root: AppRoot,
    pub settings: AppSettings,
}

impl Toy {
    pub fn new(role: &str, host_json: &[(&str, Value)]) -> Self {
        Self::with(role, host_json, Vec::new())
    }

    fn with(role: &str, host_json: &[(&str, Value)], queue_functions: Vec<(String, Value)>) -> Self {
        let mut json = json!({
            "version": "2.0",
            "customHandler": {
                "description": { "defaultExecutablePath": "bin/toy", "arguments": ARGUMENTS },
                "enableProxyingHttpRequest": true,
            },
        });
        for (pointer, value) in host_json {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let http = |route: &str, level: &str, extra: Option<Value>| {
            let mut bindings = vec![
                json!({ "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": level, "route": route,
                        "methods": ["get", "post"] }),
                json!({ "type": "http", "direction": "out", "name": "res" }),
            ];
            bindings.extend(extra);
            json!({ "bindings": bindings })
        };
        let queue = json!({ "type": "queue", "direction": "out", "name": "job", "queueName": "jobs" });
        let timer = json!({ "bindings": [{ "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 * * * * *" }] });
        let mut functions = vec![
            ("echo".to_owned(), http("echo/{*rest}", "function", None)),
            ("open".to_owned(), http("{*page}", "anonymous", None)),
            ("wrapped".to_owned(), http("wrapped", "function", Some(queue))),
            ("work".to_owned(), timer),
        ];
        functions.extend(queue_functions);
        let root = AppRoot::new(&json, &functions, &std::env::current_exe().unwrap());
        Self { root, settings: AppSettings::from([(ROLE.to_owned(), role.to_owned())]) }
    }

    /// With a function `pick` on this queue, and `rest` on its poison queue.
    pub fn on_queue(role: &str, queue: &str, connection: &str, host_json: &[(&str, Value)]) -> Self {
        let trigger = |queue: &str| json!({ "bindings": [{ "type": "queueTrigger", "direction": "in", "name": "message", "queueName": queue }] });
        let functions = vec![("pick".to_owned(), trigger("%QUEUE%")), ("rest".to_owned(), trigger("%QUEUE%-poison"))];
        let mut toy = Self::with(role, host_json, functions);
        toy.settings.insert("QUEUE".to_owned(), queue.to_owned());
        toy.settings.insert("AzureWebJobsStorage".to_owned(), connection.to_owned());
        toy
    }

    pub async fn start(self) -> Running {
        self.start_with(|_| {}).await
    }

    pub async fn start_with(self, change: impl FnOnce(&mut Options)) -> Running {
        let mut options = Options::new(self.settings);
        change(&mut options);
        let host = Host::start(self.root.path(), options).await.unwrap();
        Running { host, _root: self.root }
    }
}

/// A host, and the app that it runs.
pub struct Running {
    pub host: Host,
    _root: AppRoot,
}

impl std::ops::Deref for Running {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

#[test]
fn play_the_handler() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "exits-0" => std::process::exit(0),
            "exits-200" if first_time() => std::process::exit(200),
            "crashes-at-once" => {
                eprintln!("a reason");
                std::process::exit(101);
            }
            "never-ready" => std::future::pending::<()>().await,
            _ => {}
        }
        let port = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").unwrap();
        let router = Router::new()
            .route("/", get(|| async { StatusCode::NOT_FOUND }))
            .route("/work", post(move |headers: HeaderMap, body: Bytes| work(role, headers, body)))
            .route("/wrapped", post(wrapped))
            .route("/pick", post(pick))
            .route("/rest", post(pick))
            .fallback(any(echo));
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

/// Whether no process of this app root was here before.
fn first_time() -> bool {
    let mark = std::path::Path::new(&std::env::var("FUNCTIONS_APP_ROOT_PATH").unwrap()).join("was-here");
    let first = !mark.exists();
    std::fs::write(mark, "").unwrap();
    first
}

async fn work(role: String, headers: HeaderMap, body: Bytes) -> Response {
    let seen = json!({ "length": headers.get("content-length").is_some(), "payload": serde_json::from_slice::<Value>(&body).unwrap() });
    println!("worked");
    match role.as_str() {
        "empty" => StatusCode::OK.into_response(),
        "no-content" => StatusCode::NO_CONTENT.into_response(),
        "text" => "done".into_response(),
        "fails" => (StatusCode::INTERNAL_SERVER_ERROR, "why").into_response(),
        "panics" => std::process::exit(101),
        "slow" if first_time() => std::future::pending().await,
        _ => axum::Json(json!({ "Outputs": seen })).into_response(),
    }
}

/// Does what the message says: `fail`, `slow`, or anything else, which succeeds.
async fn pick(body: Bytes) -> Response {
    let payload: Value = serde_json::from_slice(&body).unwrap();
    let text: String = serde_json::from_str(payload["Data"]["message"].as_str().unwrap()).unwrap();
    match text.as_str() {
        "fail" => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "slow" => tokio::time::sleep(Duration::from_millis(3_500)).await,
        "crash" if first_time() => std::process::exit(3),
        _ => {}
    }
    axum::Json(json!({})).into_response()
}

async fn wrapped(body: Bytes) -> Response {
    let payload: Value = serde_json::from_slice(&body).unwrap();
    let request = &payload["Data"]["req"];
    let body = json!({ "body": request["Body"], "keys": request["Identities"], "url": request["Url"] });
    axum::Json(json!({ "Outputs": { "res": { "statusCode": 207, "body": body } } })).into_response()
}

/// Tells what came.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    if head.uri.path().ends_with("/slowly") {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let headers: Vec<(String, String)> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let seen = json!({ "path": head.uri.to_string(), "method": head.method.as_str(), "headers": headers, "body": String::from_utf8_lossy(&body) });
    (StatusCode::IM_A_TEAPOT, axum::Json(seen)).into_response()
}
