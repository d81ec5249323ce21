//! Garbled answers: whatever has the wrong type or is missing, a parser fails or reads what was there; it never panics and
//! never makes a fact of nothing.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{
    activity_log, authorization, key_attributes, key_vault, key_vault_keys, locks, sql, sql_databases, sql_settings,
};
use crate::domain::key_uri::VaultHost;

const VERSION: &str = "ee059b2bb5bc48398a53b168c6cdcb10";
const VAULT: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/contoso-kv";

/// The JSON pointers of all nodes.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| pointers(value, &format!("{at}/{}", escape(name)), all))
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), all)),
        _ => {}
    }
}

fn removed(mut value: Value, pointer: &str) -> Value {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return Value::Null };
    let name = name.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.shift_remove(&name)),
        Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
        _ => {}
    }
    value
}

/// Puts something of another type in place of each node in turn, and checks that the parser fails or is not misled, but for
/// `shown` fields, which are only for people. Then takes nodes away: it must not panic, and `keeps` must hold.
fn hold<T: PartialEq + Debug>(
    body: &Value,
    parse: impl Fn(&Value) -> Option<T>,
    shown: &[&str],
    keeps: impl Fn(&T, &T) -> bool,
) {
    let original = parse(body).expect("the example is read");
    let mut all = Vec::new();
    pointers(body, "", &mut all);
    let others = [json!(7), json!("zzz"), json!(true), json!([]), json!({}), json!([[]]), json!(-1.5e300)];
    for pointer in &all {
        for other in &others {
            let mut garbled = body.clone();
            let node = garbled.pointer_mut(pointer).unwrap();
            if std::mem::discriminant(node) == std::mem::discriminant(other) {
                continue;
            }
            *node = other.clone();
            if let Some(read) = parse(&garbled)
                && !shown.iter().any(|shown| pointer.contains(shown))
            {
                assert_eq!(read, original, "{pointer} became {other}");
            }
        }
    }
    let parse = &parse;
    let taken = prop::sample::subsequence(all.clone(), 1..=3);
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
        .run(&taken, |pointers| {
            let garbled = pointers.iter().rev().fold(body.clone(), |body, pointer| removed(body, pointer));
            if let Some(read) = parse(&garbled) {
                prop_assert!(keeps(&read, &original), "{pointers:?}: {read:?}");
            }
            Ok(())
        })
        .unwrap();
}

fn host(name: &str) -> Option<VaultHost> {
    VaultHost::parse(&format!("{name}.vault.azure.net"))
}

#[test]
fn servers() {
    let body = json!({
        "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/a", "name": "a", "location": "westeurope",
        "tags": {"a": "b"},
        "identity": {"type": "SystemAssigned,UserAssigned", "principalId": "p", "tenantId": "t",
            "userAssignedIdentities": {"/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/m": {"principalId": "q", "clientId": "c"}}},
        "properties": {"state": "Ready", "primaryUserAssignedIdentityId": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/m",
            "federatedClientId": "f"},
    });
    hold(&body, |body| sql::parse_server(body).ok(), &[], |read, original| read.0 == original.0);
}

#[test]
fn protectors_and_linked_keys() {
    let body = json!({"name": "current", "kind": "azurekeyvault", "properties": {"serverKeyType": "AzureKeyVault",
        "serverKeyName": format!("contoso-kv_k_{VERSION}"), "uri": format!("https://contoso-kv.vault.azure.net/keys/k/{VERSION}"),
        "thumbprint": "00", "autoRotationEnabled": true, "keyVersion": VERSION}});
    hold(
        &body,
        |body| sql::parse_protector(body, &host).ok(),
        &[],
        |read, original| {
            read.customer_managed == original.customer_managed && (read.uri.is_none() || read.uri == original.uri)
        },
    );
    let body = json!({"name": format!("contoso-kv_k_{VERSION}"), "kind": "azurekeyvault", "properties": {"serverKeyType": "AzureKeyVault",
        "uri": format!("https://contoso-kv.vault.azure.net/keys/k/{VERSION}"), "thumbprint": "00", "creationDate": "2020-11-15T00:00:00Z"}});
    hold(
        &body,
        |body| sql::parse_linked_key(body, &host).ok(),
        &["creationDate"],
        |read, original| read.as_ref().map(|key| &key.uri) == original.as_ref().map(|key| &key.uri),
    );
}

