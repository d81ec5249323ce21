//! Microsoft.KeyVault at the Resource Manager: vaults and deleted vaults (api-version 2026-02-01).

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::azure::error::AzureError;
use crate::azure::json::{filled, list, shaped, shown_moment, tags};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::evidence::{AccessPolicy, DeletedVault, Vault, VaultNetwork};
use crate::domain::resource_id::ResourceId;

pub(super) const API: &str = "2026-02-01";

impl Azure {
    /// One vault.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn vault(&self, id: &ResourceId) -> Result<Vault, AzureError> {
        let answer = self.perform(&Request::get(id.as_str(), API, "Microsoft.KeyVault/vaults/read")).await?;
        let vault = parse_vault(&answer.body).map_err(|why| answer.bad(why))?;
        if vault.id == *id { Ok(vault) } else { Err(answer.bad(format!("it is about {}", vault.id))) }
    }

    /// All vaults of a subscription.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn vaults_in(&self, subscription: &str) -> Result<Vec<Vault>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.KeyVault/vaults");
        self.parsed_list(Request::get(&path, API, "Microsoft.KeyVault/vaults/read"), parse_vault).await
    }

    /// The soft-deleted vaults of a subscription.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn deleted_vaults(&self, subscription: &str) -> Result<Vec<DeletedVault>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.KeyVault/deletedVaults");
        self.parsed_list(Request::get(&path, API, "Microsoft.KeyVault/deletedVaults/read"), parse_deleted_vault).await
    }
}

/// A new entry of a vault's access policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// The principal's tenant.
    pub tenant_id: String,
    /// The principal's object id.
    pub object_id: String,
    /// Key permissions, such as `get`, `wrapKey`, `unwrapKey`.
    pub keys: Vec<String>,
}

impl PreparedWrite {
    /// Sets a vault's firewall. `acls` must be the complete `networkAcls` object: the service may replace it whole.
    #[must_use]
    pub fn patch_vault_network_acls(vault: &ResourceId, acls: Value) -> Self {
        let body = json!({"properties": {"networkAcls": acls}});
        Self::arm(Method::PATCH, vault.as_str(), API, Some(body), "Microsoft.KeyVault/vaults/write")
    }

    /// Brings a soft-deleted vault back, as the az CLI does. Its role assignments and event subscriptions stay gone.
    #[must_use]
    pub fn recover_vault(vault: &ResourceId, location: &str, tenant_id: &str) -> Self {
        let body = json!({
            "location": location,
            "properties": {
                "tenantId": tenant_id,
                "sku": {"family": "A", "name": "standard"},
                "createMode": "recover",
            },
        });
        Self::arm(Method::PUT, vault.as_str(), API, Some(body), "Microsoft.KeyVault/vaults/write")
    }

    /// Adds entries to a vault's access policies; what others have is kept.
    #[must_use]
    pub fn add_access_policy(vault: &ResourceId, entries: &[PolicyEntry]) -> Self {
        let entries: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!({
                    "tenantId": entry.tenant_id,
                    "objectId": entry.object_id,
                    "permissions": {"keys": entry.keys},
                })
            })
            .collect();
        let body = json!({"properties": {"accessPolicies": entries}});
        let path = format!("{vault}/accessPolicies/add");
        Self::arm(Method::PUT, &path, API, Some(body), "Microsoft.KeyVault/vaults/accessPolicies/write")
    }
}

