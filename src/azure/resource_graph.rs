//! Microsoft.ResourceGraph: finding things by what they say (api-version 2024-04-01). It lags behind the truth by up to
//! minutes, so what it finds is read again, and what it does not find is looked for elsewhere.

use serde_json::{Value, json};

use crate::azure::error::AzureError;
use crate::azure::transport::{Azure, Request};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;

const API: &str = "2024-04-01";

impl Azure {
    /// The id of the vault of this name, in any subscription the responder may read. Vault names are unique in a cloud.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn find_vault(&self, host: &VaultHost) -> Result<Option<ResourceId>, AzureError> {
        // A vault's name holds only letters, digits and dashes, so it cannot change the query.
        let query = format!(
            "resources | where type =~ 'microsoft.keyvault/vaults' and name =~ '{}' | project id",
            host.vault_name()
        );
        Ok(self.graph_ids(&query, &[]).await?.into_iter().next())
    }

    /// Servers whose own description names a key of this vault. Never complete: a protector set on its own is not in the
    /// graph.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn servers_naming(
        &self,
        host: &VaultHost,
        subscriptions: &[String],
    ) -> Result<Vec<ResourceId>, AzureError> {
        let query = format!(
            "resources | where type =~ 'microsoft.sql/servers' | where tostring(properties.keyId) contains '{host}' \
             | project id"
        );
        self.graph_ids(&query, subscriptions).await
    }

    async fn graph_ids(&self, query: &str, subscriptions: &[String]) -> Result<Vec<ResourceId>, AzureError> {
        let mut body = json!({"query": query, "options": {"resultFormat": "objectArray", "$top": 1000}});
        if !subscriptions.is_empty() {
            body["subscriptions"] = json!(subscriptions);
        }
        let path = "/providers/Microsoft.ResourceGraph/resources";
        let request = Request::get(path, API, "Microsoft.ResourceGraph/resources/read").posting(body);
        let answer = self.perform(&request).await?;
        let rows = answer.body["data"].as_array().ok_or_else(|| answer.bad("it has no list named data"))?;
        let id = |row: &Value| row["id"].as_str().and_then(|id| ResourceId::parse(id).ok());
        rows.iter().map(id).collect::<Option<_>>().ok_or_else(|| answer.bad("a row has no id"))
    }
}
