//! Every gate both ways: it stands where it should, and not where it should not.

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
fn read_only_locks_at_or_above_what_is_changed() {
    let group = resource("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-keys");
    let subscription = resource("/subscriptions/11111111-2222-3333-4444-555555555555");
    for scope in [vault_id(), group, subscription] {
        let mut world = roles_lost();
        world.lock(&scope);
        assert_eq!(gates(&world), [Gate::Lock], "{scope}");
        let Fact::Known(locks) = &mut world.evidence.locks else { panic!() };
        locks[0].read_only = false;
        assert!(gates(&world).is_empty(), "CanNotDelete does not stop a grant");
    }
    let mut elsewhere = roles_lost();
    elsewhere.lock(&server_id("contoso-sql"));
    assert!(gates(&elsewhere).is_empty(), "a lock on the server does not stop a grant on the vault");
    assert_eq!(revalidation_gates(&elsewhere), [Gate::Lock]);
}

#[test]
fn locks_do_not_know_of_key_operations() {
    let mut world = disabled();
    world.lock(&vault_id());
    assert!(gates(&world).is_empty());
}

#[test]
fn deny_assignments() {
    let mut world = roles_lost();
    world.deny("somebody-else");
    assert!(gates(&world).is_empty());
    world.deny(&principal("contoso-sql"));
    assert!(
        world.hits_of(&plan_of_cause(&world, Cause::RoleMissing)).iter().any(|hit| hit.gate == Gate::DenyAssignment)
    );
}

fn plan_of_cause(world: &World, cause: Cause) -> Plan {
    let finding = world.diagnosis().findings.into_iter().find(|finding| finding.cause == cause).expect("the cause");
    Plan { cause, remedy: finding.changes[0].remedy(), changes: finding.changes, servers: finding.servers }
}

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
fn cross_tenant_and_managed_hsm() {
    let mut federated = world();
    let plan = {
        federated.lose_roles();
        federated.plan()
    };
    federated.server_facts().federated_client_id = Some("app".to_owned());
    assert!(federated.hits_of(&plan).iter().any(|hit| hit.gate == Gate::CrossTenant));

    let mut hsm = world();
    let key = crate::domain::key_uri::KeyUri::parse("https://contoso-hsm.managedhsm.azure.net/keys/k").expect("a key");
    hsm.vault_evidence().host = key.vault;
    assert_eq!(revalidation_gates(&hsm), [Gate::ManagedHsm]);
}

#[test]
fn nothing_is_in_scope_that_is_not_named() {
    let mut world = roles_lost();
    world.policy.scope = crate::domain::policy::Scope::default();
    assert!(gates(&world).contains(&Gate::OutOfScope));
    assert_eq!(revalidation_gates(&world), [Gate::OutOfScope]);
    world.policy.scope.resources = vec![vault_id()];
    assert_eq!(gates(&world), [Gate::OutOfScope], "the server that gains access must be in scope too");
    world.policy.scope.resources.push(server_id("contoso-sql"));
    assert!(gates(&world).is_empty());
    world.policy.scope.except = vec![vault_id()];
    assert_eq!(gates(&world), [Gate::OutOfScope]);

    let mut key = disabled();
    key.policy.scope.subscriptions.clear();
    key.policy.scope.resources = vec![server_id("contoso-sql")];
    assert_eq!(gates(&key), [Gate::OutOfScope], "a key is where its vault is");
}

#[test]
fn blast_radius_counts_servers_that_could_not_be_read() {
    let mut world = world_of(&["a-sql", "b-sql", "c-sql"]);
    world.lose_roles();
    world.policy.gates.max_servers = 3;
    assert!(gates(&world).is_empty());
    world.policy.gates.max_servers = 2;
    assert_eq!(gates(&world), [Gate::BlastRadius]);
    world.server().server = Fact::Unknown("timeout".to_owned());
    assert_eq!(gates(&world), [Gate::BlastRadius]);
    assert!(revalidation_gates(&world).is_empty());
}

#[test]
fn blast_radius_is_that_of_one_remedy() {
    let mut world = world_of(&["a-sql", "b-sql", "c-sql"]);
    world.lose_roles();
    world.policy.gates.max_servers = 1;
    assert_eq!(gates(&world), [Gate::BlastRadius]);
    let server = server_id("a-sql");
    let changes = vec![Change::AssignIdentity { server: server.clone(), keep: Vec::new() }];
    let plan = Plan { cause: Cause::IdentityMissing, remedy: Remedy::AssignIdentity, changes, servers: vec![server] };
    let hits = world.hits_of(&plan);
    assert!(!hits.iter().any(|hit| hit.gate == Gate::BlastRadius), "three lost a role, one its identity: {hits:?}");
}

#[test]
fn a_repair_that_somebody_undid_is_not_made_again() {
    let mut world = roles_lost();
    let subject = world.plan().changes[0].subjects().remove(0);
    world.memory.repairs = vec![("something|else".to_owned(), world.ago(60))];
    assert!(gates(&world).is_empty());
    world.memory.repairs.push((subject.clone(), world.ago(60)));
    assert_eq!(gates(&world), [Gate::Undone]);
    world.memory.repairs = vec![(subject, world.ago(25 * 60))];
    assert!(gates(&world).is_empty(), "a day is over");
    world.memory.repairs.clear();
    let (change, made) = (world.plan().changes.remove(0), world.made(60));
    world.attempt(change, 60, made);
    assert_eq!(gates(&world), [Gate::Undone], "made in this incident");
    world.incident.attempts.clear();
    let (change, made) = (world.plan().changes.remove(0), world.made(72 * 60));
    world.attempt(change, 72 * 60, made);
    assert_eq!(
        gates(&world),
        [Gate::Undone],
        "made in this incident three days ago, or so a clock says that was put right"
    );
}

