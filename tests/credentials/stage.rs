//! The stage: `keymend serve` with an environment of its own, and a server beside it that is everybody it talks to.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::doors::{SECRET, SUBSCRIPTION, alert, database};

const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub path: String,
    pub query: Vec<(String, String)>,
    pub bearer: Option<String>,
    pub identity_header: Option<String>,
}

impl Asked {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// How the identity endpoint answers the nth request for a token: a status, and the token it gives.
pub type Tokens = fn(usize) -> (u16, String);

#[derive(Clone)]
pub struct Around {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    tokens: Tokens,
}

impl Around {
    /// The platform's identity endpoint at `/msi/token`; everything else is a Resource Manager that lets nobody in.
    pub async fn start(tokens: Tokens) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let around = Self { address, asked: Arc::default(), tokens };
        let router = axum::Router::new().fallback(answer).with_state(around.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        around
    }

    pub fn asked_for_tokens(&self) -> Vec<Asked> {
        self.all().into_iter().filter(|asked| asked.path == "/msi/token").collect()
    }

    pub fn asked_of_azure(&self) -> Vec<Asked> {
        self.all().into_iter().filter(|asked| asked.path != "/msi/token").collect()
    }

    fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(around): State<Around>, request: Request) -> Response {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let asked = Asked {
        path: request.uri().path().to_owned(),
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        bearer: header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
        identity_header: header("x-identity-header"),
    };
    around.asked.lock().unwrap().push(asked.clone());
    let refusal = |status: StatusCode, code: &str| {
        let body = json!({"error": {"code": code, "message": format!("{code}, says the stand-in")}});
        (status, axum::Json(body)).into_response()
    };
    if asked.path != "/msi/token" {
        return refusal(StatusCode::FORBIDDEN, "AuthorizationFailed");
    }
    let before = around.asked_for_tokens().len() - 1;
    let (status, token) = (around.tokens)(before);
    if status != 200 {
        return refusal(StatusCode::from_u16(status).unwrap(), "ServiceUnavailable");
    }
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(8);
    let resource = asked.parameter("resource").unwrap_or_default();
    axum::Json(json!({
        "access_token": token, "expires_on": expires.as_second().to_string(), "resource": resource,
        "token_type": "Bearer", "client_id": asked.parameter("client_id"),
    }))
    .into_response()
}

/// A running `keymend serve`, with nothing in its environment but what a test gave it.
pub struct Serve {
    child: Mutex<Child>,
    folder: tempfile::TempDir,
}

impl Serve {
    /// Starts it with these settings in `[azure]` and these variables, and rings its bell.
    pub async fn rung(around: &Around, settings: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[scope]\nsubscriptions = [\"{SUBSCRIPTION}\"]\n[azure]\narm_endpoint = \"{}\"\n{settings}\n\
             [server]\nlisten = \"127.0.0.1:0\"\n",
            around.address
        );
        std::fs::write(folder.path().join("keymend.toml"), text).unwrap();
        let out = std::fs::File::create(folder.path().join("out")).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_keymend"))
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("KEYMEND_WEBHOOK_SECRET", SECRET)
            .env("KEYMEND_LOG", "trace")
            .envs(variables.iter().copied())
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let serve = Self { child: Mutex::new(child), folder };
        let line = serve.until("listening", |serve| {
            let out = serve.read("out");
            out.lines().find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
        });
        let url = format!("{}/api/alerts?code={SECRET}", line.await);
        let client = keymend::tls::client().no_proxy().build().unwrap();
        let answer = client.post(url).body(alert(&database("orders"), "e-1").to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        serve
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        self.read("log")
    }

    /// Waits until there is one.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ended ({ended:?}) before {what} came\n{}", self.log());
            assert!(began.elapsed() < PATIENCE, "{what} did not come\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Puts a program made of shell into a folder.
pub fn tool(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
