//! Forty servers with hundreds of databases lose one vault, and every alert comes twice and in any order.
//!
//! `KEYMEND_TEST_STORM=100x50` has a hundred servers with fifty databases each lose theirs (`scripts/bench --only storm`).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use keymend::domain::incident::{Incident, Phase};
use keymend::domain::policy::Preset;
use keymend::drill::cloud::world::PermissionModel;
use keymend::drill::cloud::{Break, Exchange, What, World};
use serde_json::Value;

use crate::accounts::{Accounts, assert_one_card_each};
use crate::kit::{Rain, Storm, all_rights_removed, pipeline, policy, subject};

const SERVERS: usize = 40;
const DATABASES: usize = 5;
/// Each alert that comes by itself costs a turn of its own.
const DATABASES_DRIBBLING: usize = 2;
/// Databases of a server where they do not matter.
const FEW: usize = 2;

fn world(databases: usize, model: PermissionModel) -> World {
    world_of(SERVERS, databases, model)
}

fn world_of(servers: usize, databases: usize, model: PermissionModel) -> World {
    World::shared_vault(servers, databases).model(model).activity_log_minutes(3.0)
}

/// How many servers, and how many databases of each, lose their vault at once.
fn size() -> (usize, usize) {
    let Ok(wanted) = std::env::var("KEYMEND_TEST_STORM") else { return (SERVERS, DATABASES) };
    let (servers, databases) = wanted.split_once('x').expect("KEYMEND_TEST_STORM=SERVERSxDATABASES");
    (servers.parse().unwrap(), databases.parse().unwrap())
}

/// Every database that an alert named while the incident was open is known to it.
fn assert_knows_all(incident: &Incident, posted: &[Value]) {
    let known: BTreeSet<(String, String)> = incident
        .members
        .iter()
        .flat_map(|(server, member)| member.databases.iter().map(|name| (server.clone(), name.to_lowercase())))
        .collect();
    let named: BTreeSet<(String, String)> =
        posted.iter().map(subject).filter_map(|(server, database)| Some((server, database?))).collect();
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{} databases that alerts named are not in the incident: {missing:?}", missing.len());
}

/// The whole story; what arrives after the end, again or for the first time, opens nothing and writes nothing.
async fn weather_the_storm(rain: Rain, (servers, databases): (usize, usize), seed: u64) {
    let world = world_of(servers, databases, PermissionModel::Policy);
    let mut policy = policy(Preset::Guarded, &world);
    policy.gates.max_servers = policy.gates.max_servers.max(u32::try_from(servers).unwrap());
    let mut storm = Storm::new(world, &policy, seed).await;
    storm.pass(SignedDuration::from_mins(2)).await;
    storm.cloud.break_it(&all_rights_removed());
    let late = storm.weather(rain, 20).await;
    let incident = storm.only_incident().await;
    assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
    assert_eq!(incident.members.len(), servers);
    storm.assert_online();
    assert_knows_all(&incident, &storm.posted);
    let accounts = Accounts::of(&storm.cloud);
    accounts.assert_frugal(servers, 6, 5);
    assert_one_write(&accounts, servers);
    assert_one_card_each(&storm.cloud, &incident, 1);
    let cards = storm.cloud.inbox().iter().filter(|one| one.sink == "teams" && one.status < 300).count();
    let alerts = 2 * storm.posted.len();
    println!(
        "{servers} servers, {} databases, {alerts} alerts: {} requests, {cards} cards",
        servers * databases,
        accounts.all()
    );

    let before = storm.cloud.requests().len();
    let repeats = storm.posted.clone();
    let repeats = storm.doubled(&repeats);
    storm.post(&repeats).await;
    storm.pass(SignedDuration::from_mins(20)).await;
    assert_eq!(storm.cloud.requests().len(), before, "known alerts cost no request");

    let before = accounts.all();
    let first_time = storm.doubled(&late);
    storm.posted.extend(late);
    storm.post(&first_time).await;
    storm.pass(SignedDuration::from_mins(20)).await;
    let after = storm.only_incident().await;
    assert_eq!(after.ended_at, incident.ended_at, "what is over stays over");
    // By now it is long since the servers' keys were read: each is read again, and whether a database is down.
    let accounts = Accounts::of(&storm.cloud);
    assert!(accounts.all() - before <= 2 * servers, "{} requests for late alerts", accounts.all() - before);
    assert_one_write(&accounts, servers);
    assert_one_card_each(&storm.cloud, &after, 1);
    storm.assert_all_taken().await;
    storm.stop().await;
}

fn assert_one_write(accounts: &Accounts, servers: usize) {
    let [write] = accounts.writes.as_slice() else { panic!("one write repairs all: {:?}", accounts.writes_in_words()) };
    assert!(write.url.contains("/accessPolicies/add"), "{}", write.url);
    let entries = write.request_body.as_ref().and_then(|body| body.pointer("/properties/accessPolicies")?.as_array());
    assert_eq!(entries.map(Vec::len), Some(servers), "each server's identity has its entry");
}

#[tokio::test]
async fn all_alerts_in_one_burst_are_one_incident_and_one_write() {
    weather_the_storm(Rain::Burst(150), size(), 1).await;
}