#[test]
fn databases() {
    let body = json!({"name": "d", "sku": {"name": "GP", "capacity": 2}, "tags": {"a": "b"}, "properties": {"status": "Online",
        "readScale": "Enabled", "autoPauseDelay": 60, "encryptionProtector": format!("https://contoso-kv.vault.azure.net/keys/k/{VERSION}")}});
    hold(
        &body,
        |body| sql_databases::parse_database(body).ok(),
        &["readScale", "autoPauseDelay"],
        |read, original| read.status == original.status,
    );
}

#[test]
fn settings_of_databases() {
    let body = json!({"name": "d", "sku": {"name": "GP", "capacity": 2}, "tags": {"a": "b"},
        "properties": {"status": "Online", "readScale": "Enabled"}});
    hold(
        &body,
        |body| sql_settings::parse_tagged(body).ok(),
        &["readScale"],
        |read, original| {
            read.database.status == original.database.status && (read.tags.is_empty() || read.tags == original.tags)
        },
    );
    let body = json!({"name": "default", "properties": {"retentionDays": 14, "diffBackupIntervalInHours": 24}});
    hold(&body, |body| sql_settings::parse_short_term(body).ok(), &[], |read, original| read.days == original.days);
    let body = json!({"name": "default", "properties": {
        "weeklyRetention": "P4W", "monthlyRetention": "P1M", "yearlyRetention": "P5Y", "weekOfYear": 5}});
    hold(&body, |body| sql_settings::parse_long_term(body).ok(), &[], |read, _| !read.keeps_nothing());
    let server = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/s1";
    let body = json!({"name": "fg", "properties": {"replicationRole": "Primary",
        "partnerServers": [{"id": server, "replicationRole": "Secondary"}], "databases": [format!("{server}/databases/d")]}});
    // A list that is shorter than Azure's would be sent back: a missing one is an error, and no entry is passed over.
    let parse = |body: &Value| sql_settings::parse_failover_group(body).ok();
    hold(&body, parse, &[], |read, original| {
        read.databases.len() == original.databases.len() || !original.databases.is_empty()
    });
    let mut silent = body;
    silent["properties"]["databases"].take();
    assert!(sql_settings::parse_failover_group(&silent).is_err(), "no list of databases is not an empty list");
}

#[test]
fn workspaces() {
    use super::dependent::synapse_workspace::{parse_key, parse_own_key, parse_workspace};
    let uami = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/m";
    let body = json!({
        "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Synapse/workspaces/w", "name": "w", "location": "westeurope",
        "tags": {"a": "b"},
        "identity": {"type": "SystemAssigned,UserAssigned", "principalId": "p", "tenantId": "t",
            "userAssignedIdentities": {uami: {"principalId": "q", "clientId": "c"}}},
        "properties": {"encryption": {"cmk": {"kekIdentity": {"userAssignedIdentity": uami},
            "key": {"name": "default", "keyVaultUrl": "https://contoso-kv.vault.azure.net/keys/k"}}}},
    });
    hold(&body, |body| parse_workspace(body).ok(), &[], |read, original| read.0 == original.0);
    // With the whole encryption taken away a workspace is one under Microsoft's own key; nothing less may say so.
    hold(&body, |body| parse_own_key(body).ok(), &[], |read, original| read == original || !read.customer_managed);
    assert_eq!(parse_workspace(&body).unwrap().1.identity.effective().unwrap().principal_id, "q");
    let mut own = body;
    own["properties"]["encryption"]["cmk"]["kekIdentity"] = json!({"useSystemAssignedIdentity": true});
    assert_eq!(parse_workspace(&own).unwrap().1.identity.effective().unwrap().principal_id, "p");
    let key = json!({"name": "key1", "properties": {"keyVaultUrl": "https://contoso-kv.vault.azure.net/keys/k", "isActiveCMK": true}});
    hold(
        &key,
        |body| parse_key(body).ok(),
        &["isActiveCMK"],
        |read, original| read.uri.is_none() || read.uri == original.uri,
    );
}

