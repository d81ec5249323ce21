//! Keys that were replaced, purged, rotated or extended.

use super::*;

#[test]
fn a_replaced_key_stops_grants_to_its_servers() {
    let mut world = roles_lost();
    world.evidence.keys[0].version = Fact::Absent;
    world.evidence.keys[0].versions = vec![(OLD_VERSION.to_owned(), Some(at("2026-11-24T01:50:00Z")))];
    let hits = world.hits_of(&plan_of_cause(&world, Cause::RoleMissing));
    assert!(hits.iter().any(|hit| hit.gate == Gate::KeyReplaced && hit.hard));
}

#[test]
fn purges_are_not_raced() {
    let mut key = world();
    key.delete_key();
    let mut vault = world();
    vault.delete_vault();
    for (minutes_left, near) in [(-5, true), (0, true), (9, true), (10, true), (11, false)] {
        let purge_at = Some(crate::clock::add(key.now, minutes(minutes_left)));
        key.evidence.keys[0].deleted = Fact::Known(DeletedKey { deleted_at: None, purge_at, tags: BTreeMap::new() });
        assert_eq!(gates(&key).contains(&Gate::PurgeNear), near, "key, {minutes_left} min");
        let Fact::Known(remains) = &mut vault.vault_evidence().deleted else { panic!() };
        remains.purge_at = purge_at;
        assert_eq!(gates(&vault).contains(&Gate::PurgeNear), near, "vault, {minutes_left} min");
    }
    key.evidence.keys[0].deleted = Fact::Known(DeletedKey { deleted_at: None, purge_at: None, tags: BTreeMap::new() });
    assert_eq!(gates(&key), [Gate::CannotTell]);
}

#[test]
fn a_newer_version_hints_at_rotation_or_compromise() {
    let mut world = disabled();
    world.evidence.keys[0].versions.push((OLD_VERSION.to_owned(), Some(at("2026-11-23T08:00:00Z"))));
    assert_eq!(gates(&world), [Gate::NewerKeyVersion]);
    world.evidence.keys[0].versions[1].1 = Some(at("2026-11-20T08:00:00Z"));
    assert!(gates(&world).is_empty(), "four days ago");
    world.evidence.keys[0].versions[1].1 = Some(at("2025-01-01T00:00:00Z"));
    assert!(gates(&world).is_empty(), "older");
    let lately = Some(at("2026-11-23T08:00:00Z"));
    world.evidence.keys[0].versions.iter_mut().for_each(|(_, made)| *made = lately);
    assert!(gates(&world).is_empty(), "made together");

    let mut beside = disabled();
    let other = beside.link_older(&key_uri("old-key", Some(OLD_VERSION)));
    other.versions = vec![(OLD_VERSION.to_owned(), lately)];
    assert!(gates(&beside).is_empty(), "a version of another key");

    let mut deleted = self::world();
    deleted.delete_key();
    deleted.evidence.keys[0].versions = vec![(OLD_VERSION.to_owned(), Some(at("2026-11-24T01:00:00Z")))];
    assert_eq!(gates(&deleted), [Gate::NewerKeyVersion]);
}

#[test]
fn expiry_is_extended_no_further_than_policy_says() {
    let mut world = world();
    world.version().expires = Some(at("2026-11-24T02:00:00Z"));
    let plan = world.plan();
    assert!(world.hits_of(&plan).is_empty());
    for days in [0, 6] {
        world.policy.gates.max_expiry_extension_days = days;
        assert!(world.hits_of(&plan).iter().any(|hit| hit.gate == Gate::ExpiryLimit), "{days}");
    }
}
