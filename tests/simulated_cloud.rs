//! The simulated cloud over real HTTP: its time line, its refusals, and that its answers hold against the published
//! OpenAPI.
#![cfg(feature = "drill")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock, add};
use keymend::drill::cloud::world::{PermissionModel, TOKEN};
use keymend::drill::cloud::{Actor, Break, Cloud, Fault, FaultKind, KeyRef, Moment, Running, Verdict, What, World};
use serde_json::{Value, json};

const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
const SERVER: &str = "/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql";
const VAULT: &str = "/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv";

/// A cloud on a stepped clock that moves only when the test says so.
struct Sky {
    cloud: Cloud,
    running: Running,
    clock: Clock,
    http: reqwest::Client,
    busy: Option<Busy>,
}

struct Reply {
    status: u16,
    body: Value,
    headers: reqwest::header::HeaderMap,
}

impl Sky {
    async fn new(world: World) -> Self {
        let origin: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let clock = Clock::stepped(origin, None);
        let busy = Some(clock.busy());
        let cloud = Cloud::new(world, clock.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = cloud.serve(listener).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { cloud, running, clock, http, busy }
    }

    /// Lets the cloud's time run on.
    async fn pass(&mut self, minutes: i64) {
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

    async fn send(&self, method: &str, host: Option<&str>, path: &str, body: Option<Value>) -> reqwest::Result<Reply> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.running.url())).bearer_auth(TOKEN);
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

    async fn arm(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.send(method, None, &format!("{SUB}{path}"), body).await.unwrap()
    }

    async fn sql(&self, method: &str, below: &str, body: Option<Value>) -> Reply {
        self.arm(method, &format!("{SERVER}{below}?api-version=2025-01-01"), body).await
    }

    async fn vault(&self, method: &str, below: &str, body: Option<Value>) -> Reply {
        self.arm(method, &format!("{VAULT}{below}?api-version=2026-02-01"), body).await
    }

    async fn key(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let path = format!("{path}?api-version=2025-07-01");
        self.send(method, Some("contoso-kv.vault.azure.net"), &path, body).await.unwrap()
    }

    fn access(&self, database: &str) -> String {
        let world = self.cloud.world();
        let all = world["servers"][0]["databases"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == database).unwrap();
        found["access"].as_str().unwrap().to_owned()
    }

    fn does(&self, what: What) {
        self.cloud.try_break(&Break::new(what)).unwrap();
    }

    /// The TDE events in the log, whether they can be read yet or not, of one database.
    async fn events(&mut self, database: &str) -> Vec<String> {
        let now = self.clock.now();
        let from = add(now, SignedDuration::from_hours(-48));
        let filter = format!(
            "eventTimestamp ge '{from}' and eventTimestamp le '{now}' and resourceUri eq '{SUB}{SERVER}/databases/{database}'"
        );
        let filter = percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = format!(
            "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter={filter}"
        );
        let reply = self.arm("GET", &path, None).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let entries = reply.body["value"].as_array().unwrap().iter().rev();
        let entries = entries.filter_map(|entry| {
            Some(format!("{} {}", entry["properties"]["eventName"].as_str()?, entry["status"]["value"].as_str()?))
        });
        entries.collect()
    }

    async fn follow(&mut self, reply: &Reply) -> Reply {
        assert_eq!(reply.status, 202, "{}", reply.body);
        let url = reply.headers["location"].to_str().unwrap().to_owned();
        let path = url.strip_prefix(&self.running.url()).expect("the operation is followed at ARM itself").to_owned();
        for _ in 0..30 {
            let reply = self.send("GET", None, &path, None).await.unwrap();
            if reply.status != 202 {
                return reply;
            }
            self.pass(1).await;
        }
        panic!("the operation never ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_denies_then_ends_the_window_and_drops_settings() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(10).await;
    assert_eq!(sky.access("orders"), "losing");
    let inaccessible = sky.sql("GET", "/inaccessibleDatabases", None).await;
    assert_eq!(inaccessible.body["value"].as_array().unwrap().len(), 3);
    sky.pass(31).await;
    assert_eq!(sky.access("orders"), "lost");
    sky.pass(20).await;
    assert_eq!(sky.events("orders").await, ["MakeDatabaseInaccessible Started", "MakeDatabaseInaccessible Succeeded"]);
    let orders = sky.sql("GET", "/databases/orders", None).await;
    assert_eq!(orders.body["properties"]["status"], "Inaccessible");
    assert_eq!(orders.body["tags"], json!({}));
    assert_eq!(orders.body["properties"]["failoverGroupId"], Value::Null);

    // Enabling the key is no longer enough …
    sky.does(What::EnableKey(KeyRef::default()));
    sky.pass(120).await;
    assert_eq!(sky.access("orders"), "lost");
    // … only re-validation is.
    let reply = sky.sql("POST", "/encryptionProtector/current/revalidate", None).await;
    assert_eq!(sky.follow(&reply).await.status, 200);
    assert_eq!(sky.access("orders"), "online");
}
