//! Plays a scenario: the simulated cloud and the real responder, in one process, over HTTP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;

use super::cloud::world::TOKEN;
use super::cloud::{Cloud, SecureWebhook};
use super::house::Ground;
use super::scenario::{Act, People, Scenario, Setup, Step};
use super::story::{Line, Story, Who};
use super::voices::Voices;
use super::{house, judge};
use crate::clock::{Busy, Clock, add};
use crate::domain::incident::{ApprovalDecision, Incident, Phase};
use crate::domain::policy::Preset;
use crate::ids::Ids;
use crate::patrol::PatrolSettings;
use crate::store::{NewJob, Store, Work};

/// When every story begins.
const BEGINNING: &str = "2026-11-24T02:00:00Z";
/// How often the story looks at what has changed.
const TICK: SignedDuration = SignedDuration::from_secs(30);
/// With more databases than this, their comings and goings are told together …
const CROWD: usize = 12;
/// … every so often.
const CROWD_TICK: SignedDuration = SignedDuration::from_mins(4);
/// How long a story goes on after it seems to have ended, to see that it stays so.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(25);

/// The stand-ins whose end is shown.
const SINKS: [&str; 5] = ["servicenow", "pagerduty", "jsm", "jira", "slack"];

/// How to play.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Virtual seconds in a real second; `None`: as fast as it goes.
    pub pace: Option<f64>,
    /// Where the store is kept; `None`: in a temporary folder that is removed.
    pub folder: Option<PathBuf>,
    /// Every alert and event is lost: the patrol finds what it finds.
    pub alerts_lost: bool,
    /// Callers bring a token of Entra, and no secret.
    pub secure_webhook: bool,
    /// Who is told.
    pub voices: Voices,
    /// Who is shown the incidents' pages.
    pub visit: Option<Visit>,
}

/// A visit of the incidents' pages. They are served until the process is interrupted (Ctrl-C), also after the story's end.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Is told the address when the story begins.
    pub begins: fn(&str),
    /// The same when it is over.
    pub ends: fn(&str),
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// The scenario's name.
    pub scenario: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// The policy.
    pub preset: Preset,
    /// It ended as declared.
    pub ok: bool,
    /// What is not as declared.
    pub faults: Vec<String>,
    /// The incident's end, in words.
    pub end: String,
    /// From the loss to the end, in minutes of the story.
    pub minutes: i64,
    /// Requests to Resource Manager, to Key Vault, and those of them that changed something.
    pub requests: Requests,
    /// Messages to the team.
    pub cards: usize,
    /// The story.
    pub story: Vec<Line>,
    /// What the stand-ins for tickets, pagers and chats hold in the end, where they were told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Value>,
    /// Everything sent and answered, as HAR 1.2.
    #[serde(skip)]
    pub har: Value,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Requests {
    /// To Resource Manager.
    pub arm: usize,
    /// To the Key Vault data plane.
    pub key_vault: usize,
    /// That changed something.
    pub changes: usize,
}

