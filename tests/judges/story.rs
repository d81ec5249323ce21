//! A story with a question in it, told through every kind of channel.

use futures::FutureExt;
use jiff::SignedDuration;
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::{Incident, Phase};
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Cloud, Running};
use keymend::drill::house::{Folder, Ground, House, build_at};
use keymend::drill::scenario::{self, Act};
use keymend::drill::voices::Voices;
use keymend::ids::Ids;
use keymend::patrol::PatrolSettings;
use keymend::responder::answer::{Answer, By, keep};
use serde_json::Value;
use tokio::net::TcpListener;

/// What is left when it is over.
pub struct Told {
    pub cloud: Cloud,
    pub url: String,
    pub incident: Incident,
    /// The origin of the pages.
    pub pages: String,
    _running: Running,
}

struct Stage {
    clock: Clock,
    house: House,
    held: Option<Busy>,
}

impl Stage {
    async fn pass(&mut self, minutes: i64) {
        let mut waiting = Box::pin(self.clock.idle_until(add(self.clock.now(), SignedDuration::from_mins(minutes))));
        assert!((&mut waiting).now_or_never().is_none());
        self.held = None;
        self.held = Some(waiting.await);
    }

    async fn until(&mut self, wanted: impl Fn(&Incident) -> bool) -> Incident {
        for _ in 0..120 {
            self.pass(1).await;
            let incidents = self.house.store().incidents(false, 5).await.unwrap();
            if let Some(found) = incidents.into_iter().find(&wanted) {
                return found;
            }
        }
        panic!("it never came so far: {:#?}", self.house.store().incidents(false, 5).await);
    }
}

/// A vault is deleted, a person approves, every database is back.
pub async fn told_to_everybody() -> Told {
    let setup = (scenario::named("vault-deleted").unwrap().setup)(Preset::Guarded);
    let mut policy = Policy { preset: Preset::Guarded, ..setup.policy.clone() };
    policy.scope.subscriptions = vec![setup.world.subscription.clone()];
    let folder = Folder::new(None, "judges", Preset::Guarded).unwrap();
    let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
    let held = Some(clock.busy());
    let cloud = Cloud::new(setup.world.clone(), clock.clone());
    let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let url = running.url();
    let ground = Ground {
        policy: &policy,
        patrol: PatrolSettings::off(),
        cloud: &url,
        token: TOKEN,
        folder: folder.path(),
        clock: &clock,
        ids: Ids::random(),
        voices: Voices::All,
        secure_webhook: None,
    };
    let house = build_at(ground).await.unwrap();
    cloud.deliver_to(house.webhook());
    let mut stage = Stage { clock: clock.clone(), house, held };
    stage.pass(2).await;
    for step in &setup.script {
        if let Act::Break(what) = &step.act {
            cloud.try_break(what).unwrap();
        }
    }
    let asks = stage.until(|it| it.phase == Phase::AwaitingApproval).await;
    let by = By { name: "ada".to_owned(), way: "on the incident's page" };
    let store = stage.house.store();
    keep(&*store, &clock, &asks.id, &Answer::Approve { code: None }, &by, None, None).await.unwrap();
    stage.until(|it| it.phase == Phase::Healed).await;
    // The last messages are on their way.
    stage.pass(5).await;
    let (incident, _) = store.incident(&asks.id).await.unwrap().unwrap();
    let pages = stage.house.pages().replace("/api/incidents", "");
    let story = Told { cloud, url, incident, pages, _running: running };
    stage.house.stop().await;
    story
}

impl Told {
    /// A list that a stand-in holds.
    pub fn list(&self, sink: &str, of: &str) -> Vec<Value> {
        self.cloud.sink(sink)[of].as_array().cloned().unwrap_or_default()
    }

    /// The work notes of our ticket, in the order in which they were written.
    pub fn notes(&self) -> Vec<String> {
        let all = self.list("servicenow", "incidents");
        let ours = all.into_iter().find(|one| one["correlation_id"] == self.incident.id.0.as_str()).unwrap();
        let notes = ours["work_notes"].as_array().cloned().unwrap_or_default();
        notes.iter().map(|note| note.as_str().map_or_else(|| note.to_string(), str::to_owned)).collect()
    }
}
