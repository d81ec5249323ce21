//! A running handler, and the host's way of calling it.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

pub const INVOCATION: &str = "x-azure-functions-invocationid";
pub const ID: &str = "4e77ca5d-5c3b-4c3a-9f9a-0d6f3b2c1a00";
/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A handler in a folder of its own.
pub struct Handler {
    child: Child,
    pub port: u16,
    out: Lines,
    err: Lines,
    pub client: Client,
    readers: Vec<std::thread::JoinHandle<()>>,
}

type Lines = Arc<Mutex<String>>;

/// What it left behind.
pub struct Left {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Left {
    /// Everything that it wrote.
    pub fn log(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// App settings with which it works: a SQLite file, and a cloud that refuses every connection.
pub fn usual() -> Vec<(&'static str, String)> {
    vec![
        ("KEYMEND_STORE", "sqlite:keymend.db".to_owned()),
        ("KEYMEND_SUBSCRIPTIONS", super::doors::SUBSCRIPTION.to_owned()),
        ("KEYMEND_ARM_ENDPOINT", "http://127.0.0.1:9".to_owned()),
    ]
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The process as the host starts it, with nothing in its environment but what the host and `settings` say.
pub fn command(folder: &Path, port: u16, settings: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    command.env_clear().current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()).env("FUNCTIONS_HTTPWORKER_PORT", port.to_string());
    command.env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", ID).env("FUNCTIONS_APP_ROOT_PATH", folder);
    command.envs(settings.iter().map(|(name, value)| (*name, value.as_str())));
    command
}

fn gather(mut from: impl Read + Send + 'static) -> (Lines, std::thread::JoinHandle<()>) {
    let lines = Lines::default();
    let into = lines.clone();
    let reader = std::thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    });
    (lines, reader)
}

impl Handler {
    /// Starts one without waiting for anything.
    pub fn spawn(folder: &Path, settings: &[(&str, String)]) -> Self {
        let port = free_port();
        let mut child = command(folder, port, settings).spawn().unwrap();
        let (out, first) = gather(child.stdout.take().unwrap());
        let (err, second) = gather(child.stderr.take().unwrap());
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { child, port, out, err, client, readers: vec![first, second] }
    }

    /// Starts one and asks `GET /` as the host does, until it answers.
    pub async fn start(folder: &Path, settings: &[(&str, String)]) -> Self {
        let handler = Self::spawn(folder, settings);
        handler.ready().await;
        handler
    }

    /// Starts one with the usual settings and waits until it works.
    pub async fn working(folder: &Path) -> Self {
        let handler = Self::start(folder, &usual()).await;
        handler.until(|health| health["status"] == "ok").await;
        handler
    }

    /// Waits until it answers; how long that took.
    pub async fn ready(&self) -> Duration {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.client.get(self.url("/")).send().await.is_ok() {
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it does not answer: {}{}", self.out.lock().unwrap(), self.err.lock().unwrap());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// A call with the host's marks, for more to be put on.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.url(path))
            .header("user-agent", "Azure-Functions-Host/4.1052.200.0")
            .header("x-azure-functions-hostversion", "4.1052.200.0")
            .header(INVOCATION, ID)
            .header("content-type", "application/json; charset=utf-8")
    }

    /// Invokes a function that is no HTTP function.
    pub async fn invoke(&self, function: &str, data: Value) -> (u16, Value) {
        let body = json!({ "Data": data, "Metadata": { "sys": { "MethodName": function } } }).to_string();
        answer(self.call(Method::POST, &format!("/{function}")).body(body)).await
    }

    /// Sends an alert as the host proxies it: the sender's own headers, and the host's over them.
    pub async fn alert(&self, body: &Value) -> (u16, Value) {
        let request = self.client.post(self.url("/api/alerts?code=the-functions-key"));
        let request = request.header("host", "keymend.azurewebsites.net").header("x-forwarded-for", "203.0.113.9");
        let request = request.header(INVOCATION, ID).header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    pub async fn health(&self) -> (u16, Value) {
        answer(self.client.get(self.url("/api/health"))).await
    }

    /// Waits until the health page says so.
    pub async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        let mut health = Value::Null;
        while began.elapsed() < PATIENCE {
            health = self.health().await.1;
            if wanted(&health) {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came to that: {health}\n{}{}", self.out.lock().unwrap(), self.err.lock().unwrap());
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it with a signal.
    pub fn stop(mut self, signal: &str) -> Left {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        let text = |lines: &Lines| lines.lock().unwrap().clone();
        Left { code: status.code(), out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer, which the host must be able to take: JSON, never empty, no redirect.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let body = answer.text().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/json; charset=utf-8"), "{status} {body}");
    assert!(!(300..400).contains(&status) && status != 204, "{status}");
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{status} {body:?}: {error}"));
    assert!(!body.is_null());
    (status, body)
}
