//! The responder's own typed calls against the cloud: what it reads is what is there, what it writes takes effect.

use jiff::SignedDuration;
use keymend::azure::authorization::role_definition_id;
use keymend::azure::key_vault::PolicyEntry;
use keymend::azure::{Azure, AzureError, Credential, Endpoints, PreparedWrite, Progress, Secret};
use keymend::clock::add;
use keymend::domain::key_uri::KeyUri;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::world::{PermissionModel, SUBSCRIPTION, TENANT};
use keymend::drill::cloud::{CRYPTO_SERVICE_ENCRYPTION_USER, KeyRef, TOKEN, What, World};
use keymend::ids::Ids;
use serde_json::json;
use uuid::Uuid;

use crate::sky::{SERVER, SUB, Sky, VAULT};

fn caller(sky: &Sky) -> Azure {
    let endpoints = Endpoints::simulated(&sky.running.url()).unwrap();
    let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
    Azure::new(endpoints, credential, sky.clock.clone(), Ids::seeded(1)).unwrap()
}

fn id(below: &str) -> ResourceId {
    ResourceId::parse(&format!("{SUB}{below}")).unwrap()
}

async fn protector_key(azure: &Azure) -> KeyUri {
    azure.protector(&id(SERVER)).await.unwrap().uri.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_reads() {
    let mut sky = Sky::new(World::standard().older_versions(1)).await;
    let azure = caller(&sky);
    let (server, vault) = (id(SERVER), id(VAULT));
    let key = protector_key(&azure).await;
    let principal = azure.server(&server).await.unwrap().identity.system_principal_id.unwrap();
    assert_eq!(azure.servers_in(SUBSCRIPTION).await.unwrap().len(), 1);
    assert_eq!(azure.linked_keys(&server).await.unwrap().iter().filter(|key| key.uri.is_some()).count(), 2);
    assert!(azure.databases(&server).await.unwrap().len() >= 3);
    assert!(azure.inaccessible_databases(&server).await.unwrap().is_empty());
    azure.vault(&vault).await.unwrap();
    assert_eq!(azure.vaults_in(SUBSCRIPTION).await.unwrap().len(), 1);
    azure.key_version(&vault, "tde-key", key.version.as_deref()).await.unwrap();
    assert_eq!(azure.key_versions(&vault, "tde-key").await.unwrap().len(), 2);
    let grants = azure.role_assignments(&vault, Some(&principal)).await.unwrap();
    assert_eq!(grants.len(), 1);
    azure.role(&vault, CRYPTO_SERVICE_ENCRYPTION_USER).await.unwrap();
    assert!(azure.deny_assignments(&vault).await.unwrap().is_empty());
    assert!(azure.locks(SUBSCRIPTION).await.unwrap().is_empty());
    assert_eq!(azure.find_vault(&key.vault).await.unwrap().unwrap().id, vault);
    azure.servers_naming(&key.vault, &[SUBSCRIPTION.to_owned()]).await.unwrap();
    azure.key_at_vault(&key).await.unwrap();
    assert!(azure.vault_answers(&key.vault).await.unwrap());
    assert!(matches!(azure.deleted_key(&key).await, Err(AzureError::NotFound { .. })));
    sky.does(What::DeleteKey(KeyRef::default()));
    azure.deleted_key(&key).await.unwrap();
    sky.does(What::DeleteVault { vault: None });
    assert_eq!(azure.deleted_vaults(SUBSCRIPTION).await.unwrap().len(), 1);
    assert!(azure.vault_answers(&key.vault).await.is_err());
    sky.pass(21).await;
    let now = sky.clock.now();
    let changes = azure.changes(SUBSCRIPTION, "rg-keys", add(now, SignedDuration::from_hours(-1)), now).await.unwrap();
    assert!(!changes.is_empty());
    sky.check("typed-reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_writes() {
    let mut sky = Sky::new(World::standard()).await;
    let azure = caller(&sky);
    let (server, vault) = (id(SERVER), id(VAULT));
    let key = protector_key(&azure).await;
    for what in [What::DeleteVault { vault: None }, What::RemoveIdentity { server: None }] {
        sky.does(what);
    }
    azure.send(&PreparedWrite::recover_vault(&vault, "westeurope", TENANT)).await.unwrap();
    sky.pass(5).await;
    let body = json!({ "identity": { "type": "SystemAssigned" } });
    let receipt = azure.send(&PreparedWrite::patch_identity(&server, body).unwrap()).await.unwrap();
    let operation = receipt.operation.unwrap();
    assert!(matches!(azure.poll(&operation).await.unwrap(), Progress::Running { .. }));
    sky.pass(1).await;
    assert_eq!(azure.poll(&operation).await.unwrap(), Progress::Succeeded);
    let principal = sky.principal();
    let role = role_definition_id(SUBSCRIPTION, CRYPTO_SERVICE_ENCRYPTION_USER);
    let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"grant");
    let scope = vault.child("keys", &key.key).unwrap();
    azure.send(&PreparedWrite::put_role_assignment(&scope, name, &role, &principal, "why")).await.unwrap();
    sky.does(What::DeleteKey(KeyRef::default()));
    azure.send(&PreparedWrite::recover_key(&key)).await.unwrap();
    sky.pass(7).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.does(What::ExpireKey(KeyRef::default()));
    let version = key.version.clone().unwrap();
    let later = add(sky.clock.now(), SignedDuration::from_hours(72));
    azure.send(&PreparedWrite::update_key_attributes(&key.vault, &key.key, &version, Some(true), None)).await.unwrap();
    azure.send(&PreparedWrite::update_key_attributes(&key.vault, &key.key, &version, None, Some(later))).await.unwrap();
    sky.does(What::FirewallVault { vault: None, ip_rules: None });
    let mut acls = sky.vault("GET", "", None).await.body["properties"]["networkAcls"].clone();
    acls["bypass"] = json!("AzureServices");
    azure.send(&PreparedWrite::patch_vault_network_acls(&vault, acls)).await.unwrap();
    assert_eq!(sky.key_access(), "ok");
    let receipt = azure.send(&PreparedWrite::revalidate(&server).unwrap()).await.unwrap();
    sky.pass(5).await;
    assert_eq!(azure.poll(&receipt.operation.unwrap()).await.unwrap(), Progress::Succeeded);
    assert_eq!(sky.access("orders"), "online");
    sky.check("typed-writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_policy_writes() {
    let sky = Sky::new(World::standard().model(PermissionModel::Policy)).await;
    let object_id = sky.principal();
    sky.does(What::RevokePermission { server: None });
    let keys = ["get", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec();
    let entry = PolicyEntry { tenant_id: TENANT.to_owned(), object_id, keys };
    caller(&sky).send(&PreparedWrite::add_access_policy(&id(VAULT), &[entry])).await.unwrap();
    assert!(sky.cloud.requests().last().unwrap().effect);
    sky.check("typed-policy");
}