/// Plays `scenario` under `preset`. `watch` is handed each line as it happens.
///
/// # Errors
/// If the machine does not let us listen on loopback or write a file.
pub async fn play(
    scenario: &Scenario,
    preset: Preset,
    options: &Options,
    watch: &mut (dyn FnMut(&Line, &View) + Send),
) -> anyhow::Result<Played> {
    let mut setup = (scenario.setup)(preset);
    if options.alerts_lost {
        let alerts = &mut setup.world.alerts;
        (alerts.webhooks, alerts.cause_alerts, alerts.event_grid) = (false, false, false);
        setup.patrol = true;
    }
    if options.secure_webhook {
        setup.world.alerts.secure_webhook = Some(SecureWebhook::default());
    }
    let secure_webhook = setup.world.alerts.secure_webhook.clone().map(|hook| (setup.world.tenant.clone(), hook));
    let temporary = house::Folder::new(options.folder.as_deref(), scenario.name, preset)?;
    let clock = Clock::stepped(BEGINNING.parse()?, options.pace);
    let stage = clock.busy();
    let cloud = Cloud::new(setup.world.clone(), clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
    let running = cloud.serve(listener).await?;
    let ids = Ids::seeded(setup.world.seed);
    let url = running.url();
    let patrol = match (setup.patrol, options.alerts_lost) {
        (false, _) => PatrolSettings::off(),
        (true, false) => PatrolSettings::default(),
        // Once a minute, as under the shipped timer of Azure Functions: the latest that it finds anything.
        (true, true) => PatrolSettings::rounds_only(),
    };
    let (policy, folder) = (&setup.policy, temporary.path());
    let voices = options.voices;
    let site = Ground { policy, patrol, cloud: &url, token: TOKEN, folder, clock: &clock, ids, voices, secure_webhook };
    let house = house::build_at(site).await?;
    cloud.deliver_to(house.webhook());
    let mut director = Director::new(&clock, &cloud, house.store(), setup, scenario);
    director.story.add(clock.now(), Who::Keymend, format!("Keymend watches under the preset “{}”", preset.name()));
    if let Some(visit) = options.visit {
        (visit.begins)(&house.pages());
    }
    drop(stage);
    let end = director.direct(watch).await?;
    let mut played = director.conclude(preset).await?;
    if options.voices != Voices::Two {
        let held = SINKS.iter().map(|&sink| (sink.to_owned(), cloud.sink(sink)));
        played.sinks = Some(Value::Object(held.collect()));
    }
    if let Some(visit) = options.visit {
        (visit.ends)(&house.pages());
        let _ = tokio::signal::ctrl_c().await;
    }
    house.stop().await;
    drop(end);
    running.stop().await;
    Ok(played)
}

/// The state of things beside the story, for whoever draws it.
#[derive(Debug, Clone, Copy, Default)]
pub struct View {
    /// When access was lost, as far as Keymend knows.
    pub lost_at: Option<Timestamp>,
    /// The end of the self-heal window.
    pub restore_before: Option<Timestamp>,
    /// Access is back.
    pub whole: bool,
}

/// Lets things happen when they are due, plays the people, and watches.
struct Director<'a> {
    clock: &'a Clock,
    cloud: &'a Cloud,
    store: Arc<dyn Store>,
    scenario: &'a Scenario,
    setup: Setup,
    script: Vec<Step>,
    story: Story,
    began: Timestamp,
    shown: usize,
    over_since: Option<Timestamp>,
    looked_at: Timestamp,
    /// Whether there are too many databases to tell of each.
    crowd: bool,
}

impl<'a> Director<'a> {
    fn new(clock: &'a Clock, cloud: &'a Cloud, store: Arc<dyn Store>, setup: Setup, scenario: &'a Scenario) -> Self {
        let mut script = setup.script.clone();
        script.sort_by_key(|step| step.after);
        Self {
            clock,
            cloud,
            store,
            scenario,
            setup,
            script,
            story: Story::default(),
            began: clock.now(),
            shown: 0,
            over_since: None,
            looked_at: clock.now(),
            crowd: false,
        }
    }

    /// Directs the story to its end. Comes back holding the clock, so that nothing happens after the end.
    async fn direct(&mut self, watch: &mut (dyn FnMut(&Line, &View) + Send)) -> anyhow::Result<Busy> {
        let mut held = self.clock.busy();
        loop {
            let now = self.clock.now();
            let mut incidents = self.incidents().await?;
            incidents.retain(|incident| !judge::is_warning(incident));
            self.act_script(now, &incidents);
            self.act_people(now, &incidents).await?;
            self.watch_world(now, &incidents);
            self.show(&incidents, watch);
            if self.is_over(now, &incidents) {
                return Ok(held);
            }
            drop(held);
            held = self.clock.idle_until(self.next_look(now)).await;
            // What happens at the same moment goes first.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn next_look(&self, now: Timestamp) -> Timestamp {
        let due = self.script.iter().filter(|step| !matches!(step.act, Act::AfterRepair(_)));
        due.map(|step| add(self.began, step.after)).filter(|at| *at > now).fold(add(now, TICK), Timestamp::min)
    }

    async fn incidents(&self) -> anyhow::Result<Vec<Incident>> {
        Ok(self.store.incidents(false, 100).await?)
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
            self.story.add(now, Who::People, step.say.clone());
            match &step.act {
                Act::Break(what) | Act::AfterRepair(what) => self.cloud.break_it(what),
                Act::Fault(fault) => self.cloud.fault(fault.clone()),
            }
            self.over_since = None;
        }
    }

