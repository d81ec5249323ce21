//! Locks, deny assignments, scope and reach.

use super::*;

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
