//! A responder before a cloud whose alerts do not reach it by themselves: the test decides which arrive, how often and
//! when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::Incident;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Actor, Break, Cloud, Running, What, World};
use keymend::drill::house::{self, House};
use keymend::store::Store;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// How many alerts are posted side by side.
const AT_ONCE: usize = 16;

/// A pipeline that breaks things: neither a person nor a custodian.
pub fn pipeline() -> Actor {
    Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008")
}

/// Every server loses its rights on its key.
pub fn all_rights_removed() -> Break {
    Break::new(What::RevokePermission { server: Some("*".to_owned()) }).by(pipeline())
}

/// A policy with the world's subscription in scope.
pub fn policy(preset: Preset, world: &World) -> Policy {
    let mut policy = Policy { preset, ..Policy::default() };
    policy.scope.subscriptions = vec![world.subscription.clone()];
    policy
}

/// How alerts come down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rain {
    /// All at once as soon as so many exist, and what comes later as soon as it exists.
    Burst(usize),
    /// Each copy on its own, up to ten minutes late.
    Dribble,
}

pub struct Storm {
    pub clock: Clock,
    pub cloud: Cloud,
    pub store: Arc<dyn Store>,
    /// Answers to posted alerts, by status.
    pub answers: BTreeMap<u16, usize>,
    /// Every body that was posted, once.
    pub posted: Vec<Value>,
    webhook: String,
    house: House,
    running: Running,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    held: Option<Busy>,
    heard: Arc<Mutex<Vec<Value>>>,
    collector: tokio::task::JoinHandle<()>,
    rng: StdRng,
}

impl Storm {
    pub async fn new(world: World, policy: &Policy, seed: u64) -> Self {
        let origin: Timestamp = "2026-11-24T02:00:00Z".parse().unwrap();
        let clock = Clock::stepped(origin, None);
        let held = Some(clock.busy());
        let folder = tempfile::tempdir().unwrap();
        let cloud = Cloud::new(world.seeded(seed), clock.clone());
        let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let house = house::build(policy, &running.url(), TOKEN, folder.path(), &clock).await.unwrap();
        let (collector, address, heard) = collect().await;
        cloud.deliver_to(address);
        let http = keymend::tls::client().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self {
            store: house.store(),
            webhook: house.webhook(),
            answers: BTreeMap::new(),
            posted: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            clock,
            cloud,
            house,
            running,
            folder,
            http,
            held,
            heard,
            collector,
        }
    }

    /// Lets time run on.
    pub async fn pass(&mut self, length: SignedDuration) {
        let wait = self.clock.idle_until(add(self.clock.now(), length));
        tokio::pin!(wait);
        let held = match futures::poll!(&mut wait) {
            std::task::Poll::Ready(held) => held,
            std::task::Poll::Pending => {
                self.held = None;
                wait.await
            }
        };
        self.held = Some(held);
    }

    /// The alerts that the Action Group has sent since the last call.
    pub fn fresh(&self) -> Vec<Value> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    /// Posts alerts to the responder, many side by side, and counts the answers.
    pub async fn post(&mut self, bodies: &[Value]) {
        let posts = futures::stream::iter(bodies.iter().map(|body| {
            let request = self.http.post(&self.webhook).json(body);
            async move { request.send().await.unwrap().status().as_u16() }
        }));
        let statuses: Vec<u16> = posts.buffer_unordered(AT_ONCE).collect().await;
        for status in statuses {
            *self.answers.entry(status).or_default() += 1;
        }
    }

    /// Each twice, in any order.
    pub fn doubled(&mut self, bodies: &[Value]) -> Vec<Value> {
        let mut all: Vec<Value> = bodies.iter().chain(bodies).cloned().collect();
        all.shuffle(&mut self.rng);
        all
    }

