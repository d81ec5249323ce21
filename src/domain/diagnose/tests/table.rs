//! One test for each row of the decision table.

use crate::domain::diagnosis::{Cause, Diagnosis, Link, LinkState};
use crate::domain::evidence::{DeletedKey, Fact};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::test_support::{
    OLD_VERSION, TENANT, VERSION, World, access_policy, at, grant, identity_id, key_uri, policy_world, principal,
    server_id, vault_id, world, world_of,
};

fn causes(diagnosis: &Diagnosis) -> Vec<Cause> {
    diagnosis.findings.iter().map(|finding| finding.cause).collect()
}

fn link(diagnosis: &Diagnosis, link: Link) -> LinkState {
    diagnosis.checks.iter().find(|check| check.link == link).expect("every link is checked").state
}

/// Asserts the only cause, and that the right link is shown as broken; answers the changes.
fn expect(world: &World, cause: Cause, broken: Link) -> Vec<Change> {
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [cause], "{diagnosis:#?}");
    assert_eq!(link(&diagnosis, broken), LinkState::Broken, "{:#?}", diagnosis.checks);
    let first = &diagnosis.findings[0];
    assert!(!first.proof.is_empty(), "a finding without proof");
    assert!(first.changes.iter().all(|change| change.remedy() == first.changes[0].remedy()));
    first.changes.clone()
}

#[test]
fn a_whole_chain_is_healthy_and_every_link_says_so() {
    for world in [world(), policy_world(), world_of(&["a-sql", "b-sql"])] {
        let diagnosis = world.diagnosis();
        assert_eq!(causes(&diagnosis), [Cause::Healthy], "{diagnosis:#?}");
        assert_eq!(diagnosis.checks.len(), 6);
        assert!(diagnosis.checks.iter().all(|check| check.state == LinkState::Ok), "{:#?}", diagnosis.checks);
        assert!(diagnosis.chain_is_whole());
    }
}

#[test]
fn row_1_no_identity() {
    let mut world = world();
    world.server_facts().identity.system_principal_id = None;
    let changes = expect(&world, Cause::IdentityMissing, Link::Identity);
    assert_eq!(changes, [Change::AssignIdentity { server: server_id("contoso-sql"), keep: Vec::new() }]);
}

#[test]
fn row_2_deleted_identity_has_no_remedy() {
    let mut world = world();
    world.use_identity("umi");
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    world.server_facts().identity.user_assigned[0].resource = Fact::Absent;
    assert!(expect(&world, Cause::IdentityDeleted, Link::Identity).is_empty());
    assert_eq!(world.diagnosis().findings[0].resource, identity_id("umi").to_string());

    world.server_facts().identity.user_assigned[0].resource = Fact::Known("another-principal".to_owned());
    expect(&world, Cause::IdentityDeleted, Link::Identity);

    world.server_facts().identity.user_assigned[0].resource = Fact::Known(principal("umi"));
    world.server_facts().identity.primary = Some(identity_id("other"));
    expect(&world, Cause::IdentityDeleted, Link::Identity);
}

#[test]
fn the_identity_that_sql_uses_is_the_one_that_needs_the_role() {
    let mut world = world();
    world.use_identity("umi");
    // The usual human error: the grant is on the system-assigned identity.
    world.server_facts().identity.system_principal_id = Some(principal("contoso-sql"));
    world.vault_evidence().grants = Fact::Known(vec![grant(&principal("contoso-sql"))]);
    let changes = expect(&world, Cause::RoleMissing, Link::Permission);
    assert!(matches!(&changes[..], [Change::AssignRole { grant, .. }] if grant.principal_id == principal("umi")));
}

#[test]
fn rows_3_and_27_other_tenants() {
    let mut federated = world();
    federated.server_facts().federated_client_id = Some("app".to_owned());
    assert!(expect(&federated, Cause::CrossTenant, Link::Identity).is_empty());
    let mut moved = world();
    moved.vault().tenant_id = "another".to_owned();
    assert!(expect(&moved, Cause::CrossTenant, Link::Identity).is_empty());
}

