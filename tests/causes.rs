//! Changes that may take a key away, told by Event Grid alone: what they cost where they are harmless, and how soon the
//! key is back where they are not.

#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::{Incident, Phase};
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Actor, Break, Cloud, Exchange, Plane, Running, What, World};
use keymend::drill::{house, judge};
use tokio::net::TcpListener;

struct Stage {
    clock: Clock,
    cloud: Cloud,
    house: house::House,
    /// No time passes but within [`Stage::happen`].
    held: Option<Busy>,
    _running: Running,
    _folder: house::Folder,
}

impl Stage {
    async fn new(mut world: World) -> Self {
        world.alerts.event_grid = true;
        world.alerts.webhooks = false;
        let folder = house::Folder::new(None, "causes", Preset::Auto).unwrap();
        let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
        let held = clock.busy();
        let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
        policy.scope.subscriptions = vec![world.subscription.clone()];
        let cloud = Cloud::new(world, clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let house = house::build(&policy, &running.url(), TOKEN, folder.path(), &clock).await.unwrap();
        cloud.deliver_to(house.webhook());
        Self { clock, cloud, house, held: Some(held), _running: running, _folder: folder }
    }

    /// Lets it happen, and some minutes pass. Answers the requests of those minutes to Azure.
    async fn happen(&mut self, what: &[Break], minutes: i64) -> Vec<Exchange> {
        let before = self.asked().len();
        what.iter().for_each(|what| self.cloud.try_break(what).unwrap());
        let until = add(self.clock.now(), SignedDuration::from_mins(minutes));
        let waiting = self.clock.idle_until(until);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        self.held = None;
        self.held = Some(waiting.await);
        self.asked().split_off(before)
    }

    fn asked(&self) -> Vec<Exchange> {
        let azure = |one: &Exchange| matches!(one.plane, Plane::Arm | Plane::KeyVault);
        self.cloud.requests().into_iter().filter(azure).collect()
    }

    async fn incidents(&self) -> Vec<Incident> {
        self.house.store().incidents(false, 10).await.unwrap()
    }

    fn delivered(&self) -> usize {
        self.cloud.deliveries().iter().filter(|one| one.status == Some(202)).count()
    }

    fn first_write(&self) -> Option<Timestamp> {
        self.asked().into_iter().find(|one| one.effect && judge::is_write(one)).map(|one| one.at)
    }
}

fn tag(number: usize) -> Break {
    Break::new(What::SetTag { target: None, name: "owner".to_owned(), value: Some(format!("team {number}")) })
}

fn urls(asked: &[Exchange]) -> Vec<String> {
    asked.iter().map(|one| format!("{} {}", one.method, one.url)).collect()
}

#[tokio::test]
async fn a_tag_costs_the_same_for_one_server_as_for_a_hundred() {
    let mut cost = Vec::new();
    for servers in [1, 100] {
        let mut stage = Stage::new(World::shared_vault(servers, 1)).await;
        let first = stage.happen(&[tag(0)], 5).await;
        assert!(first.len() > servers, "the first event ever finds out who depends on the vault: {}", first.len());
        let delivered = stage.delivered();
        let again = stage.happen(&[tag(1)], 5).await;
        assert!(stage.delivered() > delivered, "the event came");
        // A hundred grants fill a page of the list of role assignments, and are followed by another.
        let pages = servers / 100;
        assert!((1..=8).contains(&(again.len() - pages)), "{servers} servers: {:#?}", urls(&again));
        assert!(stage.incidents().await.is_empty(), "nobody is told of a tag");
        cost.push(again.len() - pages);
        stage.house.stop().await;
    }
    assert_eq!(cost[0], cost[1]);
}

#[tokio::test]
async fn a_burst_of_changes_is_looked_at_together() {
    let mut stage = Stage::new(World::standard()).await;
    stage.happen(&[tag(0)], 5).await;
    let one = stage.happen(&[tag(1)], 5).await.len();
    let delivered = stage.delivered();
    let many = stage.happen(&(2..22).map(tag).collect::<Vec<_>>(), 5).await.len();
    assert!(stage.delivered() >= delivered + 20, "all came");
    assert!(many <= 3 * one, "{many} requests for 20 changes, {one} for one");
    assert!(stage.incidents().await.is_empty(), "{:#?}", stage.incidents().await);
    stage.house.stop().await;
}

#[tokio::test]
async fn the_first_event_after_installation_leads_to_a_repair() {
    let mut stage = Stage::new(World::standard()).await;
    let lost = stage.clock.now();
    let bob = Actor::person("bob@contoso.example");
    stage.happen(&[Break::new(What::RevokePermission { server: None }).by(bob)], 2).await;
    let written = stage.first_write().expect("a repair");
    assert!(written.duration_since(lost) <= SignedDuration::from_mins(1), "{lost} {written}");
    stage.happen(&[], 60).await;
    let incidents = stage.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].phase, Phase::Healed);
    stage.house.stop().await;
}

#[tokio::test]
async fn what_is_lost_after_harmless_changes_is_still_seen() {
    let mut stage = Stage::new(World::standard()).await;
    stage.happen(&[tag(0)], 5).await;
    let lost = stage.clock.now();
    let firewall = Break::new(What::FirewallVault { vault: None, ip_rules: None });
    stage.happen(&[tag(1), firewall, tag(2)], 2).await;
    let written = stage.first_write().expect("a repair");
    assert!(written.duration_since(lost) <= SignedDuration::from_mins(1), "{lost} {written}");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_server_that_loses_its_identity_is_read_anew() {
    let mut stage = Stage::new(World::standard()).await;
    stage.happen(&[tag(0)], 5).await;
    stage.happen(&[Break::new(What::RemoveIdentity { server: None })], 3).await;
    assert!(stage.first_write().is_some(), "{:?}", stage.incidents().await);
    stage.house.stop().await;
}

#[tokio::test]
async fn both_schemas_and_both_spellings_are_understood() {
    for (cloud_events, pascal_case) in [(true, false), (true, true), (false, true)] {
        let mut world = World::standard();
        world.alerts.cloud_events = cloud_events;
        world.alerts.pascal_case = pascal_case;
        let mut stage = Stage::new(world).await;
        let expired = Break::new(What::ExpireKey(keymend::drill::cloud::KeyRef::default()));
        stage.happen(&[expired], 3).await;
        assert!(stage.delivered() > 0, "{:?}", stage.cloud.deliveries());
        assert!(stage.first_write().is_some(), "{cloud_events} {pascal_case}: {:?}", stage.incidents().await);
        stage.house.stop().await;
    }
}