    /// The person on call answers as `keymend incidents approve` would.
    async fn act_people(&mut self, now: Timestamp, incidents: &[Incident]) -> anyhow::Result<()> {
        let People::Approve(after) = self.setup.people else { return Ok(()) };
        for incident in incidents {
            let Some(asked) = &incident.approval else { continue };
            let over = incident.ended_at.is_some() && !incident.is_restoring();
            if over || asked.decision.is_some() || now < add(asked.asked_at, after) {
                continue;
            }
            let Some((mut incident, version)) = self.store.incident(&incident.id).await? else { continue };
            let by = "ada (on call)";
            let Some(asked) = &mut incident.approval else { continue };
            asked.decision = Some(ApprovalDecision { approved: true, by: by.to_owned(), at: now });
            let code = asked.plan.code();
            let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now };
            if self.store.save(&incident, Some(version), &[pass], &[], now).await.is_ok() {
                self.story.add(now, Who::People, format!("Ada, on call, approves plan {code}"));
            }
        }
        Ok(())
    }

    fn watch_world(&mut self, now: Timestamp, incidents: &[Incident]) {
        for incident in incidents {
            self.story.follow_incident(incident);
        }
        if self.crowd && now < add(self.looked_at, CROWD_TICK) {
            return;
        }
        let statuses = self.cloud.statuses();
        self.crowd = statuses.len() > CROWD;
        let crowd = self.crowd;
        // A status changed at some moment since the last look; told at its end, the cause would come after the effect.
        let changed = if crowd { now } else { add(self.looked_at, SignedDuration::from_secs(1)).min(now) };
        self.looked_at = now;
        self.story.follow_databases(changed, statuses);
        let open = incidents.is_empty() || incidents.iter().any(|incident| incident.ended_at.is_none());
        let posted = self.cloud.deliveries();
        let last = posted.last().map_or(now, |last| last.at);
        self.story.follow_alerts(if crowd { now } else { last }, posted.len(), open);
    }

    fn show(&mut self, incidents: &[Incident], watch: &mut (dyn FnMut(&Line, &View) + Send)) {
        let view = incidents.first().map_or_else(View::default, |incident| View {
            lost_at: Some(incident.loss()),
            restore_before: Some(incident.restore_before()),
            whole: incident.whole_since.is_some() || incident.ended_at.is_some(),
        });
        let mut new: Vec<&Line> = self.story.lines()[self.shown..].iter().collect();
        new.sort_by_key(|line| line.at);
        for line in new {
            watch(line, &view);
        }
        self.shown = self.story.lines().len();
    }

    /// Over: the script is played and every incident has ended or is with a person, for long enough; or time is up.
    fn is_over(&mut self, now: Timestamp, incidents: &[Incident]) -> bool {
        if now >= add(self.began, self.setup.horizon) {
            return true;
        }
        let at_rest = |incident: &Incident| {
            incident.ended_at.is_some() && !incident.is_restoring() || incident.phase == Phase::Escalated
        };
        if !self.script.is_empty() || incidents.is_empty() || !incidents.iter().all(at_rest) {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        now >= add(since, AFTERMATH)
    }

    async fn conclude(mut self, preset: Preset) -> anyhow::Result<Played> {
        let mut incidents = self.incidents().await?;
        let now = self.clock.now();
        self.watch_world(now, &incidents);
        let faults = judge::faults(&self.setup.expect, &incidents, self.cloud);
        let cards = incidents.iter().map(|incident| incident.notices.len()).sum();
        incidents.retain(|incident| !judge::is_warning(incident));
        let tally = self.cloud.tally();
        let requests = Requests { arm: tally.arm, key_vault: tally.key_vault, changes: tally.changes };
        let incident = incidents.first();
        let end = incident.map_or_else(|| "no incident was needed".to_owned(), end_in_words);
        let ended = incident.and_then(|incident| incident.ended_at).unwrap_or(now);
        let lost = incident.map_or(self.began, |incident| incident.loss().min(ended));
        let mut story = self.story.lines().to_vec();
        story.sort_by_key(|line| line.at);
        Ok(Played {
            scenario: self.scenario.name,
            title: self.scenario.title,
            preset,
            ok: faults.is_empty(),
            faults,
            end,
            minutes: ended.duration_since(lost).as_mins(),
            requests,
            cards,
            story,
            sinks: None,
            har: self.cloud.har(),
        })
    }
}

fn end_in_words(incident: &Incident) -> String {
    match (&incident.end, &incident.needs_person) {
        (Some(end), _) => end.clone(),
        (None, Some((_, why))) => format!("With a person: {why}"),
        (None, None) => format!("Still {:?}", incident.phase),
    }
}
