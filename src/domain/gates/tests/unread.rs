//! What a gate cannot see.

use super::*;

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
