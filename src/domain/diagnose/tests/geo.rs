//! Geo-secondaries: which come back, and which nothing revives.

use std::collections::BTreeMap;

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{
    Database, Fact, KeyVersion, MissingRight, ReplicationLink, SECONDARY_TYPE, ServerEvidence,
};
use crate::domain::plan::Decision;
use crate::domain::remedy::{Change, Remedy};
use crate::domain::test_support::{
    OLD_VERSION, World, access_policy, grant, key_uri, policy_world, principal, server_id, world, world_of,
};

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

const PARTNER: &str = "contoso-sql-dr";

/// `orders` has its geo-secondary on a server that is not in question, under a key of its own.
fn with_partner(mut world: World) -> World {
    let partner = world_of(&[PARTNER]).evidence.servers.remove(0);
    world.evidence.partners = vec![ServerEvidence { server: partner.server, ..ServerEvidence::unread(partner.id) }];
    let link = |primary| ReplicationLink { database: "orders".to_owned(), primary, partner: Some(server_id(PARTNER)) };
    world.server().links = Fact::Known(vec![link(true)]);
    world
}

fn give(world: &mut World) {
    let vault = world.evidence.vault.as_mut().expect("there is one");
    let Fact::Known(grants) = &mut vault.grants else { panic!() };
    grants.push(grant(&principal(PARTNER)));
}

#[test]
fn a_partner_without_a_grant_is_found_and_granted_the_key_of_the_primary() {
    let mut world = with_partner(world());
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::GeoPartnerWithoutGrant);
    assert_eq!(diagnosis.findings[0].servers, [server_id(PARTNER)]);
    assert!(diagnosis.findings[0].proof[0].said.contains("orders on contoso-sql"), "{:?}", diagnosis.findings[0]);
    let [Change::AssignRole { key, grant, .. }] = diagnosis.findings[0].changes.as_slice() else { panic!() };
    assert_eq!((key.as_str(), &grant.server), ("tde-key", &server_id(PARTNER)));
    assert!(matches!(world.decide().0, Decision::Repair { plan } if plan.remedy == Remedy::AssignRole));
    give(&mut world);
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn in_a_vault_with_access_policies_the_partner_gets_one() {
    let mut world = with_partner(policy_world());
    let diagnosis = world.diagnosis();
    assert!(matches!(diagnosis.findings[0].changes.as_slice(), [Change::AddAccessPolicy { .. }]), "{diagnosis:?}");
    world.vault().access_policies.push(access_policy(&principal(PARTNER), &["get", "wrapkey", "unwrapkey"]));
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn a_partner_that_could_not_be_read_or_is_gone_is_no_cause() {
    for (fact, told) in [(Fact::Unknown("not now".to_owned()), true), (Fact::Absent, false)] {
        let mut world = with_partner(world());
        world.evidence.partners[0].server = fact;
        let diagnosis = world.diagnosis();
        assert_eq!(diagnosis.cause(), Cause::Healthy);
        assert_eq!(diagnosis.unknowns.iter().any(|said| said.contains(PARTNER)), told, "{:?}", diagnosis.unknowns);
    }
}

#[test]
fn a_primary_elsewhere_is_no_partner_of_ours() {
    let mut world = with_partner(world());
    let Fact::Known(links) = &mut world.server().links else { panic!() };
    links[0].primary = false;
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn the_partner_out_of_scope_or_on_hold_is_left_to_a_person() {
    let mut held = with_partner(world());
    let Fact::Known(server) = &mut held.evidence.partners[0].server else { panic!() };
    server.tags.insert(held.policy.gates.hold_tag.clone(), "true".to_owned());
    let mut outside = with_partner(world());
    outside.policy.scope.except.push(server_id(PARTNER));
    for world in [held, outside] {
        let (decision, hits) = world.decide();
        assert!(matches!(decision, Decision::Escalate { .. }), "{decision:?}");
        assert!(hits.iter().any(|hit| hit.hard), "{hits:?}");
    }
}

#[test]
fn databases_that_are_down_come_first() {
    let mut world = with_partner(world());
    database(&mut world, "billing").status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::StillInaccessible);
    assert_eq!(diagnosis.findings[1].cause, Cause::GeoPartnerWithoutGrant);
    assert!(diagnosis.chain_is_whole(), "the server's own chain is");
}

#[test]
fn links_that_may_not_be_read_are_said_with_the_right_and_are_no_cause() {
    let mut world = with_partner(world());
    let right = MissingRight {
        action: "Microsoft.Sql/servers/replicationLinks/read".to_owned(),
        scope: server_id("contoso-sql").to_string(),
    };
    world.server().links = Fact::Denied(right.clone());
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::Healthy);
    assert!(diagnosis.unknowns.iter().any(|said| said.contains("replicationLinks/read")), "{:?}", diagnosis.unknowns);
    assert_eq!(diagnosis.missing_rights, [right]);
}

/// The partner was found short of its grant before; now no link names it any more.
fn unlinked(database: Database) -> World {
    let mut world = with_partner(world());
    let before = world.diagnosis();
    assert_eq!(before.cause(), Cause::GeoPartnerWithoutGrant);
    world.incident.broken = Some(before);
    world.server().links = Fact::Known(Vec::new());
    world.evidence.partners[0].databases = Fact::Known(vec![database]);
    world
}

fn orders(status: &str) -> Database {
    let mut orders = database(&mut world(), "orders").clone();
    orders.status = status.to_owned();
    orders
}

#[test]
fn a_secondary_that_died_on_its_partner_is_no_recovery() {
    let mut world = unlinked(orders("Inaccessible"));
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::DeadSecondary);
    assert_eq!(diagnosis.findings[0].servers, [server_id(PARTNER)]);
    assert!(diagnosis.findings[0].proof[0].said.contains("orders on contoso-sql-dr"), "{diagnosis:?}");
    assert!(matches!(world.decide().0, Decision::Escalate { .. }), "nothing is changed for it");
    // So it stays in the looks to come.
    world.incident.broken = None;
    world.incident.diagnosis = Some(diagnosis);
    assert_eq!(world.diagnosis().cause(), Cause::DeadSecondary);
}

#[test]
fn a_partner_whose_replication_was_ended_is_none_any_more() {
    assert_eq!(unlinked(orders("Online")).diagnosis().cause(), Cause::Healthy);
    let mut other = orders("Inaccessible");
    other.name = "archive".to_owned();
    assert_eq!(unlinked(other).diagnosis().cause(), Cause::Healthy, "a database of its own is not ours to tell of");
}

#[test]
fn what_became_of_a_partner_is_not_guessed() {
    let mut links = unlinked(orders("Online"));
    links.server().links = Fact::Unknown("timeout".to_owned());
    let mut databases = unlinked(orders("Online"));
    databases.evidence.partners[0].databases = Fact::Unknown("timeout".to_owned());
    for world in [links, databases] {
        assert_eq!(world.diagnosis().cause(), Cause::Undetermined);
    }
}
