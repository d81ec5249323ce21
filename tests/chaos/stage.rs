//! One story: the simulated cloud, the real responder, people who answer, on a clock that nobody waits for.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::{ApprovalDecision, Incident, Phase};
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Cloud, Exchange, Running};
use keymend::drill::house::{self, Folder, Ground, House};
use keymend::drill::judge;
use keymend::drill::scenario::{self, Act, People, Setup, Step, Writes};
use keymend::drill::voices::Voices;
use keymend::ids::Ids;
use keymend::patrol::PatrolSettings;
use keymend::store::{NewJob, SqliteStore, Store, Work};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::between::{Between, Wrong};
use crate::invariants::Seen;

const BEGINNING: &str = "2026-11-24T02:00:00Z";
const TICK: SignedDuration = SignedDuration::from_secs(30);
/// How long a story goes on after it seems to have ended: longer than it takes until a responder that has called a person
/// looks again.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(25);
/// How long after an alert it goes on at least: longer than an incident that is with a person waits for its next look.
const LOOKED_INTO: SignedDuration = SignedDuration::from_mins(12);
/// What faults may add to a story's length.
const LONGER: SignedDuration = SignedDuration::from_hours(3);

type Wrap = Arc<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;

/// A story, and how its responder is built.
#[derive(Clone)]
pub struct Plan {
    pub name: &'static str,
    pub setup: Setup,
    pub seed: u64,
    /// How many responders work on the one store.
    pub responders: usize,
    /// Real time that an answer of Azure or of a channel is waited for.
    pub patience: Duration,
    /// What stands between the responder and its store.
    pub wrap: Option<Wrap>,
    /// How the responder understands its policy; the setup's, if it understands it well.
    pub believes: Option<Policy>,
    /// Channels that do not work in this story.
    pub failing_channels: Vec<&'static str>,
}

impl Plan {
    pub fn of(name: &'static str, preset: Preset, seed: u64) -> Self {
        let scenario = scenario::named(name).unwrap();
        let mut setup = (scenario.setup)(preset);
        setup.world.seed = seed;
        Self {
            name,
            setup,
            seed,
            responders: 1,
            patience: Duration::from_secs(30),
            wrap: None,
            believes: None,
            failing_channels: Vec::new(),
        }
    }
}

/// What came of a story.
pub struct Played {
    pub seen: Seen,
    pub incidents: Vec<Incident>,
    /// What is not as the scenario declares; a fault may be the reason.
    pub undeclared: Vec<String>,
    pub length: SignedDuration,
}

pub struct Stage {
    pub clock: Clock,
    /// What the responders take the time from: as right as the test leaves it.
    pub responders_clock: Clock,
    pub cloud: Cloud,
    http: reqwest::Client,
    store: Arc<Between>,
    /// The incidents as of so many saves: they are not read again before there is another.
    looked: Option<(u32, Arc<Vec<Incident>>)>,
    plan: Plan,
    houses: Vec<House>,
    running: Running,
    script: Vec<Step>,
    began: Timestamp,
    deeds: Vec<(Timestamp, keymend::drill::cloud::What)>,
    approved: Vec<Timestamp>,
    over_since: Option<Timestamp>,
    held: Option<Busy>,
    _folder: Folder,
}

