//! Microsoft.Sql: databases with their status and settings (REST reference, api-version 2025-01-01).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::json::{filled, shaped, tags};
use crate::domain::evidence::{Database, Inaccessibility, LinkedKey, Protector, SECONDARY_TYPE};
use crate::domain::key_uri::KeyUri;

#[derive(Deserialize)]
struct WireDatabase {
    name: String,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
    sku: Option<WireSku>,
    properties: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct WireSku {
    name: String,
    capacity: Option<i64>,
}

/// What Azure drops after the self-heal window (overview of customer-managed TDE), and what else is worth a comparison:
/// the property and the name under which people see it.
const SETTINGS: [(&str, &str); 12] = [
    ("elasticPoolId", "elastic pool"),
    ("failoverGroupId", "failover group"),
    ("secondaryType", SECONDARY_TYPE),
    ("readScale", "read scale"),
    ("autoPauseDelay", "auto-pause delay"),
    ("minCapacity", "minimum capacity"),
    ("zoneRedundant", "zone redundant"),
    ("highAvailabilityReplicaCount", "high-availability replicas"),
    ("requestedBackupStorageRedundancy", "backup storage redundancy"),
    ("maintenanceConfigurationId", "maintenance configuration"),
    ("licenseType", "licence"),
    ("maxSizeBytes", "maximum size in bytes"),
];

pub(super) fn parse_database(item: &Value) -> Result<Database, String> {
    let wire: WireDatabase = shaped(item)?;
    let status = wire.properties.get("status").and_then(Value::as_str).ok_or("a database has no status")?.to_owned();
    let own_protector = own_key(&wire.properties)?;
    let mut settings = BTreeMap::new();
    for (property, name) in SETTINGS {
        let value = match wire.properties.get(property) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        settings.insert(name.to_owned(), value);
    }
    if let Some(WireSku { name, capacity }) = wire.sku {
        let capacity = capacity.map_or_else(String::new, |capacity| format!(", capacity {capacity}"));
        settings.insert("service objective".to_owned(), format!("{name}{capacity}"));
    }
    settings.extend(wire.tags.into_iter().map(|(name, value)| (format!("tag {name}"), value)));
    let reason = match wire.properties.get("extendedAccessibilityInfo") {
        None | Some(Value::Null) => None,
        // It is for people and a help: what cannot be read of it must hide no database.
        Some(told) => parse_reason(told).ok(),
    };
    Ok(Database { name: wire.name, status, own_protector, settings, reason })
}

#[derive(Deserialize)]
struct WireReason {
    #[serde(rename = "inaccessibilityReasonErrorCode")]
    code: String,
    #[serde(rename = "inaccessibilityReasonDescription")]
    description: String,
    #[serde(rename = "inaccessibilityReasonKind")]
    kind: String,
    #[serde(rename = "inaccessibilityReasonTdeKeyUri", default, deserialize_with = "filled")]
    key: Option<String>,
}

/// Why a managed instance's database is inaccessible (`ManagedDatabaseExtendedAccessibilityInfo`, 2025-01-01).
fn parse_reason(told: &Value) -> Result<Inaccessibility, String> {
    let WireReason { code, description, kind, key } = shaped(told)?;
    let key = match key {
        Some(uri) => Some(KeyUri::parse(&uri).ok_or("the key that made a database inaccessible is not a key URI")?),
        None => None,
    };
    Ok(Inaccessibility { kind, code, description, key })
}

/// The key that a database names as its own protector.
fn own_key(properties: &serde_json::Map<String, Value>) -> Result<Option<KeyUri>, String> {
    match properties.get("encryptionProtector") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(uri)) if uri.is_empty() => Ok(None),
        Some(Value::String(uri)) => {
            KeyUri::parse(uri).map(Some).ok_or_else(|| "a database's own protector is not a key URI".to_owned())
        }
        Some(_) => Err("a database's own protector is no text".to_owned()),
    }
}

/// A database's own protector. One without is encrypted through its server's: no customer-managed key of its own.
pub(super) fn parse_own_protector(body: &Value) -> Result<Protector, String> {
    let wire: WireDatabase = shaped(body)?;
    let uri = own_key(&wire.properties)?;
    let keys = own_keys(&wire.properties)?;
    let of_it = uri.as_ref().and_then(|uri| keys.iter().find(|key| key.uri.as_ref() == Some(uri)));
    let thumbprint = of_it.and_then(|key| key.thumbprint.clone());
    let auto_rotation = wire.properties.get("encryptionProtectorAutoRotation").and_then(Value::as_bool);
    Ok(Protector {
        customer_managed: uri.is_some(),
        uri,
        thumbprint,
        auto_rotation: auto_rotation.unwrap_or_default(),
        key_version: None,
    })
}

/// Every key linked to a database: `properties.keys`, by URI.
pub(super) fn parse_own_keys(body: &Value) -> Result<Vec<LinkedKey>, String> {
    let wire: WireDatabase = shaped(body)?;
    own_keys(&wire.properties)
}

fn own_keys(properties: &serde_json::Map<String, Value>) -> Result<Vec<LinkedKey>, String> {
    let keys = match properties.get("keys") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(keys)) => keys,
        Some(_) => return Err("a database's keys are no object".to_owned()),
    };
    let linked = keys.iter().map(|(name, told)| {
        let uri = KeyUri::parse(name).ok_or_else(|| format!("{name:?} is not a key URI of a known cloud"))?;
        let text = |field: &str| told.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let created: Option<Timestamp> = text("creationDate").and_then(|shown| shown.parse().ok());
        let thumbprint = text("thumbprint").map(str::to_owned);
        Ok(LinkedKey { name: name.clone(), uri: Some(uri), created, thumbprint })
    });
    linked.collect()
}
