//! Forty servers lose one vault, and each has a geo-secondary elsewhere: their partners cost no request a server.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::world::{DatabaseSpec, PermissionModel, ProtectorSpec, ServerSpec, VaultSpec};
use keymend::drill::cloud::{Break, What, World};
use keymend::probe::MOST_PARTNERS;
use serde_json::json;

use crate::accounts::{Accounts, assert_one_card_each};
use crate::kit::{Rain, Storm, pipeline, policy};

const SERVERS: usize = 40;
const PARTNER: &str = "sql-dr";

fn world() -> World {
    let mut world = World::shared_vault(SERVERS, 2).model(PermissionModel::Policy).activity_log_minutes(3.0);
    let vault = "contoso-kv-ne".to_owned();
    world.vaults.push(VaultSpec { name: vault.clone(), ..VaultSpec::default() });
    let mut secondaries = Vec::new();
    for server in &mut world.servers {
        server.databases[0].name = format!("orders-{}", server.name);
        secondaries.push(DatabaseSpec { geo_secondary_of: Some(server.name.clone()), ..server.databases[0].clone() });
    }
    world.servers.push(ServerSpec {
        name: PARTNER.to_owned(),
        protector: Some(ProtectorSpec { vault, ..ProtectorSpec::default() }),
        databases: secondaries,
        ..ServerSpec::default()
    });
    world
}

/// Plays it; `known`: every server is remembered to have its partner. Answers how many servers were asked for theirs.
async fn asked_for_partners(known: bool, seed: u64) -> usize {
    let world = world();
    let servers: Vec<String> = world.servers.iter().map(|server| server.name.clone()).collect();
    let policy = policy(Preset::Guarded, &world);
    let mut storm = Storm::new(world, &policy, seed).await;
    let snapshot = storm.cloud.world();
    for server in snapshot["servers"].as_array().unwrap().iter().filter(|_| known) {
        let id = ResourceId::parse(server["id"].as_str().unwrap()).unwrap();
        let partners = json!([snapshot["servers"][SERVERS]["id"]]);
        storm.store.keep_fact("geo_partners", id.key(), &partners, storm.clock.now()).await.unwrap();
    }
    storm.pass(SignedDuration::from_mins(2)).await;
    for server in servers.iter().filter(|name| *name != PARTNER) {
        storm.cloud.break_it(&Break::new(What::RevokePermission { server: Some(server.clone()) }).by(pipeline()));
    }
    storm.weather(Rain::Burst(60), 0).await;
    let incident = storm.only_incident().await;
    assert_eq!((incident.phase, incident.members.len()), (Phase::Healed, SERVERS), "{:?}", incident.end);
    storm.assert_online();
    let accounts = Accounts::of(&storm.cloud);
    assert_eq!(accounts.writes.len(), 1, "{:?}", accounts.writes_in_words());
    let of_partners = if known { 2 * MOST_PARTNERS } else { 0 };
    accounts.assert_frugal(SERVERS, 6 + of_partners, 5);
    assert_one_card_each(&storm.cloud, &incident, 1);
    let links = |url: &String| url.to_lowercase().contains("/replicationlinks");
    let asked: BTreeSet<String> = storm.cloud.requests().into_iter().map(|one| one.url).filter(links).collect();
    storm.stop().await;
    asked.len()
}

#[tokio::test]
async fn a_crowd_is_not_asked_for_its_geo_partners() {
    assert_eq!(asked_for_partners(false, 11).await, 0);
}

#[tokio::test]
async fn a_crowd_with_known_geo_partners_is_asked_for_a_few() {
    assert_eq!(asked_for_partners(true, 12).await, MOST_PARTNERS);
}