#[test]
fn row_4_deleted_vault_is_one_finding_for_all_servers() {
    let mut world = world_of(&["b-sql", "a-sql"]);
    world.delete_vault();
    let changes = expect(&world, Cause::VaultDeleted, Link::Vault);
    let location = "westeurope".to_owned();
    assert_eq!(changes, [Change::RecoverVault { vault: vault_id(), location, tenant_id: TENANT.to_owned() }]);
    let finding = &world.diagnosis().findings[0];
    assert_eq!(finding.servers, [server_id("a-sql"), server_id("b-sql")]);
    assert_eq!(finding.since, Some(at("2026-11-24T02:00:00Z")));
    assert_eq!(finding.purge_at, Some(at("2027-02-22T02:00:00Z")));
}

#[test]
fn row_5_vault_in_no_list() {
    let mut world = world();
    world.delete_vault();
    world.vault_evidence().deleted = Fact::Absent;
    assert!(expect(&world, Cause::VaultAbsent, Link::Vault).is_empty());
}

#[test]
fn row_5_a_vault_that_answers_is_not_absent() {
    let mut world = world();
    world.delete_vault();
    world.vault_evidence().deleted = Fact::Absent;
    world.vault_evidence().reachable = Fact::Known(true);
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::Undetermined]);
    assert_eq!(diagnosis.missing_rights[0].action, "Microsoft.KeyVault/vaults/read");
}

#[test]
fn row_6_firewall_sends_back_the_rules_it_read() {
    let mut world = world();
    world.close_firewall();
    let changes = expect(&world, Cause::VaultFirewalled, Link::Firewall);
    let [Change::TrustedServicesBypass { acls, .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(acls["ipRules"][0]["value"], "203.0.113.0/24");

    let mut disabled = self::world();
    disabled.vault().network.public_access = "Disabled".to_owned();
    assert_eq!(causes(&disabled.diagnosis()), [Cause::Healthy], "trusted services still get in");
    disabled.vault().network.trusted_services_bypass = false;
    expect(&disabled, Cause::VaultFirewalled, Link::Firewall);
}

#[test]
fn row_6b_perimeter_is_blamed_only_for_a_loss() {
    let mut world = world();
    world.vault().network.public_access = "SecuredByPerimeter".to_owned();
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    world.set_status("Inaccessible");
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::VaultPerimeter]);
    assert!(diagnosis.findings[0].changes.is_empty());
}

#[test]
fn row_7_network() {
    let mut outage = world();
    outage.vault_evidence().reachable = Fact::Known(false);
    assert!(expect(&outage, Cause::VaultUnreachable, Link::Firewall).is_empty());

    let mut private = world();
    private.vault().network.public_access = "Disabled".to_owned();
    private.vault_evidence().reachable = Fact::Known(false);
    assert_eq!(causes(&private.diagnosis()), [Cause::Healthy], "our own view of a closed vault says nothing");
    private.vault().pending_private_endpoints = vec![("pe-1".to_owned(), "Pending".to_owned())];
    private.set_status("Inaccessible");
    assert_eq!(causes(&private.diagnosis()), [Cause::PrivateEndpointPending]);

    let mut setting_up = world();
    setting_up.vault().provisioning_state = Some("RegisteringDns".to_owned());
    assert_eq!(causes(&setting_up.diagnosis()), [Cause::Undetermined]);
}

#[test]
fn what_was_read_of_the_configuration_goes_before_our_own_view_of_the_network() {
    let mut world = world();
    world.vault_evidence().reachable = Fact::Known(false);
    world.lose_roles();
    assert_eq!(causes(&world.diagnosis()), [Cause::RoleMissing, Cause::VaultUnreachable]);
}

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
fn rows_18_and_19_whole_chain_and_databases_down() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases[0].status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::StillInaccessible]);
    assert_eq!(diagnosis.findings[0].servers, [server_id("a-sql")]);
    assert!(diagnosis.chain_is_whole());
    assert_eq!(diagnosis.inaccessible.len(), 1);
    assert_eq!(link(&diagnosis, Link::Database), LinkState::Broken);
}

#[test]
fn a_database_that_is_still_recovering_is_not_back() {
    let mut world = world();
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases[0].status = "Recovering".to_owned();
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
    databases_of(&mut world)[0].status = "Online".to_owned();
    databases_of(&mut world)[1].status = "Restoring".to_owned();
    assert_eq!(world.diagnosis().cause(), Cause::Healthy, "billing was never part of this incident");
}

