//! A SQL managed instance (Microsoft.Sql/managedInstances, REST reference, api-version 2025-01-01). It alone tells in
//! `properties.extendedAccessibilityInfo` why a database is inaccessible; the published examples show that only in the
//! list of inaccessible databases, so that list is asked too where a database is down.

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
pub(super) struct ManagedInstance;

#[async_trait]
impl Dependent for ManagedInstance {
    fn kind(&self) -> Kind {
        Kind::ManagedInstance
    }

    async fn describe(&self, azure: &Azure, id: &ResourceId) -> Result<Server, AzureError> {
        let request = Request::get(id.as_str(), API, "Microsoft.Sql/managedInstances/read");
        let answer = azure.perform(&request).await?;
        let (found, instance) = parse_server(&answer.body).map_err(|why| answer.bad(why))?;
        if found == *id { Ok(instance) } else { Err(answer.bad(format!("it is about {found}"))) }
    }

    async fn below(&self, azure: &Azure, scope: &ResourceId) -> Result<Vec<(ResourceId, Server)>, AzureError> {
        let path = format!("{scope}/providers/Microsoft.Sql/managedInstances");
        azure.parsed_list(Request::get(&path, API, "Microsoft.Sql/managedInstances/read"), parse_server).await
    }

    async fn protector(&self, azure: &Azure, id: &ResourceId) -> Result<Protector, AzureError> {
        let path = format!("{id}/encryptionProtector/current");
        let request = Request::get(&path, API, "Microsoft.Sql/managedInstances/encryptionProtector/read");
        let answer = azure.perform(&request).await?;
        parse_protector(&answer.body, &|name| azure.endpoints().vault_host(name)).map_err(|why| answer.bad(why))
    }

    async fn linked_keys(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        let request = Request::get(&format!("{id}/keys"), API, "Microsoft.Sql/managedInstances/keys/read");
        let host = |name: &str| azure.endpoints().vault_host(name);
        Ok(azure.parsed_list(request, |item| parse_linked_key(item, &host)).await?.into_iter().flatten().collect())
    }

    async fn databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let mut databases = list(azure, id, "databases", "Microsoft.Sql/managedInstances/databases/read").await?;
        if databases.iter().any(|database| database.is_inaccessible() && database.reason.is_none()) {
            // Azure's own reason is a help; that it cannot be read hides no database.
            match self.inaccessible_databases(azure, id).await {
                Ok(told) => add_reasons(&mut databases, told),
                Err(error) => {
                    tracing::info!(%error, instance = %id, "why databases are inaccessible could not be read")
                }
            }
        }
        Ok(databases)
    }

    async fn inaccessible_databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        let action = "Microsoft.Sql/managedInstances/inaccessibleManagedDatabases/read";
        list(azure, id, "inaccessibleManagedDatabases", action).await
    }

    fn revalidate(&self, id: &ResourceId) -> PreparedWrite {
        let path = format!("{id}/encryptionProtector/current/revalidate");
        let action = "Microsoft.Sql/managedInstances/encryptionProtector/revalidate/action";
        PreparedWrite::arm(Method::POST, &path, API, None, action)
    }

    /// It would take the right to write instances, which no role of Keymend's gives: a person's work.
    fn patch_identity(&self, _id: &ResourceId, _body: Value) -> Option<PreparedWrite> {
        None
    }
}

async fn list(azure: &Azure, instance: &ResourceId, kind: &str, action: &str) -> Result<Vec<Database>, AzureError> {
    let request = Request::get(&format!("{instance}/{kind}"), API, action);
    let mut databases = azure.parsed_list(request, parse_database).await?;
    databases.retain(|database| !database.name.eq_ignore_ascii_case("master"));
    Ok(databases)
}

fn add_reasons(databases: &mut [Database], told: Vec<Database>) {
    for one in told {
        let same = |database: &&mut Database| database.name.eq_ignore_ascii_case(&one.name);
        if let Some(database) = databases.iter_mut().find(same).filter(|database| database.reason.is_none()) {
            database.reason = one.reason;
        }
    }
}
