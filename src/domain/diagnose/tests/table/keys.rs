//! Rows 10 to 17: keys.

use super::*;

#[test]
fn rows_10_and_11_key_gone() {
    let mut world = world();
    world.delete_key();
    let changes = expect(&world, Cause::KeyDeleted, Link::Key);
    assert_eq!(changes, [Change::RecoverKey { key: key_uri("tde-key", None) }]);
    assert_eq!(world.diagnosis().findings[0].since, Some(at("2026-11-24T02:01:00Z")));
    world.evidence.keys[0].deleted = Fact::Absent;
    assert!(expect(&world, Cause::KeyPurged, Link::Key).is_empty());
}

#[test]
fn row_10_all_versions_of_a_deleted_key_are_one_recovery() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let other = key_uri("tde-key", Some(OLD_VERSION));
    world.link_older(&other);
    let Fact::Known(protector) = &mut world.server().protector else { panic!() };
    protector.uri = Some(other);
    world.delete_key();
    let changes = expect(&world, Cause::KeyDeleted, Link::Key);
    assert_eq!(changes.len(), 1);
    assert_eq!(world.diagnosis().findings[0].servers.len(), 2);
}

#[test]
fn row_12_key_replaced() {
    let mut world = world();
    world.evidence.keys[0].version = Fact::Absent;
    world.evidence.keys[0].versions = vec![(OLD_VERSION.to_owned(), Some(at("2026-11-24T01:50:00Z")))];
    assert!(expect(&world, Cause::KeyReplaced, Link::Key).is_empty());
    // A version older than the link to the server: it is the same key, and something else is wrong.
    world.evidence.keys[0].versions[0].1 = Some(at("2025-01-01T00:00:00Z"));
    assert_eq!(world.diagnosis().cause(), Cause::Undetermined);
}

#[test]
fn a_rotated_key_is_healthy() {
    let mut world = world();
    world.evidence.keys[0].versions.push((OLD_VERSION.to_owned(), Some(at("2026-11-24T01:00:00Z"))));
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn row_13_disabled() {
    let mut world = world();
    world.version().enabled = false;
    world.version().updated = Some(at("2026-11-24T02:02:00Z"));
    let changes = expect(&world, Cause::KeyDisabled, Link::Key);
    assert_eq!(changes, [Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) }]);
    assert_eq!(world.diagnosis().findings[0].since, Some(at("2026-11-24T02:02:00Z")));
}

#[test]
fn row_13_versionless_protector_names_the_version_in_use() {
    let mut world = world();
    let versionless = key_uri("tde-key", None);
    let Fact::Known(protector) = &mut world.server().protector else { panic!() };
    protector.uri = Some(versionless.clone());
    world.server().linked_keys = Fact::Known(vec![crate::domain::test_support::linked(&versionless)]);
    world.evidence.keys[0].uri = versionless;
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
    world.version().enabled = false;
    let changes = expect(&world, Cause::KeyDisabled, Link::Key);
    assert_eq!(changes, [Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) }]);
}

#[test]
fn row_14_expired() {
    let mut world = world();
    world.version().expires = Some(at("2026-11-24T02:00:00Z"));
    let changes = expect(&world, Cause::KeyExpired, Link::Key);
    let [Change::ExtendExpiry { from, to, .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(*from, Some(at("2026-11-24T02:00:00Z")));
    assert_eq!(*to, at("2026-12-01T02:07:00Z"), "seven days from the incident's opening, whenever it is asked");
    world.policy.gates.max_expiry_extension_days = 0;
    assert!(expect(&world, Cause::KeyExpired, Link::Key).is_empty());
    world.policy.gates.max_expiry_extension_days = 7;
    world.pass(8 * 24 * 60);
    assert!(expect(&world, Cause::KeyExpired, Link::Key).is_empty(), "the end lies in the past by now");
}

#[test]
fn rows_14b_15_16_keys_that_only_a_person_can_put_right() {
    let mut early = world();
    early.version().not_before = Some(at("2026-12-01T00:00:00Z"));
    assert!(expect(&early, Cause::KeyNotYetValid, Link::Key).is_empty());
    let mut restricted = world();
    restricted.version().operations = vec!["sign".to_owned(), "wrapkey".to_owned()];
    assert!(expect(&restricted, Cause::KeyOperationsRestricted, Link::Key).is_empty());
    for (kind, size) in [("RSA", 4096), ("EC", 256)] {
        let mut unsupported = world();
        unsupported.version().kind = Some(kind.to_owned());
        unsupported.version().size = Some(size);
        assert!(expect(&unsupported, Cause::KeyUnsupported, Link::Key).is_empty());
    }
    let mut symmetric = world();
    symmetric.version().kind = Some("oct-HSM".to_owned());
    symmetric.version().size = Some(256);
    assert_eq!(symmetric.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn a_key_may_be_wrong_in_two_ways() {
    let mut world = world();
    world.version().enabled = false;
    world.version().expires = Some(at("2026-11-01T00:00:00Z"));
    assert_eq!(causes(&world.diagnosis()), [Cause::KeyDisabled, Cause::KeyExpired]);
}

#[test]
fn row_17_link_removed() {
    let mut world = world();
    world.server().linked_keys = Fact::Known(Vec::new());
    assert!(expect(&world, Cause::ServerKeyMissing, Link::Key).is_empty());
}

#[test]
fn purge_time_of_a_deleted_key_is_told() {
    let mut world = world();
    world.delete_key();
    let purge_at = Some(at("2026-11-24T03:00:00Z"));
    world.evidence.keys[0].deleted =
        Fact::Known(DeletedKey { deleted_at: None, purge_at, tags: std::collections::BTreeMap::new() });
    assert_eq!(world.diagnosis().findings[0].purge_at, purge_at);
}