#[test]
fn reasons_of_a_managed_instance() {
    let body = json!({"name": "d", "properties": {"status": "Inaccessible", "extendedAccessibilityInfo": {
        "inaccessibilityReasonErrorCode": "AzureKeyVaultKeyDisabled", "inaccessibilityReasonDescription": "It is disabled.",
        "inaccessibilityReasonKind": "TransparentDataEncryption",
        "inaccessibilityReasonTdeKeyUri": format!("https://contoso-kv.vault.azure.net/keys/k/{VERSION}")}}});
    // A reason that cannot be read is no reason: the database is down all the same, and no key is cleared of blame by it.
    let parse = |body: &Value| sql_databases::parse_database(body).ok();
    hold(
        &body,
        |body| parse(body).map(|database| (database.name, database.status)),
        &[],
        |read, original| read.1 == original.1,
    );
    let mut all = Vec::new();
    pointers(&body["properties"]["extendedAccessibilityInfo"], "/properties/extendedAccessibilityInfo", &mut all);
    for pointer in all.iter().skip(1) {
        for other in [json!(7), json!([]), json!({}), json!(true)] {
            let mut garbled = body.clone();
            *garbled.pointer_mut(pointer).unwrap() = other.clone();
            let database = parse(&garbled).expect("the database is read");
            assert!(!database.is_down_for_another_reason(), "{pointer} became {other}");
        }
        let database = parse(&removed(body.clone(), pointer)).expect("the database is read");
        assert!(!database.is_down_for_another_reason(), "without {pointer}");
    }
    let mut other = body;
    other["properties"]["extendedAccessibilityInfo"]["inaccessibilityReasonKind"] = json!("DatabaseReplication");
    assert!(parse(&other).unwrap().is_down_for_another_reason());
    other["properties"]["status"] = json!("Online");
    assert!(!parse(&other).unwrap().is_down_for_another_reason(), "nothing is down");
}

#[test]
fn vaults() {
    let body = json!({"id": VAULT, "location": "westeurope", "tags": {"a": "b"}, "properties": {"tenantId": "t", "provisioningState": "Succeeded",
        "enableRbacAuthorization": false, "enablePurgeProtection": true, "publicNetworkAccess": "Disabled",
        "networkAcls": {"bypass": "None", "defaultAction": "Deny", "ipRules": [{"value": "1.2.3.4"}]},
        "accessPolicies": [{"tenantId": "t", "objectId": "o", "applicationId": "a", "permissions": {"keys": ["get"]}}],
        "privateEndpointConnections": [{"id": "/x/pe1", "properties": {"privateLinkServiceConnectionState": {"status": "Pending"}}}]}});
    // What is inside the rules is carried along as it is, to be sent back whole.
    hold(
        &body,
        |body| key_vault::parse_vault(body).ok(),
        &["ipRules"],
        |read, original| read.id == original.id && read.tenant_id == original.tenant_id && !read.rbac,
    );
    let mut silent = body;
    silent["properties"]["accessPolicies"].take();
    assert!(key_vault::parse_vault(&silent).is_err(), "no list of policies is not an empty list of policies");
    let body = json!({"properties": {"vaultId": VAULT, "location": "westeurope", "tags": {"a": "b"}, "deletionDate": "2026-01-01T00:00:00Z", "scheduledPurgeDate": "2026-04-01T00:00:00Z"}});
    hold(
        &body,
        |body| key_vault::parse_deleted_vault(body).ok(),
        &["Date"],
        |read, original| read.vault_id == original.vault_id,
    );
}

