//! A logical SQL server (Microsoft.Sql, REST reference, api-version 2025-01-01): its databases, dedicated SQL pools and
//! elastic pools included, are encrypted through its protector, but for those that have a key of their own.

use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;

use super::Dependent;
use crate::azure::error::AzureError;
use crate::azure::request::Request;
use crate::azure::sql::{API, parse_linked_key, parse_protector, parse_server};
use crate::azure::sql_databases::parse_database;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Database, LinkedKey, Protector, Server};
use crate::domain::resource_id::ResourceId;

/// See the module.
#[derive(Debug)]
pub(super) struct SqlServer;

#[async_trait]
impl Dependent for SqlServer {
    fn kind(&self) -> Kind {
        Kind::SqlServer
    }

    async fn describe(&self, azure: &Azure, id: &ResourceId) -> Result<Server, AzureError> {
        let request = Request::get(id.as_str(), API, "Microsoft.Sql/servers/read");
        let answer = azure.perform(&request).await?;
        let (found, server) = parse_server(&answer.body).map_err(|why| answer.bad(why))?;
        if found == *id { Ok(server) } else { Err(answer.bad(format!("it is about {found}"))) }
    }

    async fn below(&self, azure: &Azure, scope: &ResourceId) -> Result<Vec<(ResourceId, Server)>, AzureError> {
        Ok(azure.servers_below(scope).await?.into_iter().collect())
    }

    async fn protector(&self, azure: &Azure, id: &ResourceId) -> Result<Protector, AzureError> {
        let path = format!("{id}/encryptionProtector/current");
        let request = Request::get(&path, API, "Microsoft.Sql/servers/encryptionProtector/read");
        let answer = azure.perform(&request).await?;
        parse_protector(&answer.body, &|name| azure.endpoints().vault_host(name)).map_err(|why| answer.bad(why))
    }

    async fn linked_keys(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        let request = Request::get(&format!("{id}/keys"), API, "Microsoft.Sql/servers/keys/read");
        let host = |name: &str| azure.endpoints().vault_host(name);
        Ok(azure.parsed_list(request, |item| parse_linked_key(item, &host)).await?.into_iter().flatten().collect())
    }

    async fn databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        list(azure, id, "databases", "Microsoft.Sql/servers/databases/read").await
    }

    async fn inaccessible_databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        list(azure, id, "inaccessibleDatabases", "Microsoft.Sql/servers/inaccessibleDatabases/read").await
    }

    fn revalidate(&self, id: &ResourceId) -> PreparedWrite {
        let path = format!("{id}/encryptionProtector/current/revalidate");
        let action = "Microsoft.Sql/servers/encryptionProtector/revalidate/action";
        PreparedWrite::arm(Method::POST, &path, API, None, action)
    }

    /// It replaces the block, so the caller must carry over user-assigned identities; then this also takes
    /// `Microsoft.ManagedIdentity/userAssignedIdentities/assign/action` on each.
    fn patch_identity(&self, id: &ResourceId, body: Value) -> Option<PreparedWrite> {
        Some(PreparedWrite::arm(Method::PATCH, id.as_str(), API, Some(body), "Microsoft.Sql/servers/write"))
    }
}

async fn list(azure: &Azure, server: &ResourceId, kind: &str, action: &str) -> Result<Vec<Database>, AzureError> {
    let request = Request::get(&format!("{server}/{kind}"), API, action);
    let mut databases = azure.parsed_list(request, parse_database).await?;
    databases.retain(|database| !database.name.eq_ignore_ascii_case("master"));
    Ok(databases)
}
