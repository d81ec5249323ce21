//! Changes that may take a key away, told by Event Grid alone: what they cost where they are harmless, and how soon the
//! key is back where they are not.

#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stepped;

use jiff::SignedDuration;
use keymend::domain::incident::{Incident, Phase};
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::{Actor, Break, Exchange, What, World};
use keymend::patrol::PatrolSettings;
use stepped::Stage;

async fn told_by_event_grid(mut world: World) -> Stage {
    world.alerts.event_grid = true;
    Stage::open(world, Preset::Auto, PatrolSettings::off()).await
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
        let mut stage = told_by_event_grid(World::shared_vault(servers, 1)).await;
        let first = stage.happen(&[tag(0)], 5).await;
        assert!(first.len() > servers, "the first event ever finds out who depends on the vault: {}", first.len());
        let delivered = stage.delivered();
        let again = stage.happen(&[tag(1)], 5).await;
        assert!(stage.delivered() > delivered, "the event came");
        // A hundred grants fill a page of the list of role assignments, and are followed by another.
        let pages = servers / 100;
        // A server that is alone under its vault is asked for its geo partners: see `responder/partners.rs`.
        let links = urls(&again).iter().filter(|url| url.contains("/replicationLinks?")).count();
        assert_eq!(links, usize::from(servers == 1));
        let cheap = again.len() - pages - links;
        assert!((1..=8).contains(&cheap), "{servers} servers: {:#?}", urls(&again));
        assert!(stage.incidents().await.is_empty(), "nobody is told of a tag");
        cost.push(cheap);
        stage.house.stop().await;
    }
    assert_eq!(cost[0], cost[1]);
}

#[tokio::test]
async fn a_burst_of_changes_is_looked_at_together() {
    let mut stage = told_by_event_grid(World::standard()).await;
    stage.happen(&[tag(0)], 5).await;
    let one = stage.happen(&[tag(1)], 5).await.len();
    let delivered = stage.delivered();
    let many = stage.happen(&(2..22).map(tag).collect::<Vec<_>>(), 5).await.len();
    assert!(stage.delivered() >= delivered + 20, "all came");
    assert!(many <= 3 * one, "{many} requests for 20 changes, {one} for one");
    assert!(stage.incidents().await.is_empty(), "{:#?}", stage.incidents().await);
    stage.house.stop().await;
}

/// Under `auto`, with Bob as the only custodian. Answers the first write, and how the incident stands after two hours.
async fn taken_away_by(who: Actor, patrol: PatrolSettings) -> (Option<jiff::Timestamp>, Incident) {
    let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
    policy.gates.custodians = vec!["bob@contoso.example".to_owned()];
    let mut world = World::standard();
    world.alerts.event_grid = !patrol.enabled;
    let mut stage = Stage::open_under(world, policy, patrol).await;
    stage.happen(&[], 5).await;
    stage.happen(&[Break::new(What::RevokePermission { server: None }).by(who)], 120).await;
    let mut incidents = stage.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let written = stage.first_write();
    stage.house.stop().await;
    (written, incidents.remove(0))
}

#[tokio::test]
async fn what_a_custodian_takes_away_is_not_given_back_however_early_it_is_seen() {
    for patrol in [PatrolSettings::off(), PatrolSettings::rounds_only()] {
        let (written, incident) = taken_away_by(Actor::person("bob@contoso.example"), patrol).await;
        assert_eq!(written, None, "a custodian's change was undone");
        assert!(incident.ended_at.is_none());
        let why = incident.needs_person.as_ref().map(|(_, why)| why.clone()).unwrap_or_default();
        assert!(why.contains("bob@contoso.example"), "{why}");
    }
}

#[tokio::test]
async fn where_there_are_custodians_a_pipelines_change_is_mended_once_the_log_names_it() {
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let (written, incident) = taken_away_by(pipeline, PatrolSettings::off()).await;
    let late = written.expect("a repair").duration_since(incident.opened_at);
    assert!(late > SignedDuration::from_mins(2) && late < SignedDuration::from_mins(22), "{late}");
    assert_eq!(incident.phase, Phase::Healed, "{incident:#?}");
}

#[tokio::test]
async fn the_first_event_after_installation_leads_to_a_repair() {
    let mut stage = told_by_event_grid(World::standard()).await;
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
    let mut stage = told_by_event_grid(World::standard()).await;
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
    let mut stage = told_by_event_grid(World::standard()).await;
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
        let mut stage = told_by_event_grid(world).await;
        let expired = Break::new(What::ExpireKey(keymend::drill::cloud::KeyRef::default()));
        stage.happen(&[expired], 3).await;
        assert!(stage.delivered() > 0, "{:?}", stage.cloud.deliveries());
        assert!(stage.first_write().is_some(), "{cloud_events} {pascal_case}: {:?}", stage.incidents().await);
        stage.house.stop().await;
    }
}
