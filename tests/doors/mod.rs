//! What the tests of the doors share: a real router on loopback over a real store, and a client that speaks plain bytes.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keymend::clock::Clock;
use keymend::domain::policy::Scope;
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::Signal;
use keymend::responder::Wake;
use keymend::store::{SqliteStore, Store};
use keymend::web::pages::Site;
use keymend::web::{App, Callers, Doorway, Limits, router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const SECRET: &str = "correct-horse-battery-staple";
pub const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";

/// A running router.
pub struct Doors {
    pub address: SocketAddr,
    pub store: Arc<dyn Store>,
    pub file: PathBuf,
    pub wake: Wake,
    _folder: tempfile::TempDir,
}

pub struct Wanted {
    pub scope: Scope,
    pub callers: Callers,
    pub limits: Limits,
    pub store: Option<Arc<dyn Store>>,
    pub silence: Duration,
    pub clock: Clock,
}

impl Default for Wanted {
    fn default() -> Self {
        let scope = Scope { subscriptions: vec![SUBSCRIPTION.to_owned()], ..Scope::default() };
        let callers = Callers::knowing([SECRET]);
        Self {
            scope,
            callers,
            limits: Limits::default(),
            store: None,
            silence: Duration::from_secs(30),
            clock: Clock::system(),
        }
    }
}

impl Doors {
    pub async fn open(wanted: Wanted) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keymend.db");
        let store = wanted.store.unwrap_or_else(|| Arc::new(SqliteStore::open(&file).unwrap()));
        let wake = Wake::default();
        let app = App {
            store: store.clone(),
            scope: Arc::new(wanted.scope),
            callers: wanted.callers,
            clock: wanted.clock,
            wake: wake.clone(),
            limits: wanted.limits,
            faults: Arc::new([]),
            pages: Site::default(),
        };
        let doorway = Doorway::open(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap().closing_after(wanted.silence);
        let address = doorway.address().unwrap();
        tokio::spawn(axum::serve(doorway, router(app)).into_future());
        Self { address, store, file, wake, _folder: folder }
    }

    pub async fn usual() -> Self {
        Self::open(Wanted::default()).await
    }

    /// Posts a body as Azure does, with the secret.
    pub async fn tell(&self, body: impl AsRef<[u8]>) -> Answer {
        self.post(&format!("/api/alerts?code={SECRET}"), &[("Content-Type", "application/json; charset=utf-8")], body)
            .await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let length = body.as_ref().len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend_from_slice(headers);
        self.ask("POST", path, &all, body.as_ref()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    /// One request on a connection of its own, exactly as given.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&head(method, path, headers)).await.unwrap();
        // Whoever is refused early may find the connection closed while still writing; the answer counts.
        let _ = stream.write_all(body).await;
        let mut raw = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut raw)).await;
        read.expect("an answer within 30 s").unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer::read(&raw)
    }

    /// What is kept about the server that the alerts of these tests are about.
    pub async fn kept(&self) -> Vec<Signal> {
        let server = database("any").sql_server().unwrap();
        let kept = self.store.untaken_signals(&server).await.unwrap();
        kept.into_iter().map(|(_, signal)| signal).collect()
    }

    /// Whether anything is waiting to be done.
    pub async fn has_work(&self) -> bool {
        self.store.next_due().await.unwrap().is_some()
    }
}

pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Answer {
    pub fn read(raw: &[u8]) -> Self {
        let text = String::from_utf8(raw.to_vec()).unwrap();
        // `100 Continue` may come first.
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Self { status, head: head.to_lowercase(), text: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The body, which is never empty and always JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"), "{self:?}");
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an error, with its status.
    pub fn is_error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let why = self.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(why.len() > 10, "an error says why: {self:?}");
        why
    }
}

pub fn database(name: &str) -> ResourceId {
    let text = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql/databases/{name}"
    );
    ResourceId::parse(&text).unwrap()
}

/// The body of an alert about a database that loses its key, in the common schema.
pub fn alert(target: &ResourceId, event: &str) -> Value {
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertRule": "tde", "signalType": "Activity Log", "monitorCondition": "Fired",
                "monitoringService": "Activity Log - Administrative", "alertTargetIDs": [target.key()],
                "firedDateTime": "2026-11-24T02:07:30Z"
            },
            "alertContext": {
                "eventSource": "Administrative", "eventTimestamp": "2026-11-24T02:00:00Z", "eventDataId": event,
                "operationName": "Microsoft.Sql/servers/databases/write", "status": "Started",
                "properties": { "entity": target.as_str(), "eventName": "MakeDatabaseInaccessible" }
            }
        }
    })
}
