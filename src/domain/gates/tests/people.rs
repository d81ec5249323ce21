//! Holds, custodians, and what persons did.

use super::*;

type Place = fn(&mut World, BTreeMap<String, String>);

#[test]
fn hold_tag_on_vault_server_or_key_stops_everything() {
    let tags = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let places: [Place; 3] =
        [|w, tags| w.vault().tags = tags, |w, tags| w.server_facts().tags = tags, |w, tags| w.version().tags = tags];
    for place in places {
        for (name, value, holds) in [
            ("Keymend-Hold", "true", true),
            ("keymend-hold", "", true),
            ("keymend-hold", "False", false),
            ("owner", "x", false),
        ] {
            let mut world = roles_lost();
            place(&mut world, tags(name, value));
            assert_eq!(gates(&world).contains(&Gate::HoldTag), holds, "{name}={value}");
            assert_eq!(revalidation_gates(&world).contains(&Gate::HoldTag), holds, "re-validation is a change too");
        }
    }
    let mut deleted = world();
    deleted.delete_vault();
    let Fact::Known(remains) = &mut deleted.vault_evidence().deleted else { panic!() };
    remains.tags = tags("keymend-hold", "investigation");
    assert_eq!(gates(&deleted), [Gate::HoldTag]);
}

#[test]
fn hold_tag_with_no_name_holds_nothing() {
    let mut world = roles_lost();
    world.policy.gates.hold_tag = String::new();
    world.vault().tags = BTreeMap::from([(String::new(), "x".to_owned())]);
    assert!(gates(&world).is_empty());
}

#[test]
fn custodians_are_never_undone() {
    let mut world = roles_lost();
    world.log_role_removal("eve@contoso.example", CallerKind::Application, "2026-11-24T02:01:00Z");
    assert!(gates(&world).is_empty());
    for named in ["EVE@contoso.example", "oid-of-EVE@contoso.example"] {
        world.policy.gates.custodians = vec![named.to_owned()];
        assert_eq!(gates(&world), [Gate::Custodian], "{named}");
    }
    let why = &world.hits()[0].why;
    assert!(why.starts_with("eve@contoso.example, who is on the list of custodians: "), "{why}");
    world.policy.gates.custodians = vec![String::new(), "somebody".to_owned()];
    assert!(gates(&world).is_empty());
    world.policy.gates.custodians = vec!["eve@contoso.example".to_owned()];
    assert!(revalidation_gates(&world).is_empty(), "it gives nobody access");
}

#[test]
fn a_custodian_among_protective_changes_counts() {
    let mut world = disabled();
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    world.lose_roles();
    world.log_role_removal("eve", PERSON, "2026-11-24T02:00:00Z");
    world.policy.gates.custodians = vec!["eve".to_owned()];
    assert_eq!(world.diagnosis().culprit, None, "the log does not know who disabled the key");
    assert!(gates(&world).contains(&Gate::Custodian));
}

#[test]
fn deliberate_revocation() {
    let mut world = disabled();
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    assert!(gates(&world).is_empty());
    world.lose_roles();
    world.log_role_removal("eve", CallerKind::Application, "2026-11-24T02:00:00Z");
    assert_eq!(hard_gates(&world), [Gate::DeliberateRevocation]);
    assert!(revalidation_gates(&world).is_empty());
}

#[test]
fn a_person_is_asked_about_a_persons_change() {
    let mut world = roles_lost();
    world.log_role_removal("eve", CallerKind::Application, "2026-11-24T02:01:00Z");
    assert!(gates(&world).is_empty());
    world.evidence.changes[0].caller_kind = CallerKind::Unknown;
    assert!(gates(&world).is_empty(), "who can't be named is treated as the preset says");
    world.evidence.changes[0].caller_kind = PERSON;
    assert_eq!(gates(&world), [Gate::MadeByPerson]);
    assert!(hard_gates(&world).is_empty());
    world.policy.gates.pipelines = vec!["OID-of-eve".to_owned()];
    assert!(gates(&world).is_empty(), "a known pipeline signs in as a person");
    world.policy.gates.pipelines.clear();
    assert!(gates(&world.preset(Preset::Auto)).is_empty(), "auto may undo it");
}

#[test]
fn where_there_are_custodians_it_is_known_who_did_it_before_it_is_undone() {
    let mut world = roles_lost().preset(Preset::Auto);
    (world.incident.told_at, world.incident.lost_at) = (None, None);
    world.now = world.incident.opened_at + minutes(1);
    assert!(gates(&world).is_empty(), "nobody's change stays broken");
    world.policy.gates.custodians = vec!["eve".to_owned()];
    assert_eq!(hard_gates(&world), [Gate::CannotTell]);
    world.log_role_removal("mallory", PERSON, "2026-11-20T02:00:00Z");
    assert_eq!(hard_gates(&world), [Gate::CannotTell], "an old change is not this one");
    let at = world.incident.opened_at - minutes(1);
    world.log_role_removal("mallory", PERSON, &at.to_string());
    assert!(hard_gates(&world).is_empty(), "the log names somebody else: {:?}", world.hits());
    world.evidence.changes.clear();
    world.now = world.incident.opened_at + minutes(20);
    assert!(hard_gates(&world).is_empty(), "the log would show it by now");
}

#[test]
fn the_older_key_of_a_server_can_be_held_too() {
    let mut world = world();
    let old = world.link_older(&key_uri("old-key", Some(OLD_VERSION)));
    let Fact::Known(version) = &mut old.version else { panic!() };
    version.tags = BTreeMap::from([("keymend-hold".to_owned(), "yes".to_owned())]);
    world.lose_roles();
    assert_eq!(gates(&world), [Gate::HoldTag]);
}
