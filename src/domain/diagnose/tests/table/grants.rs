//! Rows 8 and 9: access policies and roles.

use super::*;

#[test]
fn row_8_access_policy() {
    let mut world = policy_world();
    world.vault().access_policies = vec![access_policy(&principal("contoso-sql").to_uppercase(), &["get", "wrapkey"])];
    let changes = expect(&world, Cause::PolicyMissing, Link::Permission);
    let [Change::AddAccessPolicy { grants, tenant_id, .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((grants.len(), tenant_id.as_str()), (1, TENANT));
    assert_eq!(grants[0].missing, ["unwrapKey"]);

    world.vault().access_policies = vec![access_policy(&principal("contoso-sql"), &["all"])];
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);

    world.vault().access_policies[0].application_id = Some("on-behalf".to_owned());
    expect(&world, Cause::PolicyMissing, Link::Permission);
}

#[test]
fn row_8_many_servers_are_one_change_of_one_vault() {
    let mut world = world_of(&["c-sql", "a-sql", "b-sql"]);
    world.use_policies();
    world.vault().access_policies.truncate(1);
    let changes = expect(&world, Cause::PolicyMissing, Link::Permission);
    let [Change::AddAccessPolicy { grants, .. }] = &changes[..] else { panic!("{changes:?}") };
    let servers: Vec<_> = grants.iter().map(|grant| grant.server.name()).collect();
    assert_eq!(servers, ["a-sql", "b-sql"]);
    assert_eq!(world.diagnosis().findings[0].servers.len(), 2);
}

#[test]
fn row_9_role_on_the_key_alone() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    world.lose_roles();
    let changes = expect(&world, Cause::RoleMissing, Link::Permission);
    assert_eq!(changes.len(), 2);
    for (change, server) in changes.iter().zip(["a-sql", "b-sql"]) {
        let Change::AssignRole { vault, key, grant, role } = change else { panic!("{change:?}") };
        assert_eq!((vault, key.as_str()), (&vault_id(), "tde-key"));
        assert_eq!((grant.principal_id.as_str(), &grant.server), (principal(server).as_str(), &server_id(server)));
        assert_eq!(role, "e147488a-f6f5-4113-8e2d-b22465e65bf6");
    }
}

#[test]
fn row_9_grants_count_where_they_reach() {
    let reaching = [
        vault_id().to_string().to_uppercase(),
        format!("{}/keys/TDE-Key", vault_id()),
        "/subscriptions/11111111-2222-3333-4444-555555555555".to_owned(),
        "/providers/Microsoft.Management/managementGroups/mg".to_owned(),
    ];
    let elsewhere = [
        format!("{}/keys/other", vault_id()),
        format!("{}-2", vault_id()),
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/other".to_owned(),
    ];
    let mut world = world();
    let mut given = grant(&principal("contoso-sql"));
    for (scopes, cause) in [(&reaching[..], Cause::Healthy), (&elsewhere[..], Cause::RoleMissing)] {
        for scope in scopes {
            given.scope.clone_from(scope);
            world.vault_evidence().grants = Fact::Known(vec![given.clone()]);
            assert_eq!(world.diagnosis().cause(), cause, "{scope}");
        }
    }
    given.scope = vault_id().to_string();
    given.principal_id = "a group".to_owned();
    given.found_for = Some(principal("contoso-sql"));
    world.vault_evidence().grants = Fact::Known(vec![given.clone()]);
    assert_eq!(world.diagnosis().cause(), Cause::Healthy, "through a group");
    given.conditional = true;
    world.vault_evidence().grants = Fact::Known(vec![given]);
    assert_eq!(world.diagnosis().cause(), Cause::Undetermined, "a condition is not evaluated");
}

#[test]
fn row_9b_model_switched() {
    let vault = vault_id().to_string();
    let mut to_rbac = world();
    to_rbac.lose_roles();
    to_rbac.vault().access_policies = vec![access_policy(&principal("contoso-sql"), &["get", "wrapkey", "unwrapkey"])];
    assert_eq!(to_rbac.diagnosis().cause(), Cause::RoleMissing, "nothing shows that it was switched lately");
    let person = crate::domain::evidence::CallerKind::Person;
    to_rbac.log("microsoft.keyvault/vaults/write", &vault, "eve", person, "2026-11-24T02:00:00Z");
    let changes = expect(&to_rbac, Cause::PermissionModelSwitched, Link::Permission);
    assert_eq!(changes[0].remedy(), Remedy::AssignRole, "the grant is made under the new model");
    to_rbac.log_role_removal("eve", person, "2026-11-24T02:01:00Z");
    assert_eq!(to_rbac.diagnosis().cause(), Cause::RoleMissing, "the role was removed afterwards");

    let mut to_policies = policy_world();
    to_policies.vault().access_policies.clear();
    to_policies.vault_evidence().grants = Fact::Known(vec![grant(&principal("contoso-sql"))]);
    to_policies.log("microsoft.keyvault/vaults/write", &vault, "eve", person, "2026-11-24T02:00:00Z");
    let changes = expect(&to_policies, Cause::PermissionModelSwitched, Link::Permission);
    assert_eq!(changes[0].remedy(), Remedy::AddAccessPolicy);
}

#[test]
fn row_9c_deny_assignment() {
    let mut world = world();
    world.deny(&principal("contoso-sql"));
    assert!(expect(&world, Cause::DenyAssignment, Link::Permission).is_empty());
    world.deny("somebody-else");
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn two_servers_with_one_identity_are_granted_once() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    for server in &mut world.evidence.servers {
        let Fact::Known(facts) = &mut server.server else { panic!() };
        facts.identity.system_principal_id = Some("shared".to_owned());
    }
    world.lose_roles();
    let finding = &world.diagnosis().findings[0];
    assert_eq!((finding.changes.len(), finding.servers.len()), (1, 2));
}