#[derive(Deserialize)]
struct WireVault {
    id: ResourceId,
    location: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    properties: WireVaultProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireVaultProperties {
    tenant_id: String,
    provisioning_state: Option<String>,
    enable_rbac_authorization: Option<bool>,
    access_policies: Option<Vec<WirePolicy>>,
    enable_purge_protection: Option<bool>,
    soft_delete_retention_in_days: Option<u32>,
    network_acls: Option<Value>,
    public_network_access: Option<String>,
    #[serde(default, deserialize_with = "list")]
    private_endpoint_connections: Vec<WireEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    tenant_id: String,
    object_id: String,
    #[serde(default, deserialize_with = "filled")]
    application_id: Option<String>,
    // A map and not a struct, for which serde would also take an array.
    permissions: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAcls {
    bypass: Option<String>,
    default_action: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEndpoint {
    id: Option<String>,
    properties: Option<WireEndpointProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEndpointProperties {
    private_link_service_connection_state: Option<WireLinkState>,
}

#[derive(Deserialize)]
struct WireLinkState {
    status: Option<String>,
}

/// Reads one vault as the Resource Manager describes it.
pub(super) fn parse_vault(body: &Value) -> Result<Vault, String> {
    let WireVault { id, location, tags, properties } = shaped(body)?;
    // null and absent mean access policies (Key Vault REST reference, `enableRbacAuthorization`).
    let rbac = properties.enable_rbac_authorization.unwrap_or_default();
    let policies = match properties.access_policies {
        Some(policies) => policies,
        None if rbac => Vec::new(),
        None => return Err("a vault with access policies lists none, not even an empty list".to_owned()),
    };
    Ok(Vault {
        id,
        location,
        tenant_id: properties.tenant_id,
        provisioning_state: properties.provisioning_state,
        tags,
        rbac,
        access_policies: policies.into_iter().map(policy).collect::<Result<_, _>>()?,
        purge_protection: properties.enable_purge_protection.unwrap_or_default(),
        soft_delete_days: properties.soft_delete_retention_in_days,
        network: network(properties.network_acls, properties.public_network_access)?,
        pending_private_endpoints: properties.private_endpoint_connections.into_iter().filter_map(pending).collect(),
    })
}

fn policy(wire: WirePolicy) -> Result<AccessPolicy, String> {
    let keys: Option<Vec<String>> = shaped(wire.permissions.get("keys").unwrap_or(&Value::Null))?;
    Ok(AccessPolicy {
        object_id: wire.object_id,
        application_id: wire.application_id,
        tenant_id: wire.tenant_id,
        keys: keys.iter().flatten().map(|key| key.to_ascii_lowercase()).collect(),
    })
}

fn network(acls: Option<Value>, public_access: Option<String>) -> Result<VaultNetwork, String> {
    let acls = acls.unwrap_or(Value::Null);
    let wire: Option<WireAcls> = shaped(&acls)?;
    let (bypass, action) = wire.map_or((None, None), |wire| (wire.bypass, wire.default_action));
    Ok(VaultNetwork {
        public_access: public_access.filter(|access| !access.is_empty()).unwrap_or_else(|| "Enabled".to_owned()),
        // Absent means AzureServices and Allow (Key Vault REST reference, `networkAcls`).
        trusted_services_bypass: either(bypass.as_deref(), "AzureServices", "None")?,
        default_deny: !either(action.as_deref(), "Allow", "Deny")?,
        acls,
    })
}

/// Whether a word is the one that is meant when nothing is said. A third word is an error.
fn either(word: Option<&str>, usual: &str, other: &str) -> Result<bool, String> {
    match word {
        None => Ok(true),
        Some(word) if word.eq_ignore_ascii_case(usual) => Ok(true),
        Some(word) if word.eq_ignore_ascii_case(other) => Ok(false),
        Some(word) => Err(format!("{word:?} is neither {usual} nor {other}")),
    }
}

fn pending(wire: WireEndpoint) -> Option<(String, String)> {
    let status = wire.properties?.private_link_service_connection_state?.status?;
    if status.eq_ignore_ascii_case("Approved") {
        return None;
    }
    let id = wire.id.unwrap_or_default();
    Some((id.rsplit('/').next().unwrap_or_default().to_owned(), status))
}

#[derive(Deserialize)]
struct WireDeleted {
    properties: WireDeletedProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDeletedProperties {
    vault_id: ResourceId,
    location: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "shown_moment")]
    deletion_date: Option<Timestamp>,
    #[serde(default, deserialize_with = "shown_moment")]
    scheduled_purge_date: Option<Timestamp>,
}

pub(super) fn parse_deleted_vault(item: &Value) -> Result<DeletedVault, String> {
    let WireDeletedProperties { vault_id, location, tags, deletion_date, scheduled_purge_date } =
        shaped::<WireDeleted>(item)?.properties;
    Ok(DeletedVault { vault_id, location, deleted_at: deletion_date, purge_at: scheduled_purge_date, tags })
}
