//! Rows 1 to 7: identities, and vaults that cannot be reached.

use super::*;

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
