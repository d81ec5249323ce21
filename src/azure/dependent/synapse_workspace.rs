//! A Synapse workspace with a key of its own (Microsoft.Synapse, REST reference, api-version 2021-06-01): its dedicated SQL
//! pools are encrypted through its protector. It reaches the key by the identity that `encryption.cmk.kekIdentity` names: a
//! user-assigned one, else the workspace's own.

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Dependent;
use crate::azure::error::AzureError;
use crate::azure::json::shaped;
use crate::azure::request::Request;
use crate::azure::sql::parse_server;
use crate::azure::sql_databases::parse_database;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::dependent::{Kind, revalidation};
use crate::domain::evidence::{Database, LinkedKey, Protector, Server};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;

const API: &str = Kind::SynapseWorkspace.api_version();

/// See the module.
#[derive(Debug)]
pub(super) struct SynapseWorkspace;

#[async_trait]
impl Dependent for SynapseWorkspace {
    fn kind(&self) -> Kind {
        Kind::SynapseWorkspace
    }

    async fn describe(&self, azure: &Azure, id: &ResourceId) -> Result<Server, AzureError> {
        let request = Request::get(id.as_str(), API, "Microsoft.Synapse/workspaces/read");
        let answer = azure.perform(&request).await?;
        let (found, workspace) = parse_workspace(&answer.body).map_err(|why| answer.bad(why))?;
        if found == *id { Ok(workspace) } else { Err(answer.bad(format!("it is about {found}"))) }
    }

    async fn below(&self, azure: &Azure, scope: &ResourceId) -> Result<Vec<(ResourceId, Server)>, AzureError> {
        let path = format!("{scope}/providers/Microsoft.Synapse/workspaces");
        azure.parsed_list(Request::get(&path, API, "Microsoft.Synapse/workspaces/read"), parse_workspace).await
    }

    /// As the workspace itself names it: the published list of rights has none for its `encryptionProtector`.
    async fn protector(&self, azure: &Azure, id: &ResourceId) -> Result<Protector, AzureError> {
        let request = Request::get(id.as_str(), API, "Microsoft.Synapse/workspaces/read");
        let answer = azure.perform(&request).await?;
        parse_own_key(&answer.body).map_err(|why| answer.bad(why))
    }

    async fn linked_keys(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        let request = Request::get(&format!("{id}/keys"), API, "Microsoft.Synapse/workspaces/keys/read");
        azure.parsed_list(request, parse_key).await
    }

    /// Its dedicated SQL pools; one that is paused is in service.
    async fn databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let request = Request::get(&format!("{id}/sqlPools"), API, "Microsoft.Synapse/workspaces/sqlPools/read");
        azure.parsed_list(request, parse_database).await
    }

    async fn inaccessible_databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let mut pools = self.databases(azure, id).await?;
        pools.retain(Database::is_inaccessible);
        Ok(pools)
    }

    fn revalidate(&self, id: &ResourceId) -> PreparedWrite {
        let path = format!("{id}/encryptionProtector/current/revalidate");
        PreparedWrite::arm(Method::POST, &path, API, None, revalidation(Kind::SynapseWorkspace))
    }

    /// It would take the right to write workspaces, which no role of Keymend's gives: a person's work.
    fn patch_identity(&self, _: &ResourceId, _: Value) -> Option<PreparedWrite> {
        None
    }
}

#[derive(Deserialize)]
struct Wire {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    encryption: Option<Encryption>,
}

#[derive(Deserialize)]
struct Encryption {
    cmk: Option<Cmk>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cmk {
    kek_identity: Option<KekIdentity>,
    key: Option<CmkKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CmkKey {
    // Not defaulted by serde, as below.
    key_vault_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KekIdentity {
    // Not defaulted by serde: then an empty array would pass for this object.
    user_assigned_identity: Option<String>,
}

/// A workspace in the words of a server: its identity is the one that reaches the key.
pub(in crate::azure) fn parse_workspace(body: &Value) -> Result<(ResourceId, Server), String> {
    let wire: Wire = shaped(body)?;
    let (id, mut workspace) = parse_server(body)?;
    let kek = wire.properties.encryption.and_then(|encryption| encryption.cmk).and_then(|cmk| cmk.kek_identity);
    let named = kek.and_then(|kek| kek.user_assigned_identity).filter(|id| !id.trim().is_empty());
    match named {
        Some(named) => {
            let primary = ResourceId::parse(&named).map_err(|error| format!("identity {named:?}: {error}"))?;
            workspace.identity.primary = Some(primary);
        }
        // Assigned ones that do not reach the key do not matter to it.
        None => workspace.identity.user_assigned.clear(),
    }
    Ok((id, workspace))
}

/// The key that a workspace names as its own; one without uses Microsoft's.
pub(in crate::azure) fn parse_own_key(body: &Value) -> Result<Protector, String> {
    let wire: Wire = shaped(body)?;
    let cmk = wire.properties.encryption.and_then(|encryption| encryption.cmk);
    let customer_managed = cmk.is_some();
    let url = cmk.and_then(|cmk| cmk.key).and_then(|key| key.key_vault_url).filter(|url| !url.trim().is_empty());
    if customer_managed && url.is_none() {
        return Err("a workspace with a customer-managed key does not name it".to_owned());
    }
    let uri = url.map(|url| KeyUri::parse(&url).ok_or_else(|| format!("{url:?} is not a key URI of a known cloud")));
    Ok(Protector { customer_managed, uri: uri.transpose()?, thumbprint: None, auto_rotation: false, key_version: None })
}

#[derive(Deserialize)]
struct WireKey {
    name: String,
    properties: KeyProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyProperties {
    key_vault_url: Option<String>,
}

pub(in crate::azure) fn parse_key(item: &Value) -> Result<LinkedKey, String> {
    let WireKey { name, properties } = shaped(item)?;
    let url = properties.key_vault_url.filter(|url| !url.trim().is_empty());
    let uri = url.map(|url| KeyUri::parse(&url).ok_or_else(|| format!("{url:?} is not a key URI of a known cloud")));
    Ok(LinkedKey { name, uri: uri.transpose()?, created: None, thumbprint: None })
}
