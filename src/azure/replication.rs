//! Geo-replication of a logical server's databases (Microsoft.Sql, REST reference, api-version 2025-01-01): who holds their
//! secondaries.

use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::{filled, shaped};
use crate::azure::request::Request;
use crate::azure::sql::API;
use crate::azure::transport::Azure;
use crate::domain::evidence::ReplicationLink;
use crate::domain::resource_id::ResourceId;

impl Azure {
    /// The geo-replication links of all databases of a logical server: one request a page, however many databases. Links
    /// to named replicas, which share their primary's server or storage, and copies under way are left out.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn replication_links(&self, server: &ResourceId) -> Result<Vec<ReplicationLink>, AzureError> {
        let path = format!("{server}/replicationLinks");
        let request = Request::get(&path, API, "Microsoft.Sql/servers/replicationLinks/read");
        Ok(self.parsed_list(request, parse_link).await?.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
struct WireLink {
    id: ResourceId,
    properties: WireProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireProperties {
    role: String,
    #[serde(default, deserialize_with = "filled")]
    partner_database_id: Option<ResourceId>,
    #[serde(default, deserialize_with = "filled")]
    link_type: Option<String>,
}

/// `ReplicationLink`; none if it is not one of geo-replication.
pub(super) fn parse_link(item: &Value) -> Result<Option<ReplicationLink>, String> {
    let WireLink { id, properties } = shaped(item)?;
    let named = properties.link_type.is_some_and(|kind| kind.eq_ignore_ascii_case("NAMED"));
    let primary = match properties.role.to_ascii_lowercase().as_str() {
        "primary" => true,
        "secondary" | "nonreadablesecondary" => false,
        "source" | "copy" => return Ok(None),
        other => return Err(format!("replication role {other:?} is not known")),
    };
    let database = id.sql_database().ok_or_else(|| format!("{id} is no replication link of a database"))?.to_owned();
    let partner = properties.partner_database_id.and_then(|id| id.database_host());
    Ok((!named).then_some(ReplicationLink { database, primary, partner }))
}
