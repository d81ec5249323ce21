//! Observations of a small Azure over real HTTP: what is asked, and what is made of the answers.

mod chain;
mod failures;
mod keys;
mod rights;
mod vaults;
mod who;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Question, inaccessible, observe, protector, servers_of_vault};
use crate::azure::stand_in::{Asked, Reply, StandIn};
use crate::domain::evidence::{CallerKind, Evidence, Fact};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
const TENANT: &str = "99999999-8888-7777-6666-555555555555";
const VERSION: &str = "ee059b2bb5bc48398a53b168c6cdcb10";
const OLDER: &str = "aa059b2bb5bc48398a53b168c6cdcb10";
const ENCRYPTION_USER: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";

fn now() -> Timestamp {
    "2026-11-24T02:07:31Z".parse().unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn server(n: usize) -> ResourceId {
    let name = if n == 0 { "contoso-sql".to_owned() } else { format!("contoso-sql{n}") };
    id(&format!("{SUB}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}"))
}

fn vault_id() -> ResourceId {
    id(&format!("{SUB}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv"))
}

fn host() -> VaultHost {
    VaultHost::parse("contoso-kv.vault.azure.net").unwrap()
}

fn principal(server: &str) -> String {
    format!("principal-of-{server}")
}

/// A question with everything known beforehand.
fn question(servers: usize) -> Question {
    Question {
        vault: Some(host()),
        vault_id: Some(vault_id()),
        ..Question::new((0..servers).map(server).collect(), now())
    }
}

fn server_body(id: &str) -> Value {
    let name = id.rsplit('/').next().unwrap();
    json!({
        "id": id, "name": name, "type": "Microsoft.Sql/servers", "location": "westeurope", "tags": {"team": "orders"},
        "identity": {"type": "SystemAssigned", "principalId": principal(name), "tenantId": TENANT},
        "properties": {"state": "Ready", "fullyQualifiedDomainName": "x"},
    })
}

fn vault_body() -> Value {
    json!({
        "id": vault_id().to_string(), "name": "contoso-kv", "type": "Microsoft.KeyVault/vaults", "location": "westeurope",
        "properties": {
            "tenantId": TENANT, "sku": {"family": "A", "name": "standard"}, "provisioningState": "Succeeded",
            "enableRbacAuthorization": true, "enablePurgeProtection": true, "publicNetworkAccess": "Enabled",
        },
    })
}

fn policy_vault_body() -> Value {
    let mut vault = vault_body();
    vault["properties"]["enableRbacAuthorization"] = Value::Null;
    vault["properties"]["accessPolicies"] = json!([{
        "tenantId": TENANT, "objectId": principal("contoso-sql"),
        "permissions": {"keys": ["Get", "WrapKey", "UNWRAPKEY"], "secrets": ["get"]},
    }]);
    vault
}

fn key_body(version: &str) -> Value {
    json!({
        "id": format!("{}/keys/tde-key/versions/{version}", vault_id()), "name": version,
        "properties": {
            "attributes": {"enabled": true, "created": 1_598_533_051, "updated": 1_598_533_051, "exp": 1_830_297_600},
            "kty": "RSA", "keySize": 3072, "keyOps": ["wrapKey", "unwrapKey"],
            "keyUri": "https://contoso-kv.vault.azure.net:443/keys/tde-key",
            "keyUriWithVersion": format!("https://contoso-kv.vault.azure.net:443/keys/tde-key/{version}"),
        },
    })
}

fn assignment(name: &str, scope: &str, role: &str, principal: &str, kind: &str) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"), "name": name,
        "properties": {
            "roleDefinitionId": format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"),
            "principalId": principal, "principalType": kind, "scope": scope,
        },
    })
}

fn list(items: impl IntoIterator<Item = Value>) -> Reply {
    Reply::json(json!({"value": items.into_iter().collect::<Vec<_>>()}))
}

/// The standard world, healthy: `servers` servers, one RBAC vault, one key.
fn healthy(asked: &Asked, servers: usize) -> Reply {
    let path = asked.path.as_str();
    let vault = vault_id().to_string();
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Some(rest) = path.strip_prefix(vault.as_str()) {
        return match rest {
            "" => Reply::json(vault_body()),
            _ if rest.starts_with("/keys/tde-key/versions/") => Reply::json(key_body(last)),
            "/keys/tde-key/versions" => list([key_body(VERSION)]),
            "/keys/tde-key" => Reply::json(key_body(VERSION)),
            _ if rest.ends_with("/roleAssignments") => {
                let all = (0..servers).map(|n| {
                    assignment(
                        &format!("a{n}"),
                        &format!("{vault}/keys/tde-key"),
                        ENCRYPTION_USER,
                        &principal(server(n).name()),
                        "ServicePrincipal",
                    )
                });
                list(all.filter(|one| {
                    !asked.query.contains("assignedTo")
                        || asked.query.contains(&format!("'{}'", one["properties"]["principalId"].as_str().unwrap()))
                }))
            }
            _ if rest.ends_with("/denyAssignments") => list([]),
            _ => Reply::error(404, "ResourceNotFound"),
        };
    }
    match last {
        "servers" => list((0..servers).map(|n| server_body(server(n).as_str()))),
        "current" => Reply::json(json!({
            "id": path, "name": "current", "kind": "azurekeyvault",
            "properties": {"serverKeyType": "AzureKeyVault", "serverKeyName": format!("contoso-kv_tde-key_{VERSION}"),
                "uri": format!("https://Contoso-KV.vault.azure.net:443/keys/tde-key/{VERSION}"), "autoRotationEnabled": false},
        })),
        "keys" => list([
            json!({"id": path, "name": format!("contoso-kv_tde-key_{VERSION}"), "kind": "azurekeyvault", "properties": {"thumbprint": "00AA", "creationDate": "2020-11-15T00:00:00Z"}}),
            json!({"id": path, "name": "ServiceManaged", "kind": "servicemanaged", "properties": {}}),
        ]),
        "databases" => list(["master", "orders", "billing"].map(|name| {
            json!({"id": path, "name": name, "location": "westeurope", "sku": {"name": "GP_Gen5", "capacity": 2}, "tags": {"tier": "1"},
                "properties": {"status": "Online", "readScale": "Disabled", "zoneRedundant": false, "elasticPoolId": null}})
        })),
        "inaccessibleDatabases" => list([json!({"id": path, "name": "orders", "location": "westeurope", "properties": {"status": "Inaccessible"}})]),
        "locks" | "deletedVaults" | "values" => list([]),
        "vaults" => list([vault_body()]),
        "resources" => Reply::json(json!({"totalRecords": 1, "count": 1, "resultTruncated": "false", "data": [vault_body()]})),
        "healthstatus" => Reply::json(json!({})),
        _ if path.contains("/Microsoft.Sql/servers/") => Reply::json(server_body(path)),
        _ => Reply::error(404, "ResourceNotFound"),
    }
}

/// Observes a healthy world in which some paths answer otherwise.
async fn seen(
    question: &Question,
    servers: usize,
    otherwise: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> (Evidence, StandIn) {
    let cloud = StandIn::start(move |asked, _| otherwise(asked).unwrap_or_else(|| healthy(asked, servers))).await;
    (observe(&cloud.azure(), question).await, cloud)
}

fn arm_requests(cloud: &StandIn) -> usize {
    cloud.asked().iter().filter(|asked| asked.host.starts_with("127.")).count()
}