impl Stage {
    pub async fn open(plan: Plan) -> Self {
        let folder = Folder::new(None, plan.name, plan.setup.policy.preset).unwrap();
        let clock = Clock::stepped(BEGINNING.parse().unwrap(), None);
        let held = clock.busy();
        let cloud = Cloud::new(plan.setup.world.clone(), clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let sqlite = Arc::new(SqliteStore::open(&folder.path().join("keymend.db")).unwrap());
        let mut stage = Self {
            began: clock.now(),
            responders_clock: clock.beside(),
            http: keymend::tls::client().no_proxy().build().unwrap(),
            clock,
            cloud,
            store: Arc::new(Between::new(sqlite, Wrong::Nothing)),
            looked: None,
            script: plan.setup.script.clone(),
            plan,
            houses: Vec::new(),
            running,
            deeds: Vec::new(),
            approved: Vec::new(),
            over_since: None,
            held: Some(held),
            _folder: folder,
        };
        for number in 0..stage.plan.responders {
            let house = stage.build(number).await;
            stage.houses.push(house);
        }
        stage.cloud.deliver_to(stage.houses[0].webhook());
        stage
    }

    async fn build(&self, number: usize) -> House {
        let plan = &self.plan;
        let ids = Ids::seeded(plan.seed.wrapping_add(number as u64));
        let url = self.running.url();
        let endpoints = Endpoints::simulated(&url).unwrap();
        let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
        let patience = plan.patience;
        let azure = Azure::with_deadlines(
            endpoints,
            credential,
            self.responders_clock.clone(),
            ids.clone(),
            patience,
            patience,
        )
        .unwrap();
        let patrol = if plan.setup.patrol { PatrolSettings::default() } else { PatrolSettings::off() };
        let store: Arc<dyn Store> = self.store.clone();
        let store = plan.wrap.as_ref().map_or_else(|| store.clone(), |wrap| wrap(store.clone()));
        let ground = Ground {
            policy: plan.believes.as_ref().unwrap_or(&plan.setup.policy),
            patrol,
            cloud: &url,
            token: TOKEN,
            folder: self._folder.path(),
            clock: &self.responders_clock,
            ids,
            voices: Voices::TwoWithin(patience),
            secure_webhook: None,
        };
        house::build_of(ground, store, azure).await.unwrap()
    }

    /// The responder is stopped wherever it is, and another one takes over its store.
    pub async fn replace(&mut self) {
        let next = self.build(0).await;
        std::mem::replace(&mut self.houses[0], next).stop().await;
        self.cloud.deliver_to(self.houses[0].webhook());
    }

    /// The responders' clock is wrong by so much from now on. They notice as they look for work.
    pub fn put_clock(&self, wrong: SignedDuration) {
        self.responders_clock.be_wrong_by(wrong);
        self.houses.iter().for_each(House::look);
    }

    /// When the story began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// Where the cloud answers.
    pub fn address(&self) -> String {
        self.running.url()
    }

    /// From now on alerts come to that responder.
    pub fn deliver_to(&self, number: usize) {
        self.cloud.deliver_to(self.houses[number].webhook());
    }

    /// Posts an alert, as anybody might who knows the secret.
    pub async fn post(&self, body: &Value) {
        let post = self.http.post(self.houses[0].webhook()).header("content-type", "application/json");
        let _ = post.body(body.to_string()).send().await;
    }

    /// Sends a request to Resource Manager once more.
    pub async fn repeat(&self, write: &Exchange) {
        let path = write.url.trim_start_matches("https://management.azure.com");
        let method = reqwest::Method::from_bytes(write.method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.running.url())).bearer_auth(TOKEN);
        let body = write.request_body.clone().map(|body| body.to_string()).unwrap_or_default();
        let _ = request.header("content-type", "application/json").body(body).send().await;
    }

    /// Plays to the end. `meddle` is called at every look, when the clock stands still.
    pub async fn play(mut self, mut meddle: impl AsyncFnMut(&mut Self, Timestamp)) -> Played {
        loop {
            let now = self.clock.now();
            let incidents = self.incidents().await;
            self.act_script(now, &incidents);
            self.act_people(now, &incidents).await;
            meddle(&mut self, now).await;
            if self.is_over(now, &incidents) {
                return self.conclude().await;
            }
            self.step(self.next_look(now)).await;
        }
    }

    /// Lets time pass until then.
    async fn step(&mut self, until: Timestamp) {
        let waiting = self.clock.idle_until(until);
        tokio::pin!(waiting);
        let ready = futures::poll!(&mut waiting);
        self.held = None;
        self.held = Some(match ready {
            std::task::Poll::Ready(held) => held,
            std::task::Poll::Pending => waiting.await,
        });
    }

    fn next_look(&self, now: Timestamp) -> Timestamp {
        let due = self.script.iter().filter(|step| !matches!(step.act, Act::AfterRepair(_)));
        due.map(|step| add(self.began, step.after)).filter(|at| *at > now).fold(add(now, TICK), Timestamp::min)
    }

