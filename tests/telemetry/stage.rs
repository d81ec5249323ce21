//! One cloud, one `serve`, one story told to its end.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keymend::clock::Clock;
use keymend::domain::incident::Incident;
use keymend::drill::cloud::{Cloud, Delivery, Exchange, Plane, Running};
use keymend::drill::story::statuses;
use keymend::store::{SqliteStore, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::exposition::Samples;
use crate::serve::{SECRET, Serve, keymend};
use crate::story::Story;

const BEGINNING: &str = "2026-11-24T02:00:00Z";
/// How long a story may take, in real time, on a machine that does a lot besides.
const PATIENCE: Duration = Duration::from_secs(120);

/// A story that is being played.
pub struct Stage {
    pub cloud: Cloud,
    pub story: Story,
    pub serve: Serve,
    folder: TempDir,
    running: Running,
}

/// `keymend serve` with nothing of this machine's own telemetry settings.
pub fn serve_command(folder: &Path) -> Command {
    let mut command = keymend(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.arg("serve");
    command
}

impl Stage {
    /// A whole world, and a responder with these variables of the environment that watches it.
    pub async fn open(story: Story, env: &[(&str, &str)]) -> Self {
        let cloud = Cloud::new(story.setup.world.clone(), Clock::scaled(BEGINNING.parse().unwrap(), story.speed));
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), &story, &running.url());
        let serve = start(folder.path(), env, &cloud).await;
        Self { cloud, story, serve, folder, running }
    }

    /// Kill −9, and another process on the same store.
    pub async fn kill_and_restart(self) -> Self {
        self.serve.kill();
        let serve = start(self.folder.path(), &[], &self.cloud).await;
        Self { serve, ..self }
    }

    pub fn break_it(&self) {
        for what in self.story.breaks() {
            self.cloud.try_break(&what).unwrap();
        }
    }

    /// Waits until the databases are back, everybody was told so, every alert was taken or given up by
    /// Azure, and nothing is left to do.
    pub async fn until_over(&self) {
        self.until("the databases are back and the team knows", |stage| {
            let online = statuses(&stage.cloud.world()).values().all(|status| status == "Online");
            let told = ["teams", "webhook"].iter().all(|sink| {
                stage.cloud.inbox().iter().any(|one| one.sink == **sink && one.body.to_string().contains("RESOLVED"))
            });
            let given_up = |one: &Delivery| one.attempt == 6 || one.answer.starts_with("not posted");
            let settled = |one: &Delivery| one.status == Some(202) || given_up(one);
            let settled = stage.cloud.deliveries().into_iter().filter(settled);
            let events: BTreeSet<String> = settled.map(|one| one.event).collect();
            online && told && events.len() >= stage.story.alerts
        })
        .await;
        self.until_idle().await;
    }

    /// Waits until nothing is left to do.
    pub async fn until_idle(&self) {
        let (store, began) = (self.store(), Instant::now());
        while store.next_due().await.unwrap().is_some() {
            assert!(began.elapsed() < PATIENCE, "work is left over:\n{}", self.serve.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for a condition.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", self.serve.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("keymend.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.database()).unwrap()
    }

    /// The only incident.
    pub async fn incident(&self) -> Incident {
        let mut incidents = self.store().incidents(false, 10).await.unwrap();
        assert_eq!(incidents.len(), 1, "one loss is one incident");
        incidents.remove(0)
    }

    /// Requests that were sent to Azure, as opposed to the team's channels.
    pub fn azure_requests(&self) -> Vec<Exchange> {
        let azure = |one: &Exchange| matches!(one.plane, Plane::Arm | Plane::KeyVault);
        self.cloud.requests().into_iter().filter(azure).collect()
    }

    /// Posts a body as the Action Group does; answers the status.
    pub async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> u16 {
        let url = format!("{}/api/alerts?code={SECRET}", self.serve.address());
        let mut request = client().post(url).header("content-type", "application/json").body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    pub async fn metrics(&self) -> Samples {
        let answer = client().get(format!("{}/metrics", self.serve.address())).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        Samples::read(&answer.text().await.unwrap())
    }

    /// Asks `serve` to stop. Answers its whole log.
    pub async fn stop(self) -> String {
        let log = self.serve.stop();
        self.running.stop().await;
        log
    }
}

async fn start(folder: &Path, env: &[(&str, &str)], cloud: &Cloud) -> Serve {
    let mut command = serve_command(folder);
    command.envs(env.iter().copied());
    let mut serve = Serve::start_as(command);
    serve.ready().await;
    cloud.deliver_to(format!("{}/api/alerts?code={SECRET}", serve.address()));
    serve
}

pub fn client() -> reqwest::Client {
    keymend::tls::client().no_proxy().build().unwrap()
}

fn write_settings(folder: &Path, story: &Story, cloud: &str) {
    let (preset, window) = (story.preset.name(), story.setup.policy.window_minutes);
    let subscription = &story.setup.world.subscription;
    let text = format!(
        r#"
[scope]
subscriptions = ["{subscription}"]
[policy]
preset = "{preset}"
window_minutes = {window}
[azure]
arm_endpoint = "{cloud}"
static_token = "drill-token"
[simulated]
follow_clock = true

[patrol]
enabled = false
[server]
listen = "127.0.0.1:0"
[store]
location = "sqlite:keymend.db"
[teams]
url = "{cloud}/sink/teams?sig=planted-teams-signature"
[webhook]
url = "{cloud}/sink/webhook"
allow_private = true
"#
    );
    std::fs::write(folder.join("keymend.toml"), text).unwrap();
}
