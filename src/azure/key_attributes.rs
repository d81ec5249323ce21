//! Keys' attributes at the Resource Manager (Microsoft.KeyVault, api-version 2026-02-01).
//!
//! They are read here and not at the vault: the Resource Manager needs no data-plane right, and no vault firewall stands in
//! its way (Microsoft, "access Azure Key Vault behind a firewall").

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::{list, shaped, tags, unix_moment};
use crate::azure::key_vault::API;
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::evidence::KeyVersion;
use crate::domain::resource_id::ResourceId;

impl Azure {
    /// A key's version; without one, its current version.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn key_version(
        &self,
        vault: &ResourceId,
        key: &str,
        version: Option<&str>,
    ) -> Result<KeyVersion, AzureError> {
        let (path, action) = match version {
            Some(version) => {
                (format!("{vault}/keys/{key}/versions/{version}"), "Microsoft.KeyVault/vaults/keys/versions/read")
            }
            None => (format!("{vault}/keys/{key}"), "Microsoft.KeyVault/vaults/keys/read"),
        };
        let answer = self.perform(&Request::get(&path, API, action)).await?;
        parse_key(&answer.body).map_err(|why| answer.bad(why))
    }

    /// The ids and creation times of a key's versions.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn key_versions(
        &self,
        vault: &ResourceId,
        key: &str,
    ) -> Result<Vec<(String, Option<Timestamp>)>, AzureError> {
        let path = format!("{vault}/keys/{key}/versions");
        let request = Request::get(&path, API, "Microsoft.KeyVault/vaults/keys/versions/read");
        self.parsed_list(request, |item| {
            let wire: WireKey = shaped(item)?;
            Ok((wire.name.to_ascii_lowercase(), wire.properties.attributes.created))
        })
        .await
    }
}

#[derive(Deserialize)]
struct WireKey {
    name: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    properties: WireKeyProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKeyProperties {
    attributes: WireAttributes,
    kty: Option<String>,
    key_size: Option<u32>,
    #[serde(default, deserialize_with = "list")]
    key_ops: Vec<String>,
    key_uri_with_version: Option<String>,
}

#[derive(Deserialize)]
struct WireAttributes {
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "unix_moment")]
    nbf: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    exp: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    updated: Option<Timestamp>,
}

pub(super) fn parse_key(body: &Value) -> Result<KeyVersion, String> {
    let WireKey { name, tags, properties } = shaped(body)?;
    let attributes = properties.attributes;
    let from_uri = properties.key_uri_with_version.as_deref().and_then(|uri| uri.rsplit('/').next());
    let version = from_uri.unwrap_or(&name).to_ascii_lowercase();
    if version.len() != 32 || !version.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("{version:?} is no key version"));
    }
    Ok(KeyVersion {
        version,
        enabled: attributes.enabled.ok_or("the key does not say whether it is enabled")?,
        not_before: attributes.nbf,
        expires: attributes.exp,
        created: attributes.created,
        updated: attributes.updated,
        kind: properties.kty,
        size: properties.key_size,
        operations: properties.key_ops.iter().map(|op| op.to_ascii_lowercase()).collect(),
        tags,
    })
}