    async fn incidents(&mut self) -> Arc<Vec<Incident>> {
        let saves = self.store.count("save");
        match &self.looked {
            Some((then, incidents)) if *then == saves => incidents.clone(),
            _ => {
                let incidents = Arc::new(self.store.incidents(false, 100).await.unwrap());
                self.looked = Some((saves, incidents.clone()));
                incidents
            }
        }
    }

    fn act_script(&mut self, now: Timestamp, incidents: &[Incident]) {
        let repaired = incidents.iter().filter_map(Incident::last_made_at).min();
        let (due, later): (Vec<Step>, Vec<Step>) =
            std::mem::take(&mut self.script).into_iter().partition(|step| match step.act {
                Act::AfterRepair(_) => repaired.is_some_and(|at| now >= add(at, step.after)),
                _ => now >= add(self.began, step.after),
            });
        self.script = later;
        for step in due {
            match &step.act {
                Act::Break(what) | Act::AfterRepair(what) => {
                    self.cloud.try_break(what).unwrap();
                    self.deeds.push((now, what.what.clone()));
                }
                Act::Fault(fault) => self.cloud.fault(fault.clone()),
            }
            self.over_since = None;
        }
    }

    async fn act_people(&mut self, now: Timestamp, incidents: &[Incident]) {
        let People::Approve(after) = self.plan.setup.people else { return };
        for incident in incidents {
            let Some(asked) = &incident.approval else { continue };
            let over = incident.ended_at.is_some() && !incident.is_restoring();
            if over || asked.decision.is_some() || now < add(asked.asked_at, after) {
                continue;
            }
            let Some((mut incident, version)) = self.store.incident(&incident.id).await.unwrap() else { continue };
            let Some(asked) = &mut incident.approval else { continue };
            asked.decision = Some(ApprovalDecision { approved: true, by: "ada".to_owned(), at: now });
            let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now };
            if self.store.save(&incident, Some(version), &[pass], &[], now).await.is_ok() {
                self.approved.push(now);
            }
        }
    }

    fn is_over(&mut self, now: Timestamp, incidents: &[Incident]) -> bool {
        if now >= add(add(self.began, self.plan.setup.horizon), LONGER) {
            return true;
        }
        let at_rest = |one: &Incident| one.ended_at.is_some() && !one.is_restoring() || one.phase == Phase::Escalated;
        let opened = incidents.iter().any(|one| !judge::is_warning(one));
        let quiet = opened || now >= add(self.began, self.plan.setup.horizon);
        // What is down and is nobody's incident will be one, when its alert has come and was worked on.
        let all_known = incidents.iter().any(|one| one.ended_at.is_none())
            || self.cloud.statuses().values().all(|status| status != "Inaccessible");
        if !self.script.is_empty() || !quiet || !all_known || !incidents.iter().all(at_rest) {
            self.over_since = None;
            return false;
        }
        now >= add(*self.over_since.get_or_insert(now), AFTERMATH) && self.last_alert_was_long_enough_ago(now)
    }

    /// Whether nothing was told so lately that a responder who does its work may still be about to look into it.
    fn last_alert_was_long_enough_ago(&self, now: Timestamp) -> bool {
        self.cloud.deliveries().iter().map(|told| told.at).max().is_none_or(|at| now >= add(at, LOOKED_INTO))
    }

    async fn conclude(mut self) -> Played {
        let incidents = self.incidents().await.to_vec();
        let setup = &self.plan.setup;
        let undeclared = judge::faults(&setup.expect, &incidents, &self.cloud);
        let length = self.clock.now().duration_since(self.began);
        // What it was still about to do is part of no story.
        for house in self.houses {
            house.stop().await;
        }
        drop(self.held);
        self.running.stop().await;
        self.cloud.fault_when(|_| None);
        let seen = Seen {
            policy: setup.policy.clone(),
            deeds: self.deeds,
            approved: self.approved,
            failing_channels: self.plan.failing_channels.clone(),
            no_writes: setup.expect.writes == Writes::None,
            cloud: self.cloud,
        };
        Played { seen, incidents, undeclared, length }
    }
}
