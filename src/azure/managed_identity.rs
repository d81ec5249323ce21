//! Microsoft.ManagedIdentity: whether a user-assigned identity still exists (api-version 2024-11-30).

use serde::Deserialize;

use crate::azure::error::AzureError;
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::resource_id::ResourceId;

const API: &str = "2024-11-30";

impl Azure {
    /// The object id of a user-assigned identity.
    ///
    /// # Errors
    /// [`AzureError`]; [`AzureError::NotFound`] if the identity was deleted, though servers still list it.
    pub async fn user_assigned_identity(&self, id: &ResourceId) -> Result<String, AzureError> {
        #[derive(Deserialize)]
        struct Wire {
            properties: Properties,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Properties {
            principal_id: String,
        }
        let action = "Microsoft.ManagedIdentity/userAssignedIdentities/read";
        let answer = self.perform(&Request::get(id.as_str(), API, action)).await?;
        Ok(answer.shaped::<Wire>()?.properties.principal_id)
    }
}
