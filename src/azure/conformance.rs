//! Every request that the wire can send, held against the published OpenAPI, where it is at hand.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use uuid::Uuid;

use super::key_vault::PolicyEntry;
use super::stand_in::{Asked, Reply, StandIn};
use super::{Azure, PreparedWrite};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{LongTerm, ShortTerm};

const SUB: &str = "11111111-2222-3333-4444-555555555555";

fn id(rest: &str) -> ResourceId {
    ResourceId::parse(&format!("/subscriptions/{SUB}/resourceGroups/rg-(1)/providers/{rest}")).unwrap()
}

async fn read_everything(azure: &Azure, key: &KeyUri) {
    let server = id("Microsoft.Sql/servers/contoso-sql");
    let vault = id("Microsoft.KeyVault/vaults/contoso-kv");
    let now = azure.clock().now();
    let _ = azure.server(&server).await;
    let _ = azure.servers_in(SUB).await;
    let _ = azure.protector(&server).await;
    let _ = azure.linked_keys(&server).await;
    let _ = azure.databases(&server).await;
    let _ = azure.inaccessible_databases(&server).await;
    let _ = azure.vault(&vault).await;
    let _ = azure.vaults_in(SUB).await;
    let _ = azure.deleted_vaults(SUB).await;
    let _ = azure.key_version(&vault, "tde-key", None).await;
    let _ = azure.key_version(&vault, "tde-key", key.version.as_deref()).await;
    let _ = azure.key_versions(&vault, "tde-key").await;
    let _ = azure.role_assignments(&vault, None).await;
    let _ = azure.role_assignments(&vault, Some("p")).await;
    let _ = azure.role(&vault, "e147488a-f6f5-4113-8e2d-b22465e65bf6").await;
    let _ = azure.deny_assignments(&vault).await;
    let _ = azure.locks(SUB).await;
    let _ = azure.changes(SUB, "rg-keys", now, now).await;
    let _ = azure.find_vault(&key.vault).await;
    let _ = azure.servers_naming(&key.vault, &[SUB.to_owned()]).await;
    let _ = azure.user_assigned_identity(&id("Microsoft.ManagedIdentity/userAssignedIdentities/m")).await;
    let _ = azure.deleted_key(key).await;
    let _ = azure.key_at_vault(key).await;
    let _ = azure.vault_answers(&key.vault).await;
    let database = server.child("databases", "orders").unwrap();
    let _ = azure.one_database(&database).await;
    let _ = azure.short_term_retention(&database).await;
    let _ = azure.long_term_retention(&database).await;
    let _ = azure.failover_group(&server.child("failoverGroups", "fg").unwrap()).await;
    let operation = format!(
        "/subscriptions/{SUB}/providers/Microsoft.Sql/locations/westeurope/encryptionProtectorOperationResults/o?api-version=2025-01-01"
    );
    let _ = azure.poll(&operation.parse().unwrap()).await;
}

async fn write_everything(azure: &Azure, key: &KeyUri) {
    let server = id("Microsoft.Sql/servers/contoso-sql");
    let vault = id("Microsoft.KeyVault/vaults/contoso-kv");
    let entry = PolicyEntry {
        tenant_id: SUB.to_owned(),
        object_id: "o".to_owned(),
        keys: ["get", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec(),
    };
    let acls = json!({"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": [{"value": "1.2.3.4/32"}]});
    let role = super::authorization::role_definition_id(SUB, "e147488a-f6f5-4113-8e2d-b22465e65bf6");
    let version = key.version.clone().unwrap();
    let database = server.child("databases", "orders").unwrap();
    let [weekly, monthly, yearly] = ["P4W", "P12M", "PT0S"].map(str::to_owned);
    let long_term = LongTerm { weekly, monthly, yearly, week_of_year: Some(5) };
    for write in [
        PreparedWrite::patch_identity(&server, json!({"identity": {"type": "SystemAssigned"}})).unwrap(),
        PreparedWrite::revalidate(&server).unwrap(),
        PreparedWrite::patch_vault_network_acls(&vault, acls),
        PreparedWrite::recover_vault(&vault, "westeurope", SUB),
        PreparedWrite::add_access_policy(&vault, &[entry]),
        PreparedWrite::put_role_assignment(&vault.child("keys", "tde-key").unwrap(), Uuid::nil(), &role, "p", "why"),
        PreparedWrite::recover_key(key),
        PreparedWrite::patch_database(&database, json!({"tags": {"a": "b"}})),
        PreparedWrite::patch_database(&database, json!({"properties": {"readScale": "Enabled", "autoPauseDelay": 60}})),
        PreparedWrite::put_short_term_retention(&database, ShortTerm { days: 14, diff_hours: Some(24) }),
        PreparedWrite::put_long_term_retention(&database, &long_term),
        PreparedWrite::patch_failover_group(
            &server.child("failoverGroups", "fg").unwrap(),
            std::slice::from_ref(&database),
        ),
        PreparedWrite::update_key_attributes(&key.vault, &key.key, &version, Some(true), None),
        PreparedWrite::update_key_attributes(&key.vault, &key.key, &version, None, Some(azure.clock().now())),
    ] {
        azure.send(&write).await.unwrap();
    }
}

fn recorded(asked: &Asked) -> serde_json::Value {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked.query.split('&').filter_map(|pair| pair.split_once('=')))
        .finish();
    let body = if asked.body.is_null() { serde_json::Value::Null } else { json!({"text": asked.body.to_string()}) };
    json!({
        "request": {"method": asked.method, "url": format!("http://{}{}?{query}", asked.host, asked.path.replace(' ', "%20")), "postData": body},
        // Only the requests are ours here.
        "response": {"status": 0, "content": {"text": ""}},
    })
}

#[tokio::test]
async fn every_request_is_one_that_azure_publishes() {
    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/check-openapi");
    if !checker.exists() {
        eprintln!("skipped: {} is not there", checker.display());
        return;
    }
    let cloud = StandIn::start(|_, _| Reply::json(json!({}))).await;
    let key =
        KeyUri::parse("https://contoso-kv.vault.azure.net/keys/tde-key/ee059b2bb5bc48398a53b168c6cdcb10").unwrap();
    read_everything(&cloud.azure(), &key).await;
    write_everything(&cloud.azure(), &key).await;
    let entries: Vec<_> = cloud.asked().iter().map(recorded).collect();
    assert_eq!(entries.len(), 43);
    let file = tempfile::NamedTempFile::with_suffix(".har").unwrap();
    std::fs::write(file.path(), json!({"log": {"entries": entries}}).to_string()).unwrap();
    let checked = Command::new(checker).arg(file.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