fn databases_of(world: &mut World) -> &mut Vec<crate::domain::evidence::Database> {
    match &mut world.server().databases {
        Fact::Known(databases) => databases,
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_24_gone_and_variants_that_are_not_ours() {
    let mut gone = world();
    gone.server().server = Fact::Absent;
    assert_eq!(causes(&gone.diagnosis()), [Cause::TargetGone]);
    let mut empty = world();
    empty.server().databases = Fact::Known(Vec::new());
    assert_eq!(causes(&empty.diagnosis()), [Cause::TargetGone]);
    let mut managed = world();
    let Fact::Known(protector) = &mut managed.server().protector else { panic!() };
    protector.customer_managed = false;
    protector.uri = None;
    assert_eq!(causes(&managed.diagnosis()), [Cause::ServiceManaged]);
}

#[test]
fn a_server_that_is_gone_does_not_hide_the_others() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    world.server().server = Fact::Absent;
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    world.lose_roles();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::RoleMissing]);
    assert_eq!(diagnosis.findings[0].servers, [server_id("b-sql")]);
}

#[test]
fn managed_hsm_is_recognised() {
    let mut world = world();
    let hsm = crate::domain::key_uri::KeyUri::parse(
        "https://contoso-hsm.managedhsm.azure.net/keys/tde-key/ee059b2bb5bc48398a53b168c6cdcb10",
    );
    let host = hsm.clone().expect("an HSM key").vault;
    world.vault_evidence().host = host;
    let Fact::Known(protector) = &mut world.server().protector else { panic!() };
    protector.uri = hsm;
    assert_eq!(causes(&world.diagnosis()), [Cause::ManagedHsm]);
}

#[test]
fn a_database_with_its_own_key_is_a_persons_work_and_hides_nothing() {
    let mut world = world();
    let own = key_uri("own-key", Some(OLD_VERSION));
    let database = &mut databases_of(&mut world)[2];
    database.own_protector = Some(own);
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    database_down(&mut world, 2);
    assert_eq!(causes(&world.diagnosis()), [Cause::DatabaseLevelKey]);
    assert!(!world.diagnosis().chain_is_whole());
    database_down(&mut world, 0);
    assert_eq!(causes(&world.diagnosis()), [Cause::StillInaccessible, Cause::DatabaseLevelKey]);
    assert!(world.diagnosis().chain_is_whole());
    world.lose_roles();
    assert_eq!(world.diagnosis().cause(), Cause::RoleMissing);
}

fn database_down(world: &mut World, index: usize) {
    databases_of(world)[index].status = "Inaccessible".to_owned();
}

#[test]
fn causes_on_different_servers_are_told_apart_and_in_order() {
    let mut world = world_of(&["a-sql", "b-sql", "c-sql"]);
    world.server_facts().identity.system_principal_id = None;
    world.vault_evidence().grants = Fact::Known(vec![grant(&principal("c-sql"))]);
    let Fact::Known(databases) = &mut world.evidence.servers[2].databases else { panic!() };
    databases[0].status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::IdentityMissing, Cause::RoleMissing, Cause::StillInaccessible]);
    let servers: Vec<_> = diagnosis.findings.iter().map(|finding| finding.servers[0].name()).collect();
    assert_eq!(servers, ["a-sql", "b-sql", "c-sql"]);
    assert!(!diagnosis.chain_is_whole());
}

#[test]
fn a_server_whose_key_is_in_another_vault_by_now_is_left_alone() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let other = crate::domain::key_uri::KeyUri::parse(
        "https://other-kv.vault.azure.net/keys/k/ee059b2bb5bc48398a53b168c6cdcb10",
    );
    let Fact::Known(protector) = &mut world.server().protector else { panic!() };
    protector.uri = other;
    world.delete_vault();
    assert_eq!(world.diagnosis().findings[0].servers, [server_id("b-sql")]);
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

#[test]
fn purge_time_of_a_deleted_key_is_told() {
    let mut world = world();
    world.delete_key();
    let purge_at = Some(at("2026-11-24T03:00:00Z"));
    world.evidence.keys[0].deleted =
        Fact::Known(DeletedKey { deleted_at: None, purge_at, tags: std::collections::BTreeMap::new() });
    assert_eq!(world.diagnosis().findings[0].purge_at, purge_at);
}
