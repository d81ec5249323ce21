//! Warnings of expiry over forty days of a cloud's time.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::Clock;
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
    clock: Clock,
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
    let origin: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let clock = Clock::stepped(origin, None);
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
    };
    Sky { clock, cloud, _running: running, responder, told, servers, _folder: folder }
}

impl Sky {
    /// Looks at everything from two processes at once, and waits a day.
    async fn day(&self) -> usize {
        let busy = self.clock.busy();
        let question = Question::new(self.servers.clone(), self.clock.now());
        let evidence = probe::observe(&self.responder.azure, &question).await;
        let other = self.responder.clone();
        let (one, two) = futures::join!(self.responder.warn_of_expiry(&evidence), other.warn_of_expiry(&evidence));
        drop(busy);
        self.clock.pause(SignedDuration::from_hours(24)).await;
        one.unwrap() + two.unwrap()
    }

    fn texts(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|event| event["data"]["headline"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_warning_comes_once_a_key_over_forty_days() {
    let sky = sky().await;
    let responder = sky.responder.clone();
    let worker = tokio::spawn(async move { responder.run().await });
    let mut new = Vec::new();
    for day in 0..40 {
        if sky.day().await > 0 {
            new.push(day);
        }
    }
    worker.abort();
    assert_eq!(new, [5, 21, 28, 32, 34], "30, 14, 7, 3 and 1 days ahead");
    let texts = sky.texts();
    assert_eq!(texts.len(), 5, "one message a warning, not one a server: {texts:#?}");
    assert!(texts.iter().all(|text| text.contains("3 servers depend on it")), "{texts:#?}");
    let events = sky.told.lock().unwrap().clone();
    for event in &events {
        assert_eq!(event["type"], "io.keymend.key.expiring.v1");
        let text = event["data"]["text"].as_str().unwrap();
        assert!(text.contains("az keyvault key rotate") && text.contains("No database is down"), "{text}");
    }
    assert!(sky.responder.store.incidents(true, 10).await.unwrap().is_empty(), "no incident stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_was_moved_is_warned_of_anew() {
    let sky = sky().await;
    sky.clock.pause(SignedDuration::from_hours(24 * 29)).await;
    assert_eq!(sky.day().await, 1);
    assert_eq!(sky.day().await, 0);
    let key = KeyRef { vault: None, key: None, version: None };
    sky.cloud.try_break(&Break { what: What::ExtendKey(key), by: None }).unwrap();
    assert_eq!(sky.day().await, 0, "a year is far away");
    sky.clock.pause(SignedDuration::from_hours(24 * 340)).await;
    assert_eq!(sky.day().await, 1);
}
