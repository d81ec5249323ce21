//! Geo-secondaries: which come back, and which nothing revives.

use std::collections::BTreeMap;

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{Database, Fact, KeyVersion, SECONDARY_TYPE};
use crate::domain::test_support::{OLD_VERSION, World, key_uri, server_id, world};

/// The incident saw `orders` as a secondary of this kind; now it is inaccessible.
fn lost_secondary(kind: &str) -> World {
    let mut world = world();
    let member = world.incident.add_member(&server_id("contoso-sql"), None);
    let before = BTreeMap::from([(SECONDARY_TYPE.to_owned(), kind.to_owned())]);
    member.settings.insert("orders".to_owned(), before);
    database(&mut world, "orders").status = "Inaccessible".to_owned();
    world
}

fn database<'w>(world: &'w mut World, name: &str) -> &'w mut Database {
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases.iter_mut().find(|database| database.name == name).expect("it is there")
}

#[test]
fn one_whose_link_is_gone_is_named_and_nothing_is_done() {
    let world = lost_secondary("Geo");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::DeadSecondary);
    assert!(diagnosis.findings[0].changes.is_empty());
    assert!(diagnosis.findings[0].proof[0].said.contains("orders on contoso-sql"), "{:?}", diagnosis.findings[0].proof);
    assert!(diagnosis.chain_is_whole(), "it says nothing about the key");
    assert_eq!(diagnosis.inaccessible.len(), 1, "it is never called back in service");
}

#[test]
fn one_that_is_still_a_secondary_may_come_back() {
    let mut world = lost_secondary("Geo");
    database(&mut world, "orders").settings.insert(SECONDARY_TYPE.to_owned(), "Geo".to_owned());
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
}

#[test]
fn a_named_replica_and_one_that_never_was_a_secondary_are_revalidated() {
    assert_eq!(lost_secondary("Named").diagnosis().cause(), Cause::StillInaccessible);
    let mut world = world();
    database(&mut world, "orders").status = "Inaccessible".to_owned();
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
}

#[test]
fn what_can_come_back_comes_first() {
    let mut world = lost_secondary("Geo");
    database(&mut world, "billing").status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.cause(), Cause::StillInaccessible);
    assert!(diagnosis.findings[0].proof.iter().all(|proof| !proof.said.contains("orders")));
    assert!(diagnosis.unknowns.iter().any(|said| said.contains("orders")), "{:?}", diagnosis.unknowns);
}

#[test]
fn it_is_no_reason_to_switch_a_retired_key_on() {
    let mut world = lost_secondary("Geo");
    let old = world.link_older(&key_uri("tde-key", Some(OLD_VERSION)));
    let Fact::Known(KeyVersion { enabled, .. }) = &mut old.version else { panic!() };
    *enabled = false;
    assert_eq!(world.diagnosis().cause(), Cause::DeadSecondary);
}
