//! How far a gate reaches: which plans it looks at, which finding, which servers and which keys it takes for theirs.

use std::collections::BTreeMap;

use super::{Situation, finding_of, hits, is_safe, keys_of, servers};
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::{CallerKind, Fact};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::test_support::{
    OLD_VERSION, VERSION, World, at, key_evidence, key_uri, minutes, server_id, vault_id, world, world_of,
};

fn plan(remedy: Remedy, changes: Vec<Change>) -> Plan {
    Plan { cause: Cause::StillInaccessible, remedy, changes, servers: vec![server_id("contoso-sql")] }
}

fn revalidate(server: &str) -> Change {
    Change::Revalidate { server: server_id(server) }
}

fn with_situation<T>(world: &World, look: impl FnOnce(&Situation<'_>, &Diagnosis) -> T) -> T {
    let diagnosis = world.diagnosis();
    let situation = Situation {
        evidence: &world.evidence,
        diagnosis: &diagnosis,
        incident: &world.incident,
        memory: &world.memory,
        policy: &world.policy,
        now: world.now,
    };
    look(&situation, &diagnosis)
}

fn hits_of(world: &World, plan: &Plan) -> Vec<GateHit> {
    with_situation(world, |situation, _| hits(plan, situation))
}

/// A grant that was lost, of each of two servers.
fn two_lost() -> World {
    let mut world = world_of(&["contoso-sql", "fabrikam-sql"]);
    world.lose_roles();
    world
}

#[test]
fn only_waiting_that_changes_nothing_needs_no_gate() {
    let mut held = world();
    held.vault().tags = BTreeMap::from([("keymend-hold".to_owned(), "yes".to_owned())]);
    let stops = |remedy, changes| !hits_of(&held, &plan(remedy, changes)).is_empty();
    assert!(!stops(Remedy::Wait, Vec::new()));
    assert!(stops(Remedy::Wait, vec![revalidate("contoso-sql")]), "it says that it waits, and changes something");
    assert!(stops(Remedy::Revalidate, Vec::new()), "what it would change is not known yet");
    assert!(stops(Remedy::Revalidate, vec![revalidate("contoso-sql")]));
}

#[test]
fn a_plan_is_as_safe_as_its_name_and_each_of_its_changes() {
    let enable = || Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) };
    assert!(is_safe(&plan(Remedy::Revalidate, vec![revalidate("contoso-sql")])));
    assert!(is_safe(&plan(Remedy::Wait, Vec::new())));
    assert!(!is_safe(&plan(Remedy::Revalidate, vec![revalidate("contoso-sql"), enable()])));
    assert!(!is_safe(&plan(Remedy::EnableKey, Vec::new())));
    assert!(!is_safe(&plan(Remedy::EnableKey, vec![revalidate("contoso-sql")])));
}

#[test]
fn a_hard_gate_comes_before_a_soft_one_of_an_earlier_kind() {
    let mut world = world();
    world.incident.loss_reported = false;
    let (soon, opened) = (world.now + minutes(180), world.incident.opened_at);
    let version = world.version();
    (version.expires, version.created) = (Some(soon), Some(at("2026-01-01T00:00:00Z")));
    version.updated = Some(opened - minutes(29));
    world.memory.writes_last_hour = world.policy.gates.writes_per_hour;
    let all: Vec<(Gate, bool)> = world.hits().iter().map(|hit| (hit.gate, hit.hard)).collect();
    assert_eq!(all, [(Gate::WriteBudget, true), (Gate::DeliberateRevocation, false)]);
}

#[test]
fn a_plan_is_judged_by_the_finding_whose_changes_it_makes() {
    let mut world = two_lost();
    world.log_role_removal("eve", CallerKind::Person, "2026-11-24T02:01:00Z");
    let mut diagnosis = world.diagnosis();
    let mut other = diagnosis.findings[0].clone();
    other.changes = vec![revalidate("fabrikam-sql")];
    other.resource = "another".to_owned();
    let mut unlike = other.clone();
    unlike.cause = Cause::KeyDisabled;
    unlike.resource = "unlike".to_owned();
    diagnosis.findings.insert(0, unlike);
    diagnosis.findings.push(other);
    with_situation(&world, |situation, _| {
        let situation = Situation { diagnosis: &diagnosis, ..*situation };
        let found = |cause, changes| {
            let plan = Plan { cause, ..plan(Remedy::AssignRole, changes) };
            finding_of(&plan, &situation).map(|finding| finding.resource.clone())
        };
        let first = &diagnosis.findings[1];
        assert_eq!(found(first.cause, vec![revalidate("fabrikam-sql")]).as_deref(), Some("another"));
        assert_eq!(found(first.cause, first.changes.clone()), Some(first.resource.clone()));
        assert_eq!(found(first.cause, vec![revalidate("elsewhere")]), Some(first.resource.clone()), "by its cause");
        assert_eq!(found(Cause::KeyDisabled, Vec::new()).as_deref(), Some("unlike"));
        assert_eq!(found(Cause::VaultDeleted, vec![revalidate("fabrikam-sql")]), None, "none has that cause");
    });
}

