//! A database with a key of its own (database-level encryption; Microsoft.Sql REST reference, api-version 2025-01-01). It
//! reaches its key by its own user-assigned identity, never by the server's, and the server's key does not matter to it.
//! There is none on a managed instance, in Synapse or in a dedicated SQL pool (`PerDatabaseCMKDWNotSupported`).

use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;

use super::Dependent;
use crate::azure::error::AzureError;
use crate::azure::request::{Answer, Request};
use crate::azure::sql::{API, parse_server};
use crate::azure::sql_databases::{parse_database, parse_own_keys, parse_own_protector};
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Database, LinkedKey, Protector, Server};
use crate::domain::resource_id::ResourceId;

/// See the module.
#[derive(Debug)]
pub(super) struct OwnKeyDatabase;

#[async_trait]
impl Dependent for OwnKeyDatabase {
    fn kind(&self) -> Kind {
        Kind::Database
    }

    async fn describe(&self, azure: &Azure, id: &ResourceId) -> Result<Server, AzureError> {
        let answer = read(azure, id, false).await?;
        let (found, database) = parse_server(&answer.body).map_err(|why| answer.bad(why))?;
        if found == *id { Ok(database) } else { Err(answer.bad(format!("it is about {found}"))) }
    }

    async fn protector(&self, azure: &Azure, id: &ResourceId) -> Result<Protector, AzureError> {
        let answer = read(azure, id, true).await?;
        parse_own_protector(&answer.body).map_err(|why| answer.bad(why))
    }

    /// Its `keys`, which Azure shows only where they are asked for.
    async fn linked_keys(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        let answer = read(azure, id, true).await?;
        parse_own_keys(&answer.body).map_err(|why| answer.bad(why))
    }

    /// Itself alone. Its protector is the one in question here, so that it is not told apart from it as on its server.
    async fn databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let answer = read(azure, id, false).await?;
        let mut database = parse_database(&answer.body).map_err(|why| answer.bad(why))?;
        database.own_protector = None;
        Ok(vec![database])
    }

    async fn inaccessible_databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let mut databases = self.databases(azure, id).await?;
        databases.retain(Database::is_inaccessible);
        Ok(databases)
    }

    fn revalidate(&self, id: &ResourceId) -> PreparedWrite {
        let path = format!("{id}/encryptionProtector/current/revalidate");
        let action = "Microsoft.Sql/servers/databases/encryptionProtector/revalidate/action";
        PreparedWrite::arm(Method::POST, &path, API, None, action)
    }

    /// A database has no identity of its own making, and which one it should be given only a person knows.
    fn patch_identity(&self, _: &ResourceId, _: Value) -> Option<PreparedWrite> {
        None
    }
}

async fn read(azure: &Azure, id: &ResourceId, keys: bool) -> Result<Answer, AzureError> {
    let request = Request::get(id.as_str(), API, "Microsoft.Sql/servers/databases/read");
    azure.perform(&if keys { request.with("$expand", "keys") } else { request }).await
}
