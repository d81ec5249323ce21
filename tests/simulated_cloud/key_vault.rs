//! Key Vault: deletion and recovery, attributes, and who may reach a key.

use keymend::drill::cloud::world::PermissionModel;
use keymend::drill::cloud::{KeyRef, What, World};
use serde_json::json;

use crate::sky::{SUB, Sky, VAULT_HOST};

fn recover_body() -> serde_json::Value {
    let tenant = keymend::drill::cloud::world::TENANT;
    json!({ "location": "westeurope",
        "properties": { "tenantId": tenant, "sku": { "family": "A", "name": "standard" }, "createMode": "recover" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_vault_is_gone_until_it_is_recovered_and_then_lacks_its_grants() {
    let mut sky = Sky::new(World::standard()).await;
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 200);
    sky.does(What::DeleteVault { vault: None });
    assert_eq!(sky.vault("GET", "", None).await.code(), "ResourceNotFound");
    assert!(sky.key("GET", "/keys/tde-key/", None).await.is_err(), "its host does not resolve");
    let list = "/providers/Microsoft.KeyVault/deletedVaults?api-version=2026-02-01";
    let list = sky.arm("GET", list, None).await;
    assert_eq!(list.values()[0]["properties"]["scheduledPurgeDate"], "2027-02-18T10:00:00Z");
    let one = "/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/contoso-kv?api-version=2026-02-01";
    assert_eq!(sky.arm("GET", one, None).await.status, 200);

    let recovered = sky.vault("PUT", "", Some(recover_body())).await;
    assert_eq!(recovered.status, 200);
    assert_eq!(recovered.body["properties"]["provisioningState"], "RegisteringDns");
    assert_eq!(sky.vault("PUT", "", Some(recover_body())).await.code(), "VaultAlreadyExists");
    sky.pass(5).await;
    assert_eq!(sky.vault("GET", "", None).await.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(sky.key_access(), "AkvKeyOperationNotAllowedByRBAC", "role assignments do not come back");
    sky.check("vault-recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_vault_keeps_its_access_policies() {
    let mut sky = Sky::new(World::standard().model(PermissionModel::Policy)).await;
    sky.does(What::DeleteVault { vault: None });
    sky.vault("PUT", "", Some(recover_body())).await;
    sky.pass(5).await;
    assert_eq!(sky.key_access(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_vault_cannot_be_recovered() {
    let sky = Sky::new(World::standard()).await;
    sky.does(What::PurgeVault { vault: None });
    assert_eq!(sky.vault("PUT", "", Some(recover_body())).await.status, 404);
    sky.check("vault-purged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_key_is_answered_at_once_and_usable_later() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::DeleteKey(KeyRef::default()));
    assert_eq!(sky.vault("GET", "/keys/tde-key", None).await.code(), "KeyNotFound");
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().code(), "KeyNotFound");
    let gone = sky.key("GET", "/deletedkeys/tde-key", None).await.unwrap();
    assert!(gone.body["scheduledPurgeDate"].as_i64() > gone.body["deletedDate"].as_i64());
    let recovered = sky.key("POST", "/deletedkeys/tde-key/recover", None).await.unwrap();
    assert_eq!(recovered.status, 200);
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 404, "not yet");
    assert_eq!(sky.key("POST", "/deletedkeys/tde-key/recover", None).await.unwrap().status, 409);
    sky.pass(3).await;
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 200);
    assert_eq!(sky.key_access(), "ok");
    sky.check("key-recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_changed_one_by_one() {
    let sky = Sky::new(World::standard()).await;
    let versions = sky.key("GET", "/keys/tde-key/versions", None).await.unwrap();
    let kid = versions.values()[0]["kid"].as_str().unwrap().to_owned();
    let path = kid.strip_prefix(&format!("https://{VAULT_HOST}")).unwrap();
    sky.does(What::ExpireKey(KeyRef::default()));
    sky.does(What::DisableKey(KeyRef::default()));
    let read = sky.key("GET", path, None).await.unwrap();
    assert_eq!(read.body["error"]["innererror"]["code"], "KeyDisabled");
    let enabled = sky.key("PATCH", path, Some(json!({ "attributes": { "enabled": true } }))).await.unwrap();
    assert_eq!(enabled.body["attributes"]["enabled"], true);
    assert_eq!(sky.key_access(), "AzureKeyVaultInvalidExpirationDate", "the expiry was left alone");
    let later = sky.clock.now().as_second() + 86_400;
    sky.key("PATCH", path, Some(json!({ "attributes": { "exp": later } }))).await.unwrap();
    assert_eq!(sky.key_access(), "ok");
    let again = sky.key("PATCH", path, Some(json!({ "attributes": { "exp": later } }))).await.unwrap();
    assert_eq!(again.status, 200);
    let effects: Vec<bool> = sky.cloud.requests().iter().map(|request| request.effect).collect();
    assert_eq!(effects, [false, false, true, true, false], "the last one changed nothing");
    sky.check("attributes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_firewall_judges_the_caller_by_its_address_and_the_control_plane_passes() {
    let sky = Sky::new(World::standard()).await;
    let ip_rules = Some(vec!["203.0.113.0/24".to_owned()]);
    sky.does(What::FirewallVault { vault: None, ip_rules });
    let refused = sky.key("GET", "/keys/tde-key/", None).await.unwrap();
    assert_eq!(refused.body["error"]["innererror"]["code"], "ForbiddenByFirewall");
    assert_eq!(sky.vault("GET", "/keys/tde-key", None).await.status, 200);
    let mine = Some(vec!["198.51.100.10".to_owned()]);
    sky.does(What::FirewallVault { vault: None, ip_rules: mine });
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 200);
    sky.does(What::PerimeterVault { vault: None });
    let refused = sky.key("GET", "/keys/tde-key/", None).await.unwrap();
    assert_eq!(refused.body["error"]["innererror"]["code"], "ForbiddenByConnection");
    let health = sky.raw("GET", Some(VAULT_HOST), "/healthstatus", "", None).await.unwrap();
    assert_eq!(health.status, 200, "it needs no token, and says how the caller is seen");
    assert!(health.headers.contains_key("x-ms-keyvault-network-info"));
    sky.check("firewall");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_firewall_is_replaced_as_a_whole() {
    let sky = Sky::new(World::standard()).await;
    sky.does(What::FirewallVault { vault: None, ip_rules: None });
    let before = sky.vault("GET", "", None).await.body["properties"]["networkAcls"].clone();
    assert_eq!(before["ipRules"][0]["value"], "203.0.113.0/24");
    let careless = json!({ "properties": { "networkAcls": { "bypass": "AzureServices" } } });
    let after = sky.vault("PATCH", "", Some(careless)).await;
    assert_eq!(after.body["properties"]["networkAcls"]["ipRules"], json!([]), "what was not sent is gone");
    assert_eq!(after.body["properties"]["networkAcls"]["defaultAction"], "Allow");

    let mut complete = before.clone();
    complete["bypass"] = json!("AzureServices");
    let body = json!({ "properties": { "networkAcls": complete } });
    let after = sky.vault("PATCH", "", Some(body)).await;
    assert_eq!(after.body["properties"]["networkAcls"], complete);
    assert_eq!(sky.key_access(), "ok");
    sky.check("patched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_is_another_key() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::ReplaceKey { key: KeyRef::default(), new_version_only: true });
    assert_eq!(sky.key_access(), "ok", "a new version takes nothing away");
    sky.does(What::ReplaceKey { key: KeyRef::default(), new_version_only: false });
    assert_eq!(sky.key_access(), "AzureKeyVaultKeyThumbprintIsDifferent");
    sky.pass(45).await;
    assert_eq!(sky.revalidate().await.code(), "AzureKeyVaultKeyThumbprintIsDifferent");
    let protector = sky.sql("GET", "/encryptionProtector/current", None).await;
    let version = protector.body["properties"]["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(sky.vault("GET", &format!("/keys/tde-key/versions/{version}"), None).await.status, 404);
    assert!(protector.body["id"].as_str().unwrap().starts_with(SUB));
    sky.check("replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_purged_on_its_date() {
    let mut world = World::standard();
    world.vaults[0].soft_delete_days = 7;
    let mut sky = Sky::new(world).await;
    sky.does(What::DeleteKey(KeyRef::default()));
    sky.pass(7 * 24 * 60 - 1).await;
    assert_eq!(sky.key("GET", "/deletedkeys/tde-key", None).await.unwrap().status, 200);
    sky.pass(2).await;
    assert_eq!(sky.key("GET", "/deletedkeys/tde-key", None).await.unwrap().status, 404);
    assert_eq!(sky.key("POST", "/deletedkeys/tde-key/recover", None).await.unwrap().status, 404);
}
