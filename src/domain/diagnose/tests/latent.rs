//! Older keys: needed sometimes, retired often.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{DeletedKey, Fact, Grant};
use crate::domain::remedy::Change;
use crate::domain::test_support::{OLD_VERSION, VERSION, World, at, grant, key_uri, principal, server_id, world};

/// A world with an older linked version that was switched off long ago.
fn retired() -> World {
    let mut world = world();
    let old = world.link_older(&key_uri("tde-key", Some(OLD_VERSION)));
    let Fact::Known(version) = &mut old.version else { panic!() };
    version.enabled = false;
    version.updated = Some(at("2026-05-01T00:00:00Z"));
    world
}

#[test]
fn a_retired_version_is_a_caution_while_databases_are_in_service() {
    let world = retired();
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::Healthy);
    assert!(diagnosis.unknowns.iter().any(|said| said.contains("00000000")), "{:?}", diagnosis.unknowns);
}

#[test]
fn it_is_blamed_where_everything_else_is_right_and_databases_are_down() {
    let mut world = retired();
    world.set_status("Inaccessible");
    let diagnosis = world.diagnosis();
    let finding = &diagnosis.findings[0];
    assert_eq!(finding.cause, Cause::KeyDisabled);
    assert_eq!(finding.changes, [Change::EnableKey { key: key_uri("tde-key", Some(OLD_VERSION)) }]);
    assert_eq!(finding.since, None, "half a year ago is not when this loss began");
}

#[test]
fn it_is_not_touched_while_something_else_explains_the_loss() {
    let mut world = retired();
    world.set_status("Inaccessible");
    world.version().enabled = false;
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.findings[0].changes, [Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) }]);
    assert_eq!(diagnosis.findings.len(), 1);
}

#[test]
fn after_a_repair_it_is_blamed_only_once_revalidation_has_not_helped() {
    let mut world = retired();
    world.set_status("Inaccessible");
    let made = world.made(60);
    world.attempt(Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) }, 60, made);
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
    let failed = world.failed("AzureKeyVaultMissingPermissions", 30);
    world.attempt(Change::Revalidate { server: server_id("contoso-sql") }, 31, failed);
    assert_eq!(world.diagnosis().cause(), Cause::KeyDisabled);
}

#[test]
fn an_older_key_that_is_gone_counts_the_same_way() {
    let mut world = world();
    let old = world.link_older(&key_uri("old-key", Some(OLD_VERSION)));
    old.version = Fact::Absent;
    old.exists = Fact::Known(false);
    old.deleted = Fact::Known(DeletedKey {
        deleted_at: Some(at("2026-11-24T01:55:00Z")),
        purge_at: None,
        tags: std::collections::BTreeMap::new(),
    });
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
    world.set_status("Inaccessible");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.findings[0].changes, [Change::RecoverKey { key: key_uri("old-key", None) }]);
    assert_eq!(diagnosis.findings[0].since, Some(at("2026-11-24T01:55:00Z")));
}

#[test]
fn an_older_key_that_could_not_be_read_is_decisive_only_when_databases_are_down() {
    let mut world = world();
    world.link_older(&key_uri("tde-key", Some(OLD_VERSION))).version = Fact::Unknown("timeout".to_owned());
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
    world.set_status("Inaccessible");
    assert_eq!(world.diagnosis().cause(), Cause::Undetermined);
}

#[test]
fn older_keys_are_granted_along_with_the_protectors() {
    let mut world = world();
    world.link_older(&key_uri("old-key", Some(OLD_VERSION)));
    world.lose_roles();
    let keys: Vec<_> = world.diagnosis().findings[0].changes.iter().map(Change::target).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
}

#[test]
fn a_role_on_the_new_key_does_not_open_the_old_one() {
    let mut world = world();
    world.link_older(&key_uri("old-key", Some(OLD_VERSION)));
    world.set_status("Inaccessible");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::RoleMissing);
    assert_eq!(diagnosis.findings[0].changes.len(), 1);
    let everywhere = Grant { scope: "/subscriptions/s".to_owned(), ..grant(&principal("contoso-sql")) };
    world.vault_evidence().grants = Fact::Known(vec![everywhere]);
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
}
