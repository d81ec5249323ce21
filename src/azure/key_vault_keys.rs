//! A key vault's own data plane: deleted keys, and the repairs that only it can do (api-version 2025-07-01).
//!
//! The vault's firewall applies here, and Azure Functions is no trusted service of it: a 403 by the firewall says
//! nothing about the key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::azure::error::AzureError;
use crate::azure::json::{list, shaped, tags, unix_moment};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::evidence::{DeletedKey, KeyVersion};
use crate::domain::key_uri::{KeyUri, VaultHost};

const API: &str = "2025-07-01";

impl Azure {
    /// A key's soft-deleted remains.
    ///
    /// # Errors
    /// [`AzureError`]; [`AzureError::NotFound`] if it is not among the deleted ones.
    pub async fn deleted_key(&self, key: &KeyUri) -> Result<DeletedKey, AzureError> {
        let path = format!("/deletedkeys/{}", key.key);
        let answer =
            self.perform(&Request::get(&path, API, "Microsoft.KeyVault/vaults/keys/read").at(&key.vault)).await?;
        let wire: WireDeletedKey = answer.shaped()?;
        Ok(DeletedKey { deleted_at: wire.deleted_date, purge_at: wire.scheduled_purge_date, tags: wire.tags })
    }

    /// A key version as the vault itself tells it, tags and all. A key URI without version asks for the current one.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn key_at_vault(&self, key: &KeyUri) -> Result<KeyVersion, AzureError> {
        let path = format!("/keys/{}/{}", key.key, key.version.as_deref().unwrap_or_default());
        let answer =
            self.perform(&Request::get(&path, API, "Microsoft.KeyVault/vaults/keys/read").at(&key.vault)).await?;
        parse_bundle(&answer.body).map_err(|why| answer.bad(why))
    }

    /// Whether `https://{vault}/healthstatus` answers from here, other than by server errors. Without a token. Only our
    /// view of the network: SQL's may differ.
    ///
    /// # Errors
    /// [`AzureError::NotThisCloud`], or [`AzureError::Unreachable`] where the connection broke.
    pub async fn vault_answers(&self, host: &VaultHost) -> Result<bool, AzureError> {
        self.knock(host).await
    }
}

impl PreparedWrite {
    /// Brings a soft-deleted key back; usable a little later, so read it until it is there.
    #[must_use]
    pub fn recover_key(key: &KeyUri) -> Self {
        let path = format!("/deletedkeys/{}/recover", key.key);
        Self::arm(Method::POST, &path, API, None, "Microsoft.KeyVault/vaults/keys/recover/action").at(&key.vault)
    }

    /// Enables a key version or moves its expiry (Unix seconds on the wire), or both; what is `None` stays as it is.
    #[must_use]
    pub fn update_key_attributes(
        vault: &VaultHost,
        key: &str,
        version: &str,
        enabled: Option<bool>,
        expires: Option<Timestamp>,
    ) -> Self {
        let mut attributes = serde_json::Map::new();
        if let Some(enabled) = enabled {
            attributes.insert("enabled".to_owned(), json!(enabled));
        }
        if let Some(expires) = expires {
            attributes.insert("exp".to_owned(), json!(expires.as_second()));
        }
        let path = format!("/keys/{key}/{version}");
        let body = json!({"attributes": attributes});
        Self::arm(Method::PATCH, &path, API, Some(body), "Microsoft.KeyVault/vaults/keys/update/action").at(vault)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDeletedKey {
    // Asked for, so that an empty object is not taken for a deleted key.
    #[serde(rename = "recoveryId")]
    _recovery_id: String,
    #[serde(default, deserialize_with = "unix_moment")]
    deleted_date: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    scheduled_purge_date: Option<Timestamp>,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct WireBundle {
    key: WireJsonWebKey,
    attributes: WireAttributes,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct WireJsonWebKey {
    kid: String,
    kty: Option<String>,
    #[serde(default, deserialize_with = "list")]
    key_ops: Vec<String>,
}

#[derive(Deserialize)]
struct WireAttributes {
    enabled: bool,
    #[serde(default, deserialize_with = "unix_moment")]
    nbf: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    exp: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "unix_moment")]
    updated: Option<Timestamp>,
}

pub(super) fn parse_bundle(body: &Value) -> Result<KeyVersion, String> {
    let WireBundle { key, attributes, tags } = shaped(body)?;
    let uri = KeyUri::parse(&key.kid).ok_or_else(|| format!("{:?} is no key id", key.kid))?;
    Ok(KeyVersion {
        version: uri.version.ok_or("the key's id has no version")?,
        enabled: attributes.enabled,
        not_before: attributes.nbf,
        expires: attributes.exp,
        created: attributes.created,
        updated: attributes.updated,
        kind: key.kty,
        size: None,
        operations: key.key_ops.iter().map(|op| op.to_ascii_lowercase()).collect(),
        tags,
    })
}
