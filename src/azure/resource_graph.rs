//! Microsoft.ResourceGraph: finding things by what they say (api-version 2024-04-01). It lags behind the truth by up to
//! minutes, so what it finds is read again, and what it does not find is looked for elsewhere.

use serde_json::{Value, json};

use crate::azure::error::AzureError;
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::dependent::Kind;
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;

const API: &str = "2024-04-01";

/// A vault as the graph remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVault {
    /// Its id.
    pub id: ResourceId,
    /// Whether it used role assignments, when the graph last looked. A hint for what to ask next, nothing more.
    pub rbac: bool,
}

impl Azure {
    /// The vault of this name, in any subscription the responder may read. Vault names are unique in a cloud.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn find_vault(&self, host: &VaultHost) -> Result<Option<FoundVault>, AzureError> {
        // A vault's name holds only letters, digits and dashes, so it cannot change the query.
        let query = format!(
            "resources | where type =~ 'microsoft.keyvault/vaults' and name =~ '{}' \
             | project id, location, subscriptionId, tenantId, properties",
            host.vault_name()
        );
        let found = self.graph(&query, None, |row| {
            let rbac = row["properties"]["enableRbacAuthorization"].as_bool().unwrap_or_default();
            row_id(row).map(|id| FoundVault { id, rbac })
        });
        let named = |found: &FoundVault| {
            found.id.resource_type() == "microsoft.keyvault/vaults"
                && found.id.name().eq_ignore_ascii_case(host.vault_name())
        };
        Ok(found.await?.into_iter().find(named))
    }

    /// Servers whose own description names a key of this vault, in these subscriptions (none: no server). Never complete:
    /// a protector that was set by itself is not in the graph.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn servers_naming(
        &self,
        host: &VaultHost,
        subscriptions: &[String],
    ) -> Result<Vec<ResourceId>, AzureError> {
        if subscriptions.is_empty() {
            return Ok(Vec::new());
        }
        let query = format!(
            "resources | where type in~ ('microsoft.sql/servers','microsoft.sql/managedinstances') \
             | extend k=tostring(properties.keyId), i=identity | where k contains '{host}' | project id, k, i"
        );
        let mut servers = self.graph(&query, Some(subscriptions), row_id).await?;
        servers.retain(|id| matches!(Kind::of(id), Some(Kind::SqlServer | Kind::ManagedInstance)));
        Ok(servers)
    }

    async fn graph<T>(
        &self,
        query: &str,
        subscriptions: Option<&[String]>,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, AzureError> {
        let mut body = json!({"query": query, "options": {"resultFormat": "objectArray", "$top": 1000}});
        if let Some(subscriptions) = subscriptions {
            body["subscriptions"] = json!(subscriptions);
        }
        let path = "/providers/Microsoft.ResourceGraph/resources";
        let request = Request::get(path, API, "Microsoft.ResourceGraph/resources/read").posting(body);
        let answer = self.perform(&request).await?;
        let rows = answer.body["data"].as_array().ok_or_else(|| answer.bad("it has no list named data"))?;
        rows.iter().map(read).collect::<Option<_>>().ok_or_else(|| answer.bad("a row has no id"))
    }
}

fn row_id(row: &Value) -> Option<ResourceId> {
    ResourceId::parse(row["id"].as_str()?).ok()
}
