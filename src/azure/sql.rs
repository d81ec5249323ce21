//! Microsoft.Sql: servers, protectors, linked keys, databases (REST reference, api-version 2025-01-01).

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::{filled, shaped, shown_moment, tags};
use crate::azure::transport::{Azure, Request};
use crate::azure::write::PreparedWrite;
use crate::domain::evidence::{Database, Fact, Identity, LinkedKey, Protector, Server, UserAssignedIdentity};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

const API: &str = "2025-01-01";

impl Azure {
    /// One server.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn server(&self, id: &ResourceId) -> Result<Server, AzureError> {
        let request = Request::get(id.as_str(), API, "Microsoft.Sql/servers/read");
        let answer = self.perform(&request).await?;
        let (found, server) = parse_server(&answer.body).map_err(|why| answer.bad(why))?;
        if found == *id { Ok(server) } else { Err(answer.bad(format!("it is about {found}"))) }
    }

    /// All servers of a subscription: one request a page.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn servers_in(&self, subscription: &str) -> Result<BTreeMap<ResourceId, Server>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Sql/servers");
        let request = Request::get(&path, API, "Microsoft.Sql/servers/read");
        let what = request.what();
        let items = self.list(request).await?;
        items.iter().map(parse_server).collect::<Result<_, _>>().map_err(|why| AzureError::BadAnswer { what, why })
    }

    /// A server's TDE protector.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn protector(&self, server: &ResourceId) -> Result<Protector, AzureError> {
        let path = format!("{server}/encryptionProtector/current");
        let answer = self.perform(&Request::get(&path, API, "Microsoft.Sql/servers/encryptionProtector/read")).await?;
        parse_protector(&answer.body, &|name| self.endpoints().vault_host(name)).map_err(|why| answer.bad(why))
    }

    /// Every key linked to a server, the service-managed one left out.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn linked_keys(&self, server: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        let request = Request::get(&format!("{server}/keys"), API, "Microsoft.Sql/servers/keys/read");
        let what = request.what();
        let items = self.list(request).await?;
        let keys = items.iter().map(|item| parse_linked_key(item, &|name| self.endpoints().vault_host(name)));
        let keys: Result<Vec<Option<LinkedKey>>, String> = keys.collect();
        Ok(keys.map_err(|why| AzureError::BadAnswer { what, why })?.into_iter().flatten().collect())
    }

    /// A server's databases with their settings, `master` left out.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn databases(&self, server: &ResourceId) -> Result<Vec<Database>, AzureError> {
        self.database_list(server, "databases", "Microsoft.Sql/servers/databases/read").await
    }

    /// The databases that SQL calls inaccessible, now.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn inaccessible_databases(&self, server: &ResourceId) -> Result<Vec<Database>, AzureError> {
        self.database_list(server, "inaccessibleDatabases", "Microsoft.Sql/servers/inaccessibleDatabases/read").await
    }

    async fn database_list(&self, server: &ResourceId, kind: &str, action: &str) -> Result<Vec<Database>, AzureError> {
        let request = Request::get(&format!("{server}/{kind}"), API, action);
        let what = request.what();
        let items = self.list(request).await?;
        let databases: Result<Vec<Database>, String> = items.iter().map(parse_database).collect();
        let mut databases = databases.map_err(|why| AzureError::BadAnswer { what, why })?;
        databases.retain(|database| !database.name.eq_ignore_ascii_case("master"));
        Ok(databases)
    }
}

impl PreparedWrite {
    /// Gives a server another `identity` block: `PATCH` with `body` as the whole body, such as
    /// `{"identity": {"type": "SystemAssigned"}}`. It replaces the block, so the caller must carry over user-assigned
    /// identities; then this also takes `Microsoft.ManagedIdentity/userAssignedIdentities/assign/action` on each.
    #[must_use]
    pub fn patch_server_identity(server: &ResourceId, body: Value) -> Self {
        Self::arm(Method::PATCH, server.as_str(), API, Some(body), "Microsoft.Sql/servers/write")
    }

    /// Asks SQL to check the server's protector again and bring its databases back.
    #[must_use]
    pub fn revalidate(server: &ResourceId) -> Self {
        let path = format!("{server}/encryptionProtector/current/revalidate");
        Self::arm(Method::POST, &path, API, None, "Microsoft.Sql/servers/encryptionProtector/revalidate/action")
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

#[derive(Deserialize)]
struct WireDatabase {
    name: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    sku: Option<WireSku>,
    properties: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct WireSku {
    name: String,
    capacity: Option<i64>,
}

/// What Azure drops after the self-heal window (overview of customer-managed TDE), and what else is worth a comparison:
/// the property and the name under which people see it.
const SETTINGS: [(&str, &str); 11] = [
    ("elasticPoolId", "elastic pool"),
    ("failoverGroupId", "failover group"),
    ("readScale", "read scale"),
    ("autoPauseDelay", "auto-pause delay"),
    ("minCapacity", "minimum capacity"),
    ("zoneRedundant", "zone redundant"),
    ("highAvailabilityReplicaCount", "high-availability replicas"),
    ("requestedBackupStorageRedundancy", "backup storage redundancy"),
    ("maintenanceConfigurationId", "maintenance configuration"),
    ("licenseType", "licence"),
    ("maxSizeBytes", "maximum size in bytes"),
];

pub(super) fn parse_database(item: &Value) -> Result<Database, String> {
    let wire: WireDatabase = shaped(item)?;
    let status = wire.properties.get("status").and_then(Value::as_str).ok_or("a database has no status")?.to_owned();
    let own_protector = match wire.properties.get("encryptionProtector") {
        None | Some(Value::Null) => None,
        Some(Value::String(uri)) if uri.is_empty() => None,
        Some(Value::String(uri)) => Some(KeyUri::parse(uri).ok_or("a database's own protector is not a key URI")?),
        Some(_) => return Err("a database's own protector is no text".to_owned()),
    };
    let mut settings = BTreeMap::new();
    for (property, name) in SETTINGS {
        let value = match wire.properties.get(property) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        settings.insert(name.to_owned(), value);
    }
    if let Some(WireSku { name, capacity }) = wire.sku {
        let capacity = capacity.map_or_else(String::new, |capacity| format!(", capacity {capacity}"));
        settings.insert("service objective".to_owned(), format!("{name}{capacity}"));
    }
    settings.extend(wire.tags.into_iter().map(|(name, value)| (format!("tag {name}"), value)));
    Ok(Database { name: wire.name, status, own_protector, settings })
}
