//! Work that was given up is told to a person, once, with SQLite as with any store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod doors;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use doors::{SECRET, SUBSCRIPTION, database};
use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::Clock;
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::policy::{Policy, Scope};
use keymend::ids::Ids;
use keymend::notify::Channel;
use keymend::notify::reach::Reach;
use keymend::notify::webhook::{Webhook, WebhookOptions};
use keymend::responder::{Responder, Wake};
use keymend::store::{NewJob, POISON_AFTER, SqliteStore, Store, Work};
use serde_json::Value;

const EVENTS_SECRET: &str = "whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=";
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver of CloudEvents, and what it was sent.
#[derive(Clone, Default)]
struct Team {
    told: Arc<Mutex<Vec<Value>>>,
}

impl Team {
    async fn listening(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let take = |State(team): State<Self>, body: String| async move {
            team.told.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        };
        let router = Router::new().route("/", post(take)).with_state(self.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    }

    /// The messages that say that work was set aside.
    fn heard(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(ToString::to_string).filter(|text| text.contains("set aside")).collect()
    }

    async fn hears(&self, times: usize) {
        let began = Instant::now();
        while self.heard().len() < times && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.heard().len(), times, "{:#?}", self.told.lock().unwrap());
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

/// Everything that does jobs, with channels of these names to the team, and a cloud that refuses every connection.
fn responder(store: Arc<dyn Store>, team: SocketAddr, channels: &[&str]) -> Responder {
    let (clock, ids) = (Clock::system(), Ids::random());
    let endpoints = Endpoints::simulated("http://127.0.0.1:9").unwrap();
    let credential = Credential::static_token(Secret::new("token"), &endpoints).unwrap();
    let reach = Reach { private: true, loopback: true };
    let channel = |name: &&str| {
        let options = WebhookOptions { reach, ..WebhookOptions::default() };
        let url = keymend::notify::secret::Secret::new(format!("http://{team}/"));
        let secrets = [keymend::notify::secret::Secret::new(EVENTS_SECRET.to_owned())];
        Arc::new(Webhook::new(*name, url, &secrets, options, clock.clone()).unwrap()) as Arc<dyn Channel>
    };
    let scope = Scope { subscriptions: vec![SUBSCRIPTION.to_owned()], ..Scope::default() };
    Responder {
        store,
        azure: Azure::new(endpoints, credential, clock.clone(), ids.clone()).unwrap(),
        channels: channels.iter().map(channel).collect(),
        policy: Arc::new(Policy { scope, ..Policy::default() }),
        clock,
        ids,
        wake: Wake::default(),
        heartbeat: None,
        keep_incidents: None,
    }
}

async fn incident(store: &dyn Store, id: &str) -> IncidentId {
    let key = IncidentKey::server(&database("orders").sql_server().unwrap());
    let mut incident = Incident::open(IncidentId(id.to_owned()), key, 30, now());
    incident.add_member(&database("orders").sql_server().unwrap(), None);
    store.save(&incident, None, &[], &[], now()).await.unwrap();
    incident.id
}

async fn aside(store: &dyn Store, work: Work) -> String {
    let key = work.key();
    // Not due for long, so that nobody does it.
    let due = now() + SignedDuration::from_hours(1);
    store.enqueue(&NewJob { work, due }, now()).await.unwrap();
    assert!(store.set_aside(&key, "the disk is on fire", now()).await.unwrap());
    key
}

/// Does the jobs that are due.
async fn work(responder: &Responder) {
    while let Some(due) = responder.store.next_due().await.unwrap().filter(|due| *due <= now()) {
        let _ = due;
        let _ = tokio::time::timeout(Duration::from_millis(300), responder.run()).await;
    }
}

struct Kit {
    store: Arc<SqliteStore>,
    team: Team,
    responder: Responder,
    _folder: tempfile::TempDir,
}

async fn kit(channels: &[&str]) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("keymend.db")).unwrap());
    let team = Team::default();
    let responder = responder(store.clone(), team.listening().await, channels);
    Kit { store, team, responder, _folder: folder }
}

#[tokio::test]
async fn a_job_set_aside_is_told_once_and_again_after_it_was_retried() {
    let Kit { store, team, responder, _folder } = kit(&["webhook"]).await;
    let id = incident(&*store, "km-20261124-0207-aaaa").await;
    let key = aside(&*store, Work::Pass { incident: id.clone() }).await;
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 1);
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 0, "it was told");
    work(&responder).await;
    team.hears(1).await;
    let heard = team.heard().remove(0);
    assert!(heard.contains("the disk is on fire") && heard.contains(&id.0), "{heard}");
    let (told, _) = store.incident(&id).await.unwrap().unwrap();
    assert!(told.needs_person.is_some_and(|(_, why)| why.contains("the disk is on fire")));

    // A person lets it be tried again, and it fails again.
    assert!(store.poison_retry(&key, now()).await.unwrap());
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 0);
    assert!(store.set_aside(&key, "still on fire", now()).await.unwrap());
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 1);
    work(&responder).await;
    team.hears(2).await;
}

#[tokio::test]
async fn several_who_look_at_once_tell_once() {
    let Kit { store, team, responder, _folder } = kit(&["webhook"]).await;
    let id = incident(&*store, "km-20261124-0207-aaaa").await;
    aside(&*store, Work::Pass { incident: id }).await;
    let looks = (0..8).map(|_| {
        let responder = responder.clone();
        tokio::spawn(async move { responder.tell_of_set_aside().await })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.unwrap().unwrap();
    }
    work(&responder).await;
    team.hears(1).await;
}

#[tokio::test]
async fn a_report_that_could_not_be_looked_into_opens_an_incident_of_its_server() {
    let Kit { store, team, responder, _folder } = kit(&["webhook"]).await;
    let target = database("orders").sql_server().unwrap();
    aside(&*store, Work::Locate { target: target.clone() }).await;
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 1);
    work(&responder).await;
    team.hears(1).await;
    let open = store.open_incident(&IncidentKey::server(&target)).await.unwrap().unwrap().0;
    assert!(open.members.contains_key(target.key()));
}