#[test]
fn every_server_that_a_change_names_gains_access() {
    let named = |change| {
        let plan = Plan { servers: Vec::new(), ..plan(Remedy::AssignRole, vec![change]) };
        servers(&plan).into_iter().collect::<Vec<_>>()
    };
    let contoso = server_id("contoso-sql");
    let identity = Change::AssignIdentity { server: contoso.clone(), keep: Vec::new() };
    for change in [revalidate("contoso-sql"), identity, world_with_grant()] {
        assert_eq!(named(change), std::slice::from_ref(&contoso));
    }
    assert_eq!(named(Change::EnableKey { key: key_uri("tde-key", None) }), []);
}

fn world_with_grant() -> Change {
    let mut world = world();
    world.lose_roles();
    world.plan().changes.remove(0)
}

/// The keys whose tags, tenants and dates are looked at before a change is made.
fn keys_looked_at(world: &World, plan: &Plan) -> Vec<String> {
    with_situation(world, |situation, _| keys_of(plan, situation).iter().map(|key| key.uri.to_string()).collect())
}

#[test]
fn the_keys_of_a_plan_are_those_its_servers_need_or_its_changes_touch() {
    let (tde, other) = (key_uri("tde-key", Some(VERSION)), key_uri("other-key", Some(OLD_VERSION)));
    let mut world = world();
    world.evidence.keys.push(key_evidence(&other));
    let of_server = plan(Remedy::Revalidate, vec![revalidate("contoso-sql")]);
    assert_eq!(keys_looked_at(&world, &of_server), [tde.to_string()], "the other key is nobody's here");

    let none = |changes| Plan { servers: Vec::new(), ..plan(Remedy::EnableKey, changes) };
    let touched = |change| keys_looked_at(&world, &none(vec![change]));
    assert_eq!(touched(Change::EnableKey { key: other.clone() }), [other.to_string()]);
    assert_eq!(touched(Change::EnableKey { key: key_uri("other-key", Some(VERSION)) }), Vec::<String>::new());
    assert_eq!(touched(Change::RecoverKey { key: key_uri("other-key", None) }), [other.to_string()]);
    let extend = Change::ExtendExpiry { key: other.clone(), from: None, to: at("2026-11-25T00:00:00Z") };
    assert_eq!(touched(extend), [other.to_string()]);
    let Change::AssignRole { grant, role, .. } = world_with_grant() else { panic!("a role is assigned") };
    let assign = Change::AssignRole { vault: vault_id(), key: "Other-Key".to_owned(), grant, role };
    let also_its_servers = [tde.to_string(), other.to_string()];
    assert_eq!(touched(assign), also_its_servers, "the grant's server needs the first, the grant is on the second");
    assert_eq!(touched(revalidate("contoso-sql")), [tde.to_string()]);
    assert_eq!(
        touched(Change::RecoverVault { vault: vault_id(), location: String::new(), tenant_id: String::new() }),
        Vec::<String>::new()
    );
}

#[test]
fn a_server_that_could_not_be_read_may_need_every_key() {
    let other = key_uri("other-key", Some(OLD_VERSION));
    let of_server = plan(Remedy::Revalidate, vec![revalidate("contoso-sql")]);
    let mut world = world();
    world.evidence.keys.push(key_evidence(&other));
    let mut same_key_elsewhere = key_evidence(&key_uri("tde-key", Some(OLD_VERSION)));
    same_key_elsewhere.versions.clear();
    world.evidence.keys.push(same_key_elsewhere);
    assert_eq!(keys_looked_at(&world, &of_server).len(), 1, "another version of its key is not the one it needs");
    let unread: [fn(&mut World); 2] = [
        |world| world.server().protector = Fact::Unknown("not read".to_owned()),
        |world| world.server().linked_keys = Fact::Unknown("not read".to_owned()),
    ];
    for hide in unread {
        let mut blind = world.clone();
        hide(&mut blind);
        assert_eq!(keys_looked_at(&blind, &of_server).len(), 3);
    }
    let stranger = plan(Remedy::Revalidate, vec![revalidate("nobody-saw")]);
    assert_eq!(keys_looked_at(&world, &Plan { servers: Vec::new(), ..stranger }).len(), 3);
}
