//! Microsoft.Sql: servers, protectors, linked keys (REST reference, api-version 2025-01-01).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::{filled, shaped, shown_moment, tags};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::evidence::{Fact, Identity, LinkedKey, Protector, Server, UserAssignedIdentity};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

pub(super) const API: &str = "2025-01-01";

impl Azure {
    /// All servers of a subscription: one request a page.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn servers_in(&self, subscription: &str) -> Result<BTreeMap<ResourceId, Server>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Sql/servers");
        let request = Request::get(&path, API, "Microsoft.Sql/servers/read");
        Ok(self.parsed_list(request, parse_server).await?.into_iter().collect())
    }

    /// All servers of a subscription or a resource group, by its id: one request a page.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn servers_below(&self, scope: &ResourceId) -> Result<BTreeMap<ResourceId, Server>, AzureError> {
        let request =
            Request::get(&format!("{scope}/providers/Microsoft.Sql/servers"), API, "Microsoft.Sql/servers/read");
        Ok(self.parsed_list(request, parse_server).await?.into_iter().collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireServer {
    id: ResourceId,
    location: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    identity: Option<WireIdentity>,
    properties: WireServerProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireServerProperties {
    state: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    primary_user_assigned_identity_id: Option<ResourceId>,
    #[serde(default, deserialize_with = "filled")]
    federated_client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireIdentity {
    r#type: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    principal_id: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    tenant_id: Option<String>,
    user_assigned_identities: Option<BTreeMap<String, Option<WireUserAssigned>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUserAssigned {
    // Not defaulted by serde: then an empty array would pass for this object.
    principal_id: Option<String>,
}

pub(super) fn parse_server(body: &Value) -> Result<(ResourceId, Server), String> {
    let wire: WireServer = shaped(body)?;
    let WireServerProperties { state, primary_user_assigned_identity_id, federated_client_id } = wire.properties;
    let mut identity = wire.identity.map(parse_identity).transpose()?.unwrap_or_default();
    identity.primary = primary_user_assigned_identity_id;
    let server = Server { location: wire.location, state, tags: wire.tags, identity, federated_client_id };
    Ok((wire.id, server))
}

fn parse_identity(wire: WireIdentity) -> Result<Identity, String> {
    let kinds = wire.r#type.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut identity = Identity { tenant_id: wire.tenant_id, ..Identity::default() };
    if kinds.contains("systemassigned") {
        identity.system_principal_id = wire.principal_id;
    }
    if kinds.contains("userassigned") {
        for (id, assigned) in wire.user_assigned_identities.unwrap_or_default() {
            let id = ResourceId::parse(&id).map_err(|error| format!("user-assigned identity {id:?}: {error}"))?;
            let principal_id = assigned.and_then(|assigned| assigned.principal_id).filter(|id| !id.trim().is_empty());
            let resource = Fact::default();
            identity.user_assigned.push(UserAssignedIdentity { id, principal_id, resource });
        }
    } else if !kinds.is_empty() && kinds != "none" && !kinds.contains("systemassigned") {
        return Err(format!("identity type {kinds:?} is not known"));
    }
    Ok(identity)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named<T> {
    name: String,
    #[serde(default)]
    kind: Option<String>,
    properties: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKey {
    server_key_type: Option<String>,
    server_key_name: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    uri: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    thumbprint: Option<String>,
    auto_rotation_enabled: Option<bool>,
    #[serde(default, deserialize_with = "filled")]
    key_version: Option<String>,
    #[serde(default, deserialize_with = "shown_moment")]
    creation_date: Option<Timestamp>,
}

/// The key's URI, or the one that the server key's name (`{vault}_{key}_{version}`) stands for.
fn key_uri(uri: Option<&str>, name: &str, host: &dyn Fn(&str) -> Option<VaultHost>) -> Result<Option<KeyUri>, String> {
    if let Some(uri) = uri {
        return KeyUri::parse(uri).map(Some).ok_or_else(|| format!("{uri:?} is not a key URI of a known cloud"));
    }
    let mut parts = name.split('_');
    let (Some(vault), Some(key)) = (parts.next(), parts.next()) else { return Ok(None) };
    let Some(host) = host(vault) else { return Ok(None) };
    let version = parts.next().map(|version| format!("/{version}")).unwrap_or_default();
    Ok(KeyUri::parse(&format!("https://{host}/keys/{key}{version}")))
}

pub(super) fn parse_protector(body: &Value, host: &dyn Fn(&str) -> Option<VaultHost>) -> Result<Protector, String> {
    let wire: Named<WireKey> = shaped(body)?;
    let kind = wire.properties.server_key_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    let customer_managed = match kind.as_str() {
        "azurekeyvault" => true,
        "servicemanaged" => false,
        _ => return Err(format!("protector type {kind:?} is not known")),
    };
    let name = wire.properties.server_key_name.unwrap_or_default();
    let uri = if customer_managed { key_uri(wire.properties.uri.as_deref(), &name, host)? } else { None };
    Ok(Protector {
        customer_managed,
        uri,
        thumbprint: wire.properties.thumbprint,
        auto_rotation: wire.properties.auto_rotation_enabled.unwrap_or_default(),
        key_version: wire.properties.key_version.map(|version| version.to_ascii_lowercase()),
    })
}

pub(super) fn parse_linked_key(
    item: &Value,
    host: &dyn Fn(&str) -> Option<VaultHost>,
) -> Result<Option<LinkedKey>, String> {
    let wire: Named<WireKey> = shaped(item)?;
    let kinds = [wire.kind.as_deref(), wire.properties.server_key_type.as_deref(), Some(wire.name.as_str())];
    if kinds.into_iter().flatten().any(|kind| kind.eq_ignore_ascii_case("ServiceManaged")) {
        return Ok(None);
    }
    let uri = key_uri(wire.properties.uri.as_deref(), &wire.name, host)?;
    let WireKey { creation_date, thumbprint, .. } = wire.properties;
    Ok(Some(LinkedKey { name: wire.name, uri, created: creation_date, thumbprint }))
}