#[test]
fn what_never_took_effect_was_not_undone() {
    let mut world = roles_lost();
    let change = world.plan().changes.remove(0);
    let subject = change.subjects().remove(0);
    let failed = world.failed("InternalError", 30);
    world.attempt(change.clone(), 30, failed);
    world.attempt(change, 5, None);
    world.memory.repairs = vec![(subject.clone(), world.ago(30)), (subject.clone(), world.ago(5))];
    assert!(gates(&world).is_empty());
    world.memory.repairs.push((subject, world.ago(600)));
    assert_eq!(gates(&world), [Gate::Undone], "an earlier incident's repair");
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

#[test]
fn write_budget_and_circuit_breaker_hold_for_every_remedy() {
    let mut world = roles_lost();
    world.memory.writes_last_hour = 199;
    assert!(gates(&world).is_empty());
    world.memory.writes_last_hour = 200;
    assert_eq!(gates(&world), [Gate::WriteBudget]);
    assert_eq!(revalidation_gates(&world), [Gate::WriteBudget]);
    world.memory.writes_last_hour = 0;
    for _ in 0..3 {
        assert!(gates(&world).is_empty());
        let failed = world.failed("InternalError", 90);
        world.attempt(Change::Revalidate { server: server_id("contoso-sql") }, 90, failed);
    }
    assert_eq!(gates(&world), [Gate::CircuitBreaker]);
    assert_eq!(revalidation_gates(&world), [Gate::CircuitBreaker]);
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
fn what_an_approved_recovery_lost_is_not_asked_about_again() {
    let mut world = world();
    world.delete_vault();
    world.log("microsoft.keyvault/vaults/delete", vault_id().as_str(), "eve", PERSON, "2026-11-24T02:00:00Z");
    assert_eq!(gates(&world), [Gate::MadeByPerson]);
    let plan = world.plan();
    world.answer(&plan, true);
    let approval = world.incident.approval.take();

    let mut recovered = roles_lost();
    recovered.evidence.changes.clone_from(&world.evidence.changes);
    recovered.incident.approval = approval;
    assert_eq!(gates(&recovered), [Gate::MadeByPerson], "the approved plan has not run yet");
    let made = recovered.made(2);
    recovered.attempt(plan.changes[0].clone(), 3, made);
    recovered.incident.attempts[0].plan_hash = plan.hash();
    assert!(gates(&recovered).is_empty());
    // What somebody did since is a new reason.
    recovered.log_role_removal("mallory", PERSON, "2026-11-24T02:09:30Z");
    assert_eq!(gates(&recovered), [Gate::MadeByPerson]);
}

type Hide = (&'static str, fn(&mut World));

#[test]
fn what_a_gate_cannot_see_stops_a_repair() {
    fn unread<T>() -> Fact<T> {
        Fact::Denied(MissingRight { action: "read".to_owned(), scope: "somewhere".to_owned() })
    }
    let hidings: [Hide; 5] = [
        ("locks", |w| w.evidence.locks = unread()),
        ("denials", |w| w.vault_evidence().denials = unread()),
        ("key", |w| w.evidence.keys[0].version = unread()),
        ("databases", |w| w.server().databases = unread()),
        ("linked keys", |w| w.server().linked_keys = unread()),
    ];
    for (what, hide) in hidings {
        let mut world = roles_lost();
        hide(&mut world);
        let plan = plan_of_cause(&world, Cause::RoleMissing);
        let hits = world.hits_of(&plan);
        assert!(hits.iter().any(|hit| hit.hard && hit.gate == Gate::CannotTell), "{what}: {hits:?}");
        assert!(revalidation_gates(&world).is_empty(), "{what}: re-validation gives nobody access");
    }
    let mut denials = roles_lost();
    denials.vault_evidence().denials = unread();
    let why = &denials.hits_of(&plan_of_cause(&denials, Cause::RoleMissing))[0].why;
    assert_eq!(why, "deny assignments may not be read: read on somewhere is missing");
    let mut shared = world_of(&["a-sql", "b-sql"]);
    shared.delete_key();
    shared.server().server = unread();
    assert!(gates(&shared).contains(&Gate::CannotTell), "one server's hold tag could not be looked for");
}

#[test]
fn an_identity_that_may_be_deleted_is_not_granted_anything() {
    let mut world = world();
    world.use_identity("umi");
    world.lose_roles();
    assert!(gates(&world).is_empty());
    world.server_facts().identity.user_assigned[0].resource = Fact::Unknown("timeout".to_owned());
    assert_eq!(gates(&world), [Gate::CannotTell]);
    assert_eq!(world.server_facts().identity.user_assigned[0].id, identity_id("umi"));
}

#[test]
fn a_deleted_vaults_keys_need_not_be_seen() {
    let mut world = world();
    world.delete_vault();
    let plan = world.plan();
    let location = "westeurope".to_owned();
    assert_eq!(plan.changes, [Change::RecoverVault { vault: vault_id(), location, tenant_id: TENANT.to_owned() }]);
    assert!(gates(&world).is_empty());
}

#[test]
fn hard_gates_come_first() {
    let mut world = roles_lost();
    world.log_role_removal("eve", PERSON, "2026-11-24T02:01:00Z");
    world.vault().tags = BTreeMap::from([("keymend-hold".to_owned(), "yes".to_owned())]);
    world.lock(&vault_id());
    assert_eq!(gates(&world), [Gate::HoldTag, Gate::Lock, Gate::MadeByPerson]);
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