#[tokio::test]
async fn alerts_that_dribble_in_are_one_incident_and_one_write() {
    weather_the_storm(Rain::Dribble, (SERVERS, DATABASES_DRIBBLING), 3).await;
}

/// Plays until all is over, every alert twice and in one burst, and answers what it took.
async fn healed(world: World, preset: Preset, what: &Break, rain: Rain, seed: u64) -> (Storm, Incident, Accounts) {
    let policy = policy(preset, &world);
    let mut storm = Storm::new(world, &policy, seed).await;
    storm.pass(SignedDuration::from_mins(2)).await;
    storm.cloud.break_it(what);
    storm.weather(rain, 0).await;
    let incident = storm.only_incident().await;
    assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
    storm.assert_online();
    assert_knows_all(&incident, &storm.posted);
    storm.assert_all_taken().await;
    let accounts = Accounts::of(&storm.cloud);
    (storm, incident, accounts)
}

/// Role assignments are made one by one: forty writes, and still one look before them and one card for them.
#[tokio::test]
async fn forty_role_assignments_are_one_repair() {
    let world = world(FEW, PermissionModel::Rbac);
    let (storm, incident, accounts) = healed(world, Preset::Guarded, &all_rights_removed(), Rain::Burst(60), 7).await;
    assert_grants(&accounts.writes);
    accounts.assert_frugal(SERVERS, 6, 5);
    assert_one_card_each(&storm.cloud, &incident, 1);
    storm.stop().await;
}

/// Where the rules alert on causes and on health too, our own forty role assignments come back as alerts. They call for
/// no pass each; what the vault's servers are is asked of the inventory once for an alert.
#[tokio::test]
async fn echoes_of_our_own_changes_start_no_storm_of_reads() {
    let mut world = world(FEW, PermissionModel::Rbac);
    world.alerts.cause_alerts = true;
    world.alerts.resource_health = true;
    let (storm, incident, accounts) = healed(world, Preset::Guarded, &all_rights_removed(), Rain::Dribble, 9).await;
    assert_grants(&accounts.writes);
    assert_one_card_each(&storm.cloud, &incident, 1);
    const INVENTORY: &str = "/providers/Microsoft.ResourceGraph/";
    // Alerts on a database's health come until long after the end. Each may cost its server one question; they are counted
    // by themselves, since they fall between the passes.
    const DOWN: &str = "/inaccessibleDatabases";
    let accounts = Accounts::without(&storm.cloud, &[INVENTORY, DOWN]);
    // The first change that is told is glanced at before an incident opens: vault, lists and databases are read twice.
    accounts.assert_bounded(SERVERS, 24, 5);
    // Backing off leaves about ten; one is called for by a cause that was told before the repair.
    assert!(accounts.passes.len() <= 16, "{} passes: {:?}", accounts.passes.len(), accounts.passes);
    let down = storm.cloud.requests().iter().filter(|one| one.url.contains(DOWN)).count();
    assert!(down <= 2 * SERVERS, "{down} questions whether a database is down");
    let inventory = storm.cloud.requests().iter().filter(|one| one.url.contains(INVENTORY)).count();
    let causes = storm.posted.iter().filter(|body| body.to_string().contains("roleAssignments")).count();
    assert!(inventory <= 1 + causes, "{inventory} questions to the inventory for {causes} alerts of causes");
    storm.stop().await;
}

/// The vault is recovered once; its role assignments went with it, so all forty are made anew.
///
/// Two looks at everything are unavoidable: a deleted vault cannot be asked for its role assignments, and so the grants
/// can be planned only when it is back. That is 3 + 3 reads, a write and its check for each server, and the fixed reads
/// twice: 12 + 9 a server, where one look is allowed 6 + 5.
#[tokio::test]
async fn a_deleted_vault_is_recovered_once_and_granted_to_all() {
    let world = world(FEW, PermissionModel::Rbac);
    let deleted = Break::new(What::DeleteVault { vault: None }).by(pipeline());
    let (storm, incident, accounts) = healed(world, Preset::Auto, &deleted, Rain::Dribble, 8).await;
    let (recovered, grants) = accounts.writes.split_first().expect("the vault is recovered first");
    assert_eq!(recovered.method, "PUT");
    assert!(recovered.url.contains("/vaults/contoso-kv?"), "{}", recovered.url);
    assert_grants(grants);
    accounts.assert_frugal(SERVERS, 12, 9);
    assert_one_card_each(&storm.cloud, &incident, 2);
    storm.stop().await;
}

/// Each server's identity gets its role assignment, once.
fn assert_grants(writes: &[Exchange]) {
    let strange: Vec<&str> =
        writes.iter().map(|one| one.url.as_str()).filter(|url| !url.contains("/roleAssignments/")).collect();
    assert!(strange.is_empty(), "other writes: {strange:?}");
    let principal =
        |one: &Exchange| one.request_body.as_ref()?.pointer("/properties/principalId")?.as_str().map(str::to_owned);
    let granted: BTreeSet<String> = writes.iter().filter_map(principal).collect();
    assert_eq!((writes.len(), granted.len()), (SERVERS, SERVERS), "one role assignment for each server");
}