#[tokio::test]
async fn a_channel_that_fails_is_told_of_through_the_others_and_never_of_itself() {
    let Kit { store, team, responder, _folder } = kit(&["one", "two"]).await;
    let id = incident(&*store, "km-20261124-0207-aaaa").await;
    let tell = |notice: &str, channel: &str| Work::Tell {
        incident: id.clone(),
        notice: notice.to_owned(),
        channel: channel.to_owned(),
    };
    aside(&*store, tell("km-20261124-0207-aaaa.1:00ff", "one")).await;
    assert_eq!(responder.tell_of_set_aside().await.unwrap(), 1);
    let (told, _) = store.incident(&id).await.unwrap().unwrap();
    let notice = told.notices.last().unwrap().kept.clone();
    // The message about it fails on the other channel, too: that is recorded, and rings nowhere.
    aside(&*store, tell(&notice, "two")).await;
    responder.tell_of_set_aside().await.unwrap();
    let (told, _) = store.incident(&id).await.unwrap().unwrap();
    assert_eq!(told.notices.len(), 1, "no message about a message about a message");
    assert!(told.timeline.iter().any(|entry| entry.text.contains("channel two")));
    work(&responder).await;
    assert!(team.heard().is_empty(), "one was left out, and two had failed: {:?}", team.heard());
}

#[tokio::test]
async fn a_call_that_the_queue_gave_up_gets_a_second_chance_and_then_a_person() {
    let Kit { store, team, responder, _folder } = kit(&["webhook"]).await;
    let id = incident(&*store, "km-20261124-0207-aaaa").await;
    let work_for = Work::Pass { incident: id };
    let key = work_for.key();
    let due = now() + SignedDuration::from_hours(1);
    store.enqueue(&NewJob { work: work_for, due }, now()).await.unwrap();
    responder.given_up(&key).await.unwrap();
    assert!(store.poison().await.unwrap().is_empty(), "a handler that could not open its doors wears calls out");
    responder.given_up(&key).await.unwrap();
    assert_eq!(store.poison().await.unwrap().len(), 1);
    responder.given_up(&key).await.unwrap();
    responder.given_up("pass:km-none").await.unwrap();
    work(&responder).await;
    team.hears(1).await;
}

#[tokio::test]
async fn a_message_that_nobody_can_read_is_told_once_and_cleaned() {
    let Kit { store, team, responder, _folder } = kit(&["webhook"]).await;
    let text = format!("\u{1b}[2J\u{202e}evil\r\n<b>{}", "x".repeat(5000));
    for _ in 0..3 {
        responder.unreadable_message(&text, "it is no call for a job").await.unwrap();
    }
    responder.unreadable_message("another one", "it is no call for a job").await.unwrap();
    work(&responder).await;
    let began = Instant::now();
    while team.told.lock().unwrap().len() < 2 && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told: Vec<String> = team.told.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].contains("evil") && told[0].len() < 8000, "{}", told[0]);
    assert!(!told[0].contains("\\u001b") && !told[0].contains('\u{202e}'), "{}", told[0]);
    assert_eq!(store.incidents(true, 10).await.unwrap().len(), 1, "one incident for all of them");
}

/// `keymend serve` on a store that a process before it left.
struct Serve(Child);

impl Serve {
    fn start(folder: &Path, team: SocketAddr) -> Self {
        let settings = format!(
            "[scope]\nsubscriptions = [\"{SUBSCRIPTION}\"]\n[azure]\narm_endpoint = \"http://127.0.0.1:9\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\n[webhook]\nurl = \"http://{team}/\"\nallow_private = true\n"
        );
        std::fs::write(folder.join("keymend.toml"), settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
        command.env_clear().arg("serve").current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("KEYMEND_WEBHOOK_SECRET", SECRET).env("KEYMEND_EVENTS_SECRET", EVENTS_SECRET);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A job that ends its process each time it is begun is set aside by whoever looks next, and nobody was told of it before.
#[tokio::test]
async fn ten_crashes_at_a_job_are_told_by_serve() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::default();
    let address = team.listening().await;
    {
        let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
        let id = incident(&store, "km-20261124-0207-aaaa").await;
        let work = Work::Pass { incident: id };
        store.enqueue(&NewJob { work, due: now() }, now()).await.unwrap();
        for _ in 0..POISON_AFTER {
            assert!(store.lease(now(), SignedDuration::from_micros(1)).await.unwrap().is_some());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let serve = Serve::start(folder.path(), address);
    team.hears(1).await;
    assert!(team.heard()[0].contains("begun 10 times and not finished"), "{}", team.heard()[0]);
    drop(serve);

    // The person finds it, and lets it be tried again.
    let incidents = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
        let output =
            command.env_clear().current_dir(folder.path()).args(["incidents", "jobs"]).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, listed) = incidents(&[]);
    assert!(code == Some(0) && listed.contains("pass:km-20261124-0207-aaaa"), "{listed}");
    assert_eq!(incidents(&["--retry", "pass:km-20261124-0207-aaaa"]).0, Some(0));
    assert_eq!(incidents(&["--retry", "pass:km-20261124-0207-aaaa"]).0, Some(1), "it is no longer set aside");
    assert!(incidents(&[]).1.contains("No job"));
}
