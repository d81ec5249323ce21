//! Between the diagnosis and the repair somebody was there: nothing is sent, and what is different is said.

use jiff::SignedDuration;
use keymend::clock;
use keymend::domain::remedy::{Change, Remedy};
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::world::{PermissionModel, World};
use keymend::remedy::Applied;
use serde_json::{Value, json};

use crate::gate::Do;
use crate::lab::{Lab, TENANT, key, version, world};

/// The change finds another situation; nothing is written; the reason holds these words.
async fn differs(lab: &Lab, change: &Change, words: &str) {
    let applied = lab.apply_one(change).await;
    let Applied::NotApplicable { why } = &applied else { panic!("{change:?}: {applied:?}") };
    assert!(why.contains(words), "{why}");
    assert!(lab.gate.writes().is_empty(), "{change:?}");
}

async fn is_there(lab: &Lab, change: &Change) {
    let applied = lab.apply_one(change).await;
    assert!(matches!(applied, Applied::AlreadyThere { .. }), "{change:?}: {applied:?}");
    assert!(lab.gate.writes().is_empty(), "{change:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_permission_model() {
    let rbac = Lab::broken(Remedy::AssignRole).await;
    let (vault, tenant_id) = (rbac.vault(), TENANT.to_owned());
    let policy = Change::AddAccessPolicy { vault, tenant_id, grants: vec![rbac.grant(0).await] };
    differs(&rbac, &policy, "Azure RBAC").await;
    let lab = Lab::broken(Remedy::AddAccessPolicy).await;
    differs(&lab, &lab.role_for(0).await, "access policies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant() {
    let lab = Lab::broken(Remedy::AddAccessPolicy).await;
    let tenant_id = "00000000-0000-0000-0000-000000000001".to_owned();
    let change = Change::AddAccessPolicy { vault: lab.vault(), tenant_id, grants: vec![lab.grant(0).await] };
    differs(&lab, &change, TENANT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_is_gone() {
    for remedy in [Remedy::AddAccessPolicy, Remedy::AssignRole, Remedy::TrustedServicesBypass] {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        lab.break_for(Remedy::RecoverVault);
        differs(&lab, &change, "no longer there").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_to_recover() {
    let mut world = world(Remedy::RecoverVault);
    world.vaults[0].soft_delete_days = 7;
    for remedy in [Remedy::RecoverVault, Remedy::RecoverKey] {
        let lab = Lab::of(world.clone()).await;
        lab.break_for(remedy);
        let change = lab.change(remedy).await;
        lab.wait(7 * 24 * 3600 + 60).await;
        differs(&lab, &change, "purge").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_recovered_only_where_it_was() {
    let lab = Lab::broken(Remedy::RecoverVault).await;
    let recover = |vault: ResourceId, location: &str| Change::RecoverVault {
        vault,
        location: location.to_owned(),
        tenant_id: TENANT.to_owned(),
    };
    differs(&lab, &recover(lab.vault(), "northeurope"), "westeurope").await;
    let other = ResourceId::parse(&lab.vault().to_string().replace("rg-keys", "rg-other")).unwrap();
    differs(&lab, &recover(other, "westeurope"), "purged").await;
    let change = recover(lab.vault(), "West Europe");
    lab.settle(&change).await;
    assert!(lab.is_mended(&change).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_set_of_identities() {
    let lab = Lab::of(world(Remedy::Wait).user_assigned()).await;
    let change = Change::AssignIdentity { server: lab.server(), keep: vec![] };
    differs(&lab, &change, "id-contoso-sql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_assigned_identities_are_kept() {
    let lab = Lab::of(world(Remedy::Wait).user_assigned()).await;
    let before = lab.direct.server(&lab.server()).await.unwrap().identity;
    let keep = before.user_assigned.iter().map(|identity| identity.id.clone()).collect();
    let change = Change::AssignIdentity { server: lab.server(), keep };
    lab.settle(&change).await;
    let after = lab.direct.server(&lab.server()).await.unwrap().identity;
    assert!(after.system_principal_id.is_some());
    assert_eq!((after.user_assigned, after.primary), (before.user_assigned, before.primary));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_version() {
    let lab = Lab::broken(Remedy::EnableKey).await;
    let mut gone = version();
    gone.version = Some("f".repeat(32));
    differs(&lab, &Change::EnableKey { key: gone.clone() }, "no longer there").await;
    differs(&lab, &Change::EnableKey { key: key() }, "no version").await;
    let to = clock::add(lab.clock.now(), SignedDuration::from_hours(1));
    differs(&lab, &Change::ExtendExpiry { key: gone, from: None, to }, "no longer there").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_expiry() {
    let lab = Lab::broken(Remedy::ExtendExpiry).await;
    let Change::ExtendExpiry { key, from, to } = lab.change(Remedy::ExtendExpiry).await else { unreachable!() };
    let expires = from.unwrap();
    let hours = |hours| SignedDuration::from_hours(hours);
    let extend = |from, to| Change::ExtendExpiry { key: key.clone(), from, to };
    differs(&lab, &extend(Some(clock::add(expires, hours(1))), to), "changed since the diagnosis").await;
    differs(&lab, &extend(None, to), "changed since the diagnosis").await;
    // Never shortened, never to a moment that has passed.
    is_there(&lab, &extend(from, clock::add(expires, hours(-1)))).await;
    differs(&lab, &extend(from, clock::add(lab.clock.now(), hours(-1))), "has passed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_disabled_is_not_extended() {
    let mut world = world(Remedy::ExtendExpiry);
    world.vaults[0].keys[0].versions[0].enabled = false;
    let lab = Lab::of(world).await;
    differs(&lab, &lab.change(Remedy::ExtendExpiry).await, "disabled").await;
}

/// The firewall of the broken world, seen after somebody changed it.
async fn firewall(change: impl FnOnce(&mut World)) -> (Lab, Change) {
    let planned = Lab::broken(Remedy::TrustedServicesBypass).await.change(Remedy::TrustedServicesBypass).await;
    let mut world = world(Remedy::TrustedServicesBypass);
    change(&mut world);
    (Lab::of(world).await, planned)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_firewall() {
    let (lab, change) = firewall(|world| world.vaults[0].network.ip_rules.push("192.0.2.1/32".to_owned())).await;
    differs(&lab, &change, "ipRules").await;
    let (lab, change) =
        firewall(|world| world.vaults[0].network.public_network_access = "SecuredByPerimeter".to_owned()).await;
    differs(&lab, &change, "perimeter").await;
    let (lab, change) = firewall(|world| world.vaults[0].network.default_action = "Allow".to_owned()).await;
    is_there(&lab, &change).await;
    let (lab, change) = firewall(|world| world.vaults[0].model = PermissionModel::Policy).await;
    assert!(
        matches!(lab.apply_one(&change).await, Applied::Made(_)),
        "the permission model is no rule of the firewall"
    );
}

/// A vault as the Resource Manager shows it.
fn shown(vault: &ResourceId, acls: Value, access: &str) -> Do {
    let body = json!({"id": vault, "location": "westeurope", "properties": {
        "tenantId": TENANT, "enableRbacAuthorization": true, "accessPolicies": [],
        "networkAcls": acls, "publicNetworkAccess": access,
    }});
    Do::Answer(200, vec![], body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firewall_that_changes_under_our_hands_is_told() {
    let open = json!({"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": [], "virtualNetworkRules": []});
    let lab = Lab::broken(Remedy::TrustedServicesBypass).await;
    let change = lab.change(Remedy::TrustedServicesBypass).await;
    let (vault, mut written) = (lab.vault(), false);
    lab.gate.rule(move |request, _| {
        let read_back = written && !request.is_write();
        written |= request.is_write();
        if read_back { shown(&vault, open.clone(), "Disabled") } else { Do::Pass }
    });
    let applied = lab.apply_one(&change).await;
    let Applied::Failed { code, why, .. } = &applied else { panic!("{applied:?}") };
    assert_eq!(code, "FirewallChangedMeanwhile");
    assert!(why.contains("ipRules") && why.contains("publicNetworkAccess") && !why.contains("defaultAction"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rules_at_all_let_trusted_services_through() {
    let lab = Lab::broken(Remedy::TrustedServicesBypass).await;
    let change = Change::TrustedServicesBypass { vault: lab.vault(), acls: Value::Null };
    let vault = lab.vault();
    lab.gate.rule(move |_, _| shown(&vault, Value::Null, "Disabled"));
    is_there(&lab, &change).await;
    assert!(keymend::remedy::prepare(&lab.azure, &change).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_no_success() {
    let lab = Lab::broken(Remedy::Revalidate).await;
    let server = ResourceId::parse(&lab.server().to_string().replace("contoso-sql", "gone-sql")).unwrap();
    let applied = lab.apply_one(&Change::Revalidate { server: server.clone() }).await;
    assert!(matches!(applied, Applied::Failed { .. }), "{applied:?}");
    let applied = lab.apply_one(&Change::AssignIdentity { server, keep: vec![] }).await;
    assert!(matches!(applied, Applied::NotApplicable { .. }), "{applied:?}");
}
