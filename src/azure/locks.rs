//! Microsoft.Authorization/locks (api-version 2020-05-01).

use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::shaped;
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::evidence::Lock;
use crate::domain::resource_id::ResourceId;

const API: &str = "2020-05-01";

impl Azure {
    /// Every lock of a subscription, on whatever level it sits.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn locks(&self, subscription: &str) -> Result<Vec<Lock>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/locks");
        self.parsed_list(Request::get(&path, API, "Microsoft.Authorization/locks/read"), parse).await
    }
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    name: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    level: String,
}

pub(super) fn parse(item: &Value) -> Result<Lock, String> {
    const MARKER: &str = "/providers/microsoft.authorization/locks/";
    let wire: Wire = shaped(item)?;
    let at = wire.id.to_ascii_lowercase().rfind(MARKER).ok_or("a lock's id has no scope")?;
    let scope = ResourceId::parse(&wire.id[..at]).map_err(|error| format!("a lock's scope: {error}"))?;
    let read_only = match wire.properties.level.to_ascii_lowercase().as_str() {
        "readonly" => true,
        "cannotdelete" | "notspecified" => false,
        level => return Err(format!("lock level {level:?} is not known")),
    };
    Ok(Lock { name: wire.name, scope, read_only })
}
