//! Warnings of expiry over forty days of a cloud's time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::Clock;
use keymend::domain::evidence::Evidence;
use keymend::domain::policy::{Policy, Scope};
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::{Break, Cloud, KeyRef, Running, TOKEN, What, World};
use keymend::ids::Ids;
use keymend::notify::Channel;
use keymend::notify::reach::Reach;
use keymend::notify::webhook::{Webhook, WebhookOptions};
use keymend::probe::{self, Question};
use keymend::responder::{Responder, Wake};
use keymend::store::{SqliteStore, Store};
use serde_json::Value;

use crate::stage::SUB;

const SECRET: &str = "whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=";

struct Sky {
    origin: Timestamp,
    cloud: Cloud,
    _running: Running,
    responder: Responder,
    told: Arc<Mutex<Vec<Value>>>,
    servers: Vec<ResourceId>,
    _folder: tempfile::TempDir,
}

async fn team() -> (String, Arc<Mutex<Vec<Value>>>) {
    let told: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let take = |State(told): State<Arc<Mutex<Vec<Value>>>>, body: String| async move {
        told.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    };
    let router = Router::new().route("/", post(take)).with_state(told.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    (format!("http://{address}/"), told)
}

/// Three servers on one key that expires in 35 days.
async fn sky() -> Sky {
    let clock = Clock::system();
    // A moment later than the cloud says, which counts whole seconds.
    let origin = clock.now() + SignedDuration::from_secs(2);
    let mut world = World::shared_vault(3, 2);
    for version in world.vaults.iter_mut().flat_map(|vault| &mut vault.keys).flat_map(|key| &mut key.versions) {
        version.expires_in_days = Some(35.0);
    }
    let servers =
        world.servers.iter().map(|server| ResourceId::parse(&world.server_id(&server.name)).unwrap()).collect();
    let cloud = Cloud::new(world, clock.clone());
    let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("keymend.db")).unwrap());
    let (url, told) = team().await;
    let options = WebhookOptions { reach: Reach { private: true, loopback: true }, ..WebhookOptions::default() };
    let secret = keymend::notify::secret::Secret::new(SECRET.to_owned());
    let channel = Webhook::new("webhook", keymend::notify::secret::Secret::new(url), &[secret], options, clock.clone());
    let endpoints = Endpoints::simulated(&running.url()).unwrap();
    let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
    let ids = Ids::seeded(1);
    let scope = Scope { subscriptions: vec![SUB.rsplit('/').next().unwrap().to_owned()], ..Scope::default() };
    let responder = Responder {
        store,
        azure: Azure::new(endpoints, credential, clock.clone(), ids.clone()).unwrap(),
        channels: Arc::from([Arc::new(channel.unwrap()) as Arc<dyn Channel>]),
        policy: Arc::new(Policy { scope, ..Policy::default() }),
        clock: clock.clone(),
        ids,
        wake: Wake::default(),
        heartbeat: None,
        keep_incidents: None,
    };
    Sky { origin, cloud, _running: running, responder, told, servers, _folder: folder }
}

impl Sky {
    async fn look(&self) -> Evidence {
        let azure = &self.responder.azure;
        probe::observe(azure, &Question::new(self.servers.clone(), azure.clock().now())).await
    }

    /// Keymend on a day of the story: its clock all but stands.
    fn on_day(&self, day: i64) -> Responder {
        let now = self.origin + SignedDuration::from_hours(24 * day);
        Responder { clock: Clock::scaled(now, 0.001), ..self.responder.clone() }
    }

    /// Two processes look at the same moment. Answers how many warnings were new.
    async fn warn(&self, day: i64, evidence: &Evidence) -> usize {
        let (one, other) = (self.on_day(day), self.on_day(day));
        let (first, second) = futures::join!(one.warn_of_expiry(evidence), other.warn_of_expiry(evidence));
        first.unwrap() + second.unwrap()
    }

    /// Delivers what is due on that day, until the team has heard `count` messages in all and nothing is left to be done: a
    /// worker that is stopped between a delivery and its end delivers again.
    async fn heard(&self, day: i64, count: usize) {
        let responder = self.on_day(day);
        let soon = responder.clock.now() + SignedDuration::from_hours(1);
        let worker = tokio::spawn(async move { responder.run().await });
        let began = tokio::time::Instant::now();
        while began.elapsed().as_secs() < 20 {
            let rest = self.responder.store.next_due().await.unwrap().is_none_or(|due| due > soon);
            if rest && self.told.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        worker.abort();
    }

    fn headlines(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|event| event["data"]["headline"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_warning_comes_once_a_key_over_forty_days() {
    let sky = sky().await;
    let evidence = sky.look().await;
    let mut new = Vec::new();
    for day in 0..40 {
        if sky.warn(day, &evidence).await > 0 {
            new.push(day);
            sky.heard(day, new.len()).await;
        }
    }
    assert_eq!(new, [5, 21, 28, 32, 34], "30, 14, 7, 3 and 1 days ahead");
    let lines = sky.headlines();
    assert_eq!(lines.len(), 5, "one message a warning, not one a server: {lines:#?}");
    assert!(lines.iter().all(|line| line.contains("3 servers depend on it")), "{lines:#?}");
    for event in sky.told.lock().unwrap().iter() {
        assert_eq!(event["type"], "io.keymend.key.expiring.v1");
        let text = event["data"]["text"].as_str().unwrap();
        assert!(text.contains("az keyvault key rotate") && text.contains("No database is down"), "{text}");
    }
    assert!(sky.responder.store.incidents(true, 10).await.unwrap().is_empty(), "no incident stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_was_moved_is_warned_of_anew() {
    let sky = sky().await;
    let before = sky.look().await;
    assert_eq!(sky.warn(30, &before).await, 1);
    assert_eq!(sky.warn(30, &before).await, 0);
    let key = KeyRef { vault: None, key: None, version: None };
    sky.cloud.try_break(&Break { what: What::ExtendKey(key), by: None }).unwrap();
    let after = sky.look().await;
    assert_eq!(sky.warn(34, &after).await, 0, "a year is far away");
    assert_eq!(sky.warn(345, &after).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_scope_is_not_told_of() {
    let mut sky = sky().await;
    sky.responder.policy = Arc::new(Policy::default());
    let evidence = sky.look().await;
    assert_eq!(sky.warn(30, &evidence).await, 0, "an empty scope is nobody's");
}
