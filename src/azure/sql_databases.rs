//! Microsoft.Sql: databases with their status and settings (REST reference, api-version 2025-01-01).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::azure::json::{filled, shaped, tags};
use crate::domain::evidence::{Database, Inaccessibility};
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
const SETTINGS: [(&str, &str); 11] = [
    ("elasticPoolId", "elastic pool"),
    ("failoverGroupId", "failover group"),
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
    let own_protector = match wire.properties.get("encryptionProtector") {
        None | Some(Value::Null) => None,
        Some(Value::String(uri)) if uri.is_empty() => None,
        Some(Value::String(uri)) => Some(KeyUri::parse(uri).ok_or("a database's own protector is not a key URI")?),
        Some(_) => return Err("a database's own protector is no text".to_owned()),
    };
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
