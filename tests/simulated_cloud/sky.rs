//! A cloud to test, and a caller with the responder's token.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock, add};
use keymend::drill::cloud::{Break, Cloud, Running, TOKEN, What, World};
use serde_json::Value;

pub const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
pub const SERVER: &str = "/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql";
pub const VAULT: &str = "/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv";
pub const VAULT_HOST: &str = "contoso-kv.vault.azure.net";

/// A cloud on a stepped clock that moves only when the test says so.
pub struct Sky {
    pub cloud: Cloud,
    pub running: Running,
    pub clock: Clock,
    http: reqwest::Client,
    busy: Option<Busy>,
}

pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Reply {
    pub fn code(&self) -> &str {
        let body = &self.body;
        body.pointer("/error/code").or_else(|| body.get("code")).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn values(&self) -> &[Value] {
        self.body["value"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

impl Sky {
    pub async fn new(world: World) -> Self {
        let origin: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let clock = Clock::stepped(origin, None);
        let busy = Some(clock.busy());
        let cloud = Cloud::new(world, clock.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = cloud.serve(listener).await.unwrap();
        let http = keymend::tls::client().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { cloud, running, clock, http, busy }
    }

    /// Lets the cloud's time run on.
    pub async fn pass(&mut self, minutes: i64) {
        let until = add(self.clock.now(), SignedDuration::from_mins(minutes));
        let wait = self.clock.idle_until(until);
        tokio::pin!(wait);
        let busy = match futures::poll!(&mut wait) {
            std::task::Poll::Ready(busy) => busy,
            std::task::Poll::Pending => {
                self.busy = None;
                wait.await
            }
        };
        self.busy = Some(busy);
    }

    /// A request with any token (none if empty), to any host.
    pub async fn raw(
        &self,
        method: &str,
        host: Option<&str>,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Reply> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.running.url()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        Ok(Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.raw(method, None, path, TOKEN, body).await.unwrap()
    }

    pub async fn arm(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.send(method, &format!("{SUB}{path}"), body).await
    }

    pub async fn sql(&self, method: &str, below: &str, body: Option<Value>) -> Reply {
        self.arm(method, &format!("{SERVER}{below}?api-version=2025-01-01"), body).await
    }

    pub async fn vault(&self, method: &str, below: &str, body: Option<Value>) -> Reply {
        self.arm(method, &format!("{VAULT}{below}?api-version=2026-02-01"), body).await
    }

    pub async fn grants(&self, method: &str, scope: &str, name: &str, body: Option<Value>) -> Reply {
        let provider = "providers/Microsoft.Authorization/roleAssignments";
        self.arm(method, &format!("{scope}/{provider}{name}?api-version=2022-04-01"), body).await
    }

    pub async fn key(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Result<Reply> {
        let path = format!("{path}?api-version=2025-07-01");
        self.raw(method, Some(VAULT_HOST), &path, TOKEN, body).await
    }

    pub async fn graph(&self, query: &str) -> Reply {
        let path = "/providers/Microsoft.ResourceGraph/resources?api-version=2024-04-01";
        self.send("POST", path, Some(serde_json::json!({ "query": query }))).await
    }

    /// The Activity Log of the last two days, oldest first, by one more term of the filter.
    pub async fn log(&self, term: &str) -> Vec<Value> {
        let now = self.clock.now();
        let from = add(now, SignedDuration::from_hours(-48));
        let filter = format!("eventTimestamp ge '{from}' and eventTimestamp le '{now}'{term}");
        let filter = percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC);
        let mut path = format!(
            "{SUB}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter={filter}"
        );
        let mut all = Vec::new();
        loop {
            let reply = self.send("GET", &path, None).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            all.extend_from_slice(reply.values());
            let Some(next) = reply.body["nextLink"].as_str() else { break };
            path = next.strip_prefix(&self.running.url()).unwrap().to_owned();
        }
        all.reverse();
        all
    }

    /// The TDE events of a database that can be read by now, as `name status`.
    pub async fn events(&self, database: &str) -> Vec<String> {
        let entries = self.log(&format!(" and resourceUri eq '{SUB}{SERVER}/databases/{database}'")).await;
        let named = entries.iter().filter_map(|entry| {
            Some(format!("{} {}", entry["properties"]["eventName"].as_str()?, entry["status"]["value"].as_str()?))
        });
        named.collect()
    }

    /// Follows a long-running operation to its end.
    pub async fn follow(&mut self, reply: &Reply) -> Reply {
        assert_eq!(reply.status, 202, "{}", reply.body);
        let url = reply.headers["location"].to_str().unwrap().to_owned();
        let path = url.strip_prefix(&self.running.url()).expect("an operation is followed at ARM itself").to_owned();
        for _ in 0..30 {
            let reply = self.send("GET", &path, None).await;
            if reply.status != 202 {
                return reply;
            }
            self.pass(1).await;
        }
        panic!("the operation never ended");
    }

    pub async fn revalidate(&mut self) -> Reply {
        let reply = self.sql("POST", "/encryptionProtector/current/revalidate", None).await;
        self.follow(&reply).await
    }

    pub fn does(&self, what: What) {
        self.cloud.try_break(&Break::new(what)).unwrap();
    }

    /// Where a database of the first server stands on the time line.
    pub fn access(&self, database: &str) -> String {
        let world = self.cloud.world();
        let all = world["servers"][0]["databases"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == database).unwrap();
        found["access"].as_str().unwrap().to_owned()
    }

    /// Whether the first server can use its key, in Azure's code.
    pub fn key_access(&self) -> String {
        self.cloud.world()["servers"][0]["key_access"].as_str().unwrap().to_owned()
    }

    /// The object id of the first server's own identity.
    pub fn principal(&self) -> String {
        self.cloud.world()["servers"][0]["identity"]["system_assigned"].as_str().unwrap_or_default().to_owned()
    }

    /// Holds everything that was sent and answered against the published OpenAPI, where that is at hand.
    pub fn check(&self, test: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulated-cloud");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{test}.har"));
        std::fs::write(&file, self.cloud.har().to_string()).unwrap();
        let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/check-openapi");
        if !checker.exists() {
            eprintln!("SKIPPED: {test}: ../shared/tools/check-openapi is not here");
            return;
        }
        let Ok(out) = std::process::Command::new("python3").arg(&checker).arg(&file).output() else {
            eprintln!("SKIPPED: {test}: python3 is missing");
            return;
        };
        assert!(out.status.success(), "{test}: {}", String::from_utf8_lossy(&out.stdout));
    }
}
