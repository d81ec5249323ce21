//! Whole incidents with every channel on, by the real responder and its store.

use std::time::Duration;

use jiff::SignedDuration;
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::Phase;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Break, Cloud, Fault, FaultKind, Running, What, World};
use keymend::drill::house::{Folder, Ground, House, build_at};
use keymend::drill::voices::Voices;
use keymend::ids::Ids;
use keymend::patrol::PatrolSettings;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::kit::status;

/// How long a channel waits, in real time: a machine that is slow for a moment is no channel that hangs, and whoever gives up
/// too soon posts a message twice.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where some attempts are never answered.
const LITTLE_PATIENCE: Duration = Duration::from_millis(400);

struct Stage {
    clock: Clock,
    cloud: Cloud,
    houses: Vec<House>,
    held: Option<Busy>,
    _running: Running,
    _folder: Folder,
}

/// So many responders on one store, with every channel.
async fn stage(responders: usize, patience: Duration) -> Stage {
    let world = World::standard();
    let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
    policy.scope.subscriptions = vec![world.subscription.clone()];
    let folder = Folder::new(None, "channels", policy.preset).unwrap();
    let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
    let held = Some(clock.busy());
    let cloud = Cloud::new(world, clock.clone());
    let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let url = running.url();
    let mut houses = Vec::new();
    for _ in 0..responders {
        let premises = Ground {
            policy: &policy,
            patrol: PatrolSettings::off(),
            cloud: &url,
            token: TOKEN,
            folder: folder.path(),
            clock: &clock,
            ids: Ids::random(),
            voices: Voices::AllWithin(patience),
            secure_webhook: None,
        };
        houses.push(build_at(premises).await.unwrap());
    }
    cloud.deliver_to(houses[0].webhook());
    Stage { clock, cloud, houses, held, _running: running, _folder: folder }
}

impl Stage {
    async fn pass(&mut self, minutes: i64) {
        let waiting = self.clock.idle_until(add(self.clock.now(), SignedDuration::from_mins(minutes)));
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        self.held = None;
        self.held = Some(waiting.await);
    }

    fn break_it(&self) {
        self.cloud.try_break(&Break::new(What::RemoveIdentity { server: None })).unwrap();
    }

    fn fault(&self, sink: &str, kind: FaultKind, minutes: u32) {
        let fault =
            Fault { for_seconds: Some(60 * minutes), times: None, ..Fault::new(kind, &format!("/sink/{sink}"), 1) };
        self.cloud.fault(fault);
    }

    fn list(&self, sink: &str, of: &str) -> Vec<Value> {
        self.cloud.sink(sink)[of].as_array().cloned().unwrap_or_default()
    }

    fn tickets(&self) -> Vec<Value> {
        let ours = |one: &Value| one["correlation_id"].as_str().unwrap_or_default().starts_with("km-");
        self.list("servicenow", "incidents").into_iter().filter(ours).collect()
    }

    /// When it was healed, in minutes from the beginning.
    async fn healed_after(&self) -> i64 {
        let incidents = self.houses[0].store().incidents(false, 10).await.unwrap();
        let incident = incidents.iter().find(|one| one.vault.is_some()).expect("an incident");
        assert_eq!(incident.phase, Phase::Healed, "{incident:#?}");
        incident.ended_at.unwrap().duration_since("2026-11-24T02:00:00Z".parse().unwrap()).as_mins()
    }
}

/// The numbers of the messages in the order of a ticket's work notes.
fn numbers(ticket: &Value) -> Vec<u32> {
    let notes = ticket["work_notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned());
    notes.map(|note| note.rsplit_once("message ").unwrap().1.trim().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_responders_open_one_ticket_one_alert_and_one_issue() {
    let mut stage = stage(3, PATIENCE).await;
    stage.break_it();
    stage.pass(120).await;
    stage.healed_after().await;
    let tickets = stage.tickets();
    assert_eq!(tickets.len(), 1, "{tickets:#?}");
    assert_eq!(tickets[0]["state"], "6");
    let told = numbers(&tickets[0]);
    assert!(told.len() >= 3 && told.is_sorted() && told.windows(2).all(|two| two[0] < two[1]), "{told:?}");
    let issues = stage.list("jira", "issues");
    assert_eq!((issues.len(), issues[0]["status"].as_str()), (1, Some("Done")), "{issues:#?}");
    let cards = stage.cloud.inbox().iter().filter(|one| one.sink == "teams").count();
    assert!((3..=8).contains(&cards), "{cards}");
    let slack = stage.list("slack", "messages");
    assert_eq!(slack.len(), cards, "{slack:#?}");
    for alert in stage.list("pagerduty", "alerts") {
        assert_eq!(alert["state"], "resolved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_hang_delay_no_repair_and_have_everything_in_the_end() {
    let mut calm = stage(1, PATIENCE).await;
    calm.break_it();
    calm.pass(120).await;
    let usual = calm.healed_after().await;
    let mut stage = stage(1, LITTLE_PATIENCE).await;
    stage.fault("servicenow", FaultKind::Timeout, 12);
    stage.break_it();
    stage.pass(180).await;
    let hung = stage.cloud.requests_that(|one| one.url.contains("/sink/servicenow") && one.status == 0).len();
    assert!(hung >= 3, "it hung {hung} times");
    println!("hung {hung} times");
    let after = stage.healed_after().await;
    assert!(after <= usual + 1, "healed after {after} min instead of {usual}");
    let tickets = stage.tickets();
    assert_eq!((tickets.len(), tickets[0]["state"].as_str()), (1, Some("6")), "{tickets:#?}");
    let calm = numbers(&calm.tickets()[0]).len();
    let told: std::collections::BTreeSet<u32> = numbers(&tickets[0]).into_iter().collect();
    assert!(told.len() >= calm, "{told:?} of {calm}");
    assert_eq!(stage.list("jira", "issues").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_refuses_is_reported_once_and_the_next_one_has_its_messages() {
    let mut stage = stage(1, PATIENCE).await;
    stage.fault("servicenow", status(403), 600);
    stage.break_it();
    stage.pass(120).await;
    stage.healed_after().await;
    assert!(stage.tickets().is_empty(), "it was refused all the time");
    let cards: Vec<Value> =
        stage.cloud.inbox().into_iter().filter(|one| one.sink == "teams").map(|one| one.body).collect();
    let told = cards.iter().filter(|card| card.to_string().contains("The channel servicenow refuses messages")).count();
    assert_eq!(told, 1, "the team is told once");
    let alerts = stage.list("pagerduty", "alerts");
    assert_eq!(alerts.len(), 1, "one alert for what ServiceNow did not take: {alerts:#?}");
    assert_eq!(alerts[0]["state"], "resolved");
    assert_eq!(stage.list("jira", "issues").len(), 1, "the others go on");
}
