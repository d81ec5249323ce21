//! Every gate both ways: it stands where it should, and not where it should not.

mod again;
mod keys;
mod people;
mod places;
mod unread;

use std::collections::BTreeMap;

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{CallerKind, DeletedKey, Fact, MissingRight};
use crate::domain::plan::{Gate, Plan};
use crate::domain::policy::Preset;
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::test_support::{
    OLD_VERSION, TENANT, World, at, identity_id, key_uri, minutes, policy_world, principal, resource, server_id,
    vault_id, world, world_of,
};

const PERSON: CallerKind = CallerKind::Person;

fn gates(world: &World) -> Vec<Gate> {
    world.hits().into_iter().map(|hit| hit.gate).collect()
}

fn hard_gates(world: &World) -> Vec<Gate> {
    world.hits().into_iter().filter(|hit| hit.hard).map(|hit| hit.gate).collect()
}

fn roles_lost() -> World {
    let mut world = world();
    world.lose_roles();
    world
}

fn disabled() -> World {
    let mut world = world();
    world.version().enabled = false;
    world
}

fn revalidation(world: &World) -> Plan {
    let servers: Vec<ResourceId> = world.evidence.servers.iter().map(|server| server.id.clone()).collect();
    let changes = servers.iter().map(|server| Change::Revalidate { server: server.clone() }).collect();
    Plan { cause: Cause::StillInaccessible, remedy: Remedy::Revalidate, changes, servers }
}

fn revalidation_gates(world: &World) -> Vec<Gate> {
    world.hits_of(&revalidation(world)).into_iter().map(|hit| hit.gate).collect()
}

fn plan_of_cause(world: &World, cause: Cause) -> Plan {
    let finding = world.diagnosis().findings.into_iter().find(|finding| finding.cause == cause).expect("the cause");
    Plan { cause, remedy: finding.changes[0].remedy(), changes: finding.changes, servers: finding.servers }
}

#[test]
fn an_ordinary_repair_meets_no_gate() {
    let mut vault_gone = world();
    vault_gone.delete_vault();
    let mut key_gone = world();
    key_gone.delete_key();
    let mut firewalled = world();
    firewalled.close_firewall();
    let mut no_policy = policy_world();
    no_policy.vault().access_policies.clear();
    let mut no_identity = world();
    no_identity.server_facts().identity.system_principal_id = None;
    let mut expired = world();
    expired.version().expires = Some(at("2026-11-24T02:00:00Z"));
    for world in [roles_lost(), disabled(), vault_gone, key_gone, firewalled, no_policy, no_identity, expired] {
        assert_eq!(world.hits(), [], "{:?}", world.plan().remedy);
    }
    assert!(revalidation_gates(&world()).is_empty());
}

#[test]
fn hard_gates_come_first() {
    let mut world = roles_lost();
    world.log_role_removal("eve", PERSON, "2026-11-24T02:01:00Z");
    world.vault().tags = BTreeMap::from([("keymend-hold".to_owned(), "yes".to_owned())]);
    world.lock(&vault_id());
    assert_eq!(gates(&world), [Gate::HoldTag, Gate::Lock, Gate::MadeByPerson]);
}
