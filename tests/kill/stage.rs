//! One cloud, one store, and one `serve` at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use keymend::clock::Clock;
use keymend::drill::cloud::{Cloud, Delivery, Running};
use keymend::drill::story::statuses;
use keymend::store::{SqliteStore, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::requests::Trap;
use crate::serve::{SECRET, Serve};
use crate::story::Story;
use crate::verdict::{Ended, sink_posts};

const BEGINNING: &str = "2026-11-24T02:00:00Z";
/// How long a story may take, in real time, on a machine that does a lot besides.
const PATIENCE: Duration = Duration::from_secs(120);
/// Stages at a time, over all tests: they wait most of the time.
static STAGES: Semaphore = Semaphore::const_new(20);

/// A story that is being played.
pub struct Stage {
    pub cloud: Cloud,
    pub story: Story,
    folder: TempDir,
    serve: Option<Serve>,
    webhook: String,
    running: Running,
    /// How long nobody listened for alerts, in all, by the cloud's clock.
    pub away: SignedDuration,
    pub kills: usize,
    began: Timestamp,
    /// Numbers of the requests that were stalled after they were carried out.
    pub carried_out: Vec<u64>,
    logs: Vec<String>,
    _permit: SemaphorePermit<'static>,
}

impl Stage {
    /// A whole world, and a responder that watches it.
    pub async fn open(story: &Story) -> Self {
        let permit = STAGES.acquire().await.unwrap();
        let cloud = Cloud::new(story.setup.world.clone(), Clock::scaled(BEGINNING.parse().unwrap(), story.speed));
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        write_settings(folder.path(), story, &running.url(), port);
        let webhook = format!("http://127.0.0.1:{port}/api/alerts?code={SECRET}");
        cloud.deliver_to(webhook.clone());
        let mut serve = Serve::start(folder.path());
        serve.ready().await;
        Self {
            began: cloud.clock().now(),
            cloud,
            story: story.clone(),
            folder,
            serve: Some(serve),
            webhook,
            running,
            away: SignedDuration::ZERO,
            kills: 0,
            carried_out: Vec::new(),
            logs: Vec::new(),
            _permit: permit,
        }
    }

    /// The story begins.
    pub fn break_it(&self) {
        for what in self.story.breaks() {
            self.cloud.try_break(&what).unwrap();
        }
    }

    /// Where the Action Group posts.
    pub fn webhook(&self) -> String {
        self.webhook.clone()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kill −9, and a new start at once.
    pub async fn kill_and_restart(&mut self) {
        let killed_at = self.kill();
        self.restart(killed_at).await;
    }

    /// Kill −9. Answers when that was.
    pub fn kill(&mut self) -> Timestamp {
        self.logs.push(self.serve.take().unwrap().kill());
        self.kills += 1;
        self.cloud.clock().now()
    }

    /// A start that is killed before it is ready, or soon after.
    pub async fn start_and_kill(&mut self, after: Duration) {
        let serve = Serve::start(self.folder.path());
        tokio::time::sleep(after).await;
        self.logs.push(serve.kill());
        self.kills += 1;
    }

    /// Starts it, after it was away since `killed_at`.
    pub async fn restart(&mut self, killed_at: Timestamp) {
        let mut serve = Serve::start(self.folder.path());
        serve.ready().await;
        self.take_over(serve, killed_at);
    }

    /// Another process is the one that works from now on.
    pub fn take_over(&mut self, serve: Serve, killed_at: Timestamp) {
        self.serve = Some(serve);
        self.was_away_since(killed_at);
    }

    /// Until now nobody listened for alerts.
    pub fn was_away_since(&mut self, then: Timestamp) {
        self.away += self.cloud.clock().now().duration_since(then);
    }

    /// Keeps the log of a process that was started beside this stage.
    pub fn add_log(&mut self, log: String) {
        self.logs.push(log);
    }

    /// Plays on until the trap springs; `None` if the story is over before.
    pub async fn until_sprung(&self, trap: Trap) -> Option<u64> {
        tokio::select! {
            number = trap.sprung() => Some(number),
            () = self.until_over() => None,
        }
    }

    /// Waits until the databases are back, the team has been told so on every channel, and every alert was delivered or
    /// given up; or until Azure has given every alert up, and nobody will ever hear of it.
    pub async fn until_over(&self) {
        self.until("the story is over", || {
            if self.nobody_will_know() {
                return true;
            }
            let world = self.cloud.world();
            let online = statuses(&world).values().all(|status| status == "Online");
            let told = ["teams", "webhook"].iter().all(|sink| {
                let resolved = |body: &serde_json::Value| body.to_string().contains("RESOLVED");
                self.cloud.inbox().iter().any(|posted| posted.sink == **sink && resolved(&posted.body))
            });
            online && told && self.alerts_settled()
        })
        .await;
    }

    /// Whether Azure has given an alert up and none was ever taken. After five failed tries Azure posts nothing to an endpoint
    /// for 15 minutes, so the other alerts do not come either: `serve` was away for too long, and nothing will happen in this
    /// story.
    fn nobody_will_know(&self) -> bool {
        let deliveries = self.cloud.deliveries();
        deliveries.iter().any(|one| one.attempt == 6) && deliveries.iter().all(|one| one.status.is_none())
    }

    /// Whether every alert that is due was taken, or given up by Azure.
    fn alerts_settled(&self) -> bool {
        let deliveries = self.cloud.deliveries();
        let given_up = |one: &Delivery| one.attempt == 6 || one.answer.starts_with("not posted");
        let settled = deliveries.iter().filter(|one| one.status == Some(202) || given_up(one));
        let settled: BTreeSet<&String> = settled.map(|one| &one.event).collect();
        if self.story.patrol {
            return deliveries.iter().all(|one| settled.contains(&one.event));
        }
        settled.len() >= self.story.alerts
    }

    /// Waits for a condition, and says what the matter is when it does not come about.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            if began.elapsed() > PATIENCE {
                panic!("{}: not within {PATIENCE:?}: {what}\n{}", self.story.name, self.account());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything that helps to see what went wrong.
    pub fn account(&self) -> String {
        let mut lines = vec![format!("databases: {:?}", statuses(&self.cloud.world()))];
        for one in self.cloud.deliveries() {
            lines.push(format!("delivery {} try {}: {:?} {}", one.event, one.attempt, one.status, one.answer));
        }
        for (sink, id, _) in sink_posts(&self.cloud.requests()) {
            lines.push(format!("{sink} was posted {id}"));
        }
        let logs = self.logs.iter().cloned().chain(self.serve.as_ref().map(Serve::log));
        lines.extend(logs.enumerate().map(|(n, log)| format!("-- log of process {}\n{log}", n + 1)));
        lines.join("\n")
    }

    /// Waits until nothing is left to do, stops `serve`, and answers what is there.
    pub async fn conclude(mut self) -> Ended {
        let store = SqliteStore::open(&self.folder.path().join("keymend.db")).unwrap();
        let began = Instant::now();
        while store.next_due().await.unwrap().is_some() {
            assert!(began.elapsed() < PATIENCE, "work is left over\n{}", self.account());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let incidents = store.incidents(false, 100).await.unwrap();
        let poison = store.poison().await.unwrap();
        drop(store);
        let signals = Ended::signals_in(&self.folder.path().join("keymend.db"));
        self.logs.push(self.serve.take().unwrap().stop());
        self.running.stop().await;
        Ended {
            incidents,
            poison,
            signals,
            deliveries: self.cloud.deliveries(),
            exchanges: self.cloud.requests(),
            carried_out: std::mem::take(&mut self.carried_out),
            logs: std::mem::take(&mut self.logs),
            away: self.away,
            kills: self.kills,
            began: self.began,
            approved: Vec::new(),
            cloud: self.cloud,
            story: self.story,
        }
    }
}

/// A port that no outgoing connection is given while `serve` is away: below the range that systems take those from.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 97).unwrap() * 100;
    loop {
        let port = 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 15_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn write_settings(folder: &Path, story: &Story, cloud: &str, port: u16) {
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
enabled = {}
[server]
listen = "127.0.0.1:{port}"
[store]
location = "sqlite:keymend.db"
[teams]
url = "{cloud}/sink/teams"
[webhook]
url = "{cloud}/sink/webhook"
allow_private = true
"#,
        story.patrol
    );
    std::fs::write(folder.join("keymend.toml"), text).unwrap();
}