    /// Lets alerts come down until every incident has ended and no more come. Answers the share of them, `held_back` in
    /// a hundred, that did not arrive.
    pub async fn weather(&mut self, rain: Rain, held_back: u32) -> Vec<Value> {
        let horizon = add(self.clock.now(), SignedDuration::from_hours(3));
        let mut kept = Vec::new();
        let mut waiting: Vec<(Timestamp, Value)> = Vec::new();
        let mut gathering: Vec<Value> = Vec::new();
        let mut gathered = false;
        let mut last_news = self.clock.now();
        loop {
            self.pass(SignedDuration::from_secs(15)).await;
            let now = self.clock.now();
            assert!(now < horizon, "three hours on, it is not over: {:#?}", self.incidents().await);
            for body in self.fresh() {
                last_news = now;
                if self.rng.random_range(0..100) < held_back {
                    kept.push(body);
                    continue;
                }
                self.posted.push(body.clone());
                match rain {
                    Rain::Burst(_) => gathering.push(body),
                    Rain::Dribble => {
                        for _ in 0..2 {
                            let late = SignedDuration::from_secs(self.rng.random_range(0..600));
                            waiting.push((add(now, late), body.clone()));
                        }
                    }
                }
            }
            if let Rain::Burst(enough) = rain {
                gathered |= gathering.len() >= enough;
                if gathered {
                    let gathered = std::mem::take(&mut gathering);
                    let all = self.doubled(&gathered);
                    self.post(&all).await;
                }
            }
            let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at <= now);
            waiting = later;
            let mut due: Vec<Value> = due.into_iter().map(|(_, body)| body).collect();
            due.shuffle(&mut self.rng);
            self.post(&due).await;
            let quiet = waiting.is_empty() && now > add(last_news, SignedDuration::from_mins(10));
            if quiet && self.all_ended().await {
                return kept;
            }
        }
    }

    async fn all_ended(&self) -> bool {
        let incidents = self.incidents().await;
        !incidents.is_empty() && incidents.iter().all(|incident| incident.ended_at.is_some())
    }

    pub async fn incidents(&self) -> Vec<Incident> {
        self.store.incidents(false, 100).await.unwrap()
    }

    /// The one incident there is.
    pub async fn only_incident(&self) -> Incident {
        let mut incidents = self.incidents().await;
        let keys: Vec<&str> = incidents.iter().map(|incident| incident.key.0.as_str()).collect();
        assert_eq!(keys.len(), 1, "one loss is one incident, not {keys:?}");
        incidents.remove(0)
    }

    /// Every alert was taken with 202 or, if foreign, 200; no job was given up, and no accepted signal lies about.
    pub async fn assert_all_taken(&self) {
        assert!(self.answers.keys().all(|status| matches!(status, 200 | 202)), "{:?}", self.answers);
        assert_eq!(self.store.poison().await.unwrap(), [], "no job may be given up");
        let servers: BTreeSet<String> = self.posted.iter().map(|body| subject(body).0).collect();
        for server in servers {
            if let Ok(id) = keymend::domain::resource_id::ResourceId::parse(&server) {
                let left = self.store.untaken_signals(&id).await.unwrap();
                assert!(left.is_empty(), "{} accepted signals about {server} were left lying", left.len());
            }
        }
    }

    /// Every database of the cloud is online.
    pub fn assert_online(&self) {
        let world = self.cloud.world();
        let servers = world["servers"].as_array().unwrap();
        let databases = servers.iter().flat_map(|server| server["databases"].as_array().unwrap());
        let down: Vec<&Value> =
            databases.filter(|one| one["access"] != "online").map(|database| &database["id"]).collect();
        assert!(down.is_empty(), "{} databases are down, such as {:?}", down.len(), down.first());
    }

    pub async fn stop(self) {
        self.collector.abort();
        self.house.stop().await;
        self.running.stop().await;
        drop(self.folder);
    }
}

/// The server and the database that an alert names, in lower case.
pub fn subject(body: &Value) -> (String, Option<String>) {
    let target = body.pointer("/data/essentials/alertTargetIDs/0").and_then(Value::as_str).unwrap_or_default();
    match target.split_once("/databases/") {
        Some((server, database)) => (server.to_owned(), Some(database.to_owned())),
        None => (target.to_owned(), None),
    }
}

/// A receiver that keeps what it is sent.
async fn collect() -> (tokio::task::JoinHandle<()>, String, Arc<Mutex<Vec<Value>>>) {
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = |State(heard): State<Arc<Mutex<Vec<Value>>>>, Json(body): Json<Value>| async move {
        heard.lock().unwrap().push(body);
    };
    let router = axum::Router::new().fallback(keep).with_state(heard.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (serving, address, heard)
}