#[test]
fn keys() {
    let body = json!({"name": VERSION, "properties": {"attributes": {"enabled": true, "nbf": 1, "exp": 2, "created": 3, "updated": 4},
        "kty": "RSA", "keySize": 2048, "keyOps": ["wrapKey"], "keyUriWithVersion": format!("https://contoso-kv.vault.azure.net:443/keys/k/{VERSION}")}});
    hold(
        &body,
        |body| key_attributes::parse_key(body).ok(),
        &[],
        |read, original| read.version == original.version && read.enabled,
    );
    let body = json!({"key": {"kid": format!("https://contoso-kv.vault.azure.net/keys/k/{VERSION}"), "kty": "RSA", "key_ops": ["wrapKey"]},
        "attributes": {"enabled": true, "nbf": 1, "exp": 2, "created": 3, "updated": 4}, "tags": {"a": "b"}});
    hold(
        &body,
        |body| key_vault_keys::parse_bundle(body).ok(),
        &[],
        |read, original| read.version == original.version && read.enabled,
    );
}

#[test]
fn authorization_and_locks() {
    let body = json!({"id": "/a", "name": "a", "properties": {"roleDefinitionId": "/r", "principalId": "p", "principalType": "ServicePrincipal", "scope": VAULT, "condition": "c"}});
    hold(
        &body,
        |body| authorization::parse_assignment(body).ok(),
        &[],
        |read, original| read.principal_id == original.principal_id && read.scope == original.scope,
    );
    let body = json!({"id": "/r", "name": "r", "properties": {"roleName": "n", "permissions": [{"dataActions": ["Microsoft.KeyVault/vaults/keys/*"], "notDataActions": ["Microsoft.KeyVault/vaults/keys/wrap/action"]}]}});
    hold(
        &body,
        |body| authorization::parse_role(body).ok(),
        &[],
        |read, _| read.rights.unwrap || read.rights == Default::default(),
    );
    let body = json!({"id": "/d", "name": "d", "properties": {"denyAssignmentName": "n", "permissions": [{"dataActions": ["*"], "notDataActions": []}],
        "principals": [{"id": "p"}], "excludePrincipals": [{"id": "x"}]}});
    hold(&body, |body| authorization::parse_denial(body).ok(), &[], |_, _| true);
    let body = json!({"id": format!("{VAULT}/providers/Microsoft.Authorization/locks/l"), "name": "l", "properties": {"level": "ReadOnly"}});
    hold(&body, |body| locks::parse(body).ok(), &[], |read, _| read.read_only);
}

#[test]
fn events() {
    let body = json!({"eventTimestamp": "2026-01-01T00:00:00Z", "operationName": {"value": "Microsoft.KeyVault/vaults/delete"}, "status": {"value": "Succeeded"},
        "caller": "dana@contoso.com", "claims": {"appid": "a"}, "resourceId": VAULT, "authorization": {"scope": VAULT}, "correlationId": "c"});
    hold(&body, activity_log::parse, &["claims"], |read, original| read.operation == original.operation);
}

proptest! {
    #[test]
    fn nothing_at_all_panics(body in any_json()) {
        let _ = (sql::parse_server(&body), sql::parse_protector(&body, &host), sql::parse_linked_key(&body, &host), sql_databases::parse_database(&body));
        let _ = (key_vault::parse_vault(&body), key_vault::parse_deleted_vault(&body), key_attributes::parse_key(&body), key_vault_keys::parse_bundle(&body));
        let _ = (authorization::parse_assignment(&body), authorization::parse_role(&body), authorization::parse_denial(&body));
        let _ = (locks::parse(&body), activity_log::parse(&body), super::error::error_body(&body));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        "id|name|properties|identity|type|attributes|enabled|value|error|code|permissions|level",
        "\\PC{0,6}"
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
