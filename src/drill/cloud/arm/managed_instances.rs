//! Managed instances: what differs from a logical server in path and shape.

use serde_json::{Value, json};

use super::super::resources::{Database, Server};
use super::super::state::State;
use super::super::wire::Answer;
use super::sql_operations::{result, revalidate};
use super::sql_servers::{identity_json, keys, protector, server_of};
use super::{Call, Operation, not_found, page};

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "managedinstances") => instances,
        ("GET", "managedinstances/encryptionprotector") => |state, call| renamed(protector(state, call)),
        ("GET", "managedinstances/keys") => |state, call| renamed(keys(state, call)),
        ("POST", "managedinstances/encryptionprotector/revalidate") => revalidate,
        ("GET", "managedinstances/databases") => databases,
        ("GET", "managedinstances/inaccessiblemanageddatabases") => inaccessible,
        ("GET", "locations/managedinstanceencryptionprotectorazureasyncoperation") => result,
        _ => return None,
    })
}

/// The same answer with the resource types of a managed instance.
fn renamed(mut answer: Answer) -> Answer {
    let rename = |item: &mut Value| {
        if let Some(kind) = item["type"].as_str().map(|kind| kind.replace("/servers/", "/managedInstances/")) {
            item["type"] = json!(kind);
            // A server's parts tell their region, an instance's do not.
            item.as_object_mut().map(|item| item.shift_remove("location"));
        }
    };
    if let Some(body) = &mut answer.body {
        match body.get_mut("value").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(rename),
            None => rename(body),
        }
    }
    answer
}

fn instances(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        return match server_of(state, call) {
            Ok(at) => Answer::json(200, instance_json(state, &state.servers[at])),
            Err(answer) => answer,
        };
    }
    let all = state.servers.iter().filter(|one| one.is_instance());
    let all = all.filter(|one| call.scope.as_ref().is_none_or(|scope| scope.contains(&one.id)));
    page(state, call, all.map(|one| instance_json(state, one)).collect())
}

/// An instance as ARM shows it.
pub(super) fn instance_json(state: &State, instance: &Server) -> Value {
    let mut out = json!({
        "id": instance.id,
        "name": instance.id.name(),
        "type": "Microsoft.Sql/managedInstances",
        "location": instance.location,
        "tags": instance.tags,
        "sku": { "name": "GP_Gen5", "tier": "GeneralPurpose", "family": "Gen5", "capacity": 8 },
        "properties": {
            "fullyQualifiedDomainName": format!("{}.1b4e2caff2530.database.windows.net", instance.id.name()),
            "administratorLogin": "contosoadmin",
            "state": "Ready",
            "provisioningState": "Succeeded",
            "vCores": 8,
            "storageSizeInGB": 1024,
            "licenseType": "LicenseIncluded",
            "publicDataEndpointEnabled": false,
            "minimalTlsVersion": "1.2",
        },
    });
    if let Some(primary) = &instance.primary {
        out["properties"]["primaryUserAssignedIdentityId"] = json!(primary);
    }
    if let Some(identity) = identity_json(state, instance) {
        out["identity"] = identity;
    }
    out
}

fn databases(state: &mut State, call: &Call<'_>) -> Answer {
    let instance = match server_of(state, call) {
        Ok(at) => &state.servers[at],
        Err(answer) => return answer,
    };
    if call.names.len() < 2 {
        let all = instance.databases.iter().map(|one| database_json(state, instance, one));
        return page(state, call, all.collect());
    }
    let found = instance.databases.iter().find(|one| one.id.name().eq_ignore_ascii_case(call.name(1)));
    found.map_or_else(
        || not_found(call.ancestor(2).as_ref()),
        |one| Answer::json(200, database_json(state, instance, one)),
    )
}

fn inaccessible(state: &mut State, call: &Call<'_>) -> Answer {
    let at = match server_of(state, call) {
        Ok(at) => at,
        Err(answer) => return answer,
    };
    let instance = &state.servers[at];
    let why = state.key_access(at).err();
    let down = instance.databases.iter().filter(|one| state.status(one) == "Inaccessible");
    let all = down.map(|one| {
        let mut shown = database_json(state, instance, one);
        if one.replication_failed {
            // The kind as the specification lists it; what Azure says with it has not been published.
            shown["properties"]["extendedAccessibilityInfo"] = json!({
                "inaccessibilityReasonErrorCode": "ManagedDatabaseReplicationFailed",
                "inaccessibilityReasonDescription": "Replication of the database has failed. Contact Microsoft support.",
                "inaccessibilityReasonKind": "DatabaseReplication",
            });
            return shown;
        }
        shown["properties"]["extendedAccessibilityInfo"] = json!({
            "inaccessibilityReasonErrorCode": why.as_ref().map_or("AzureKeyVaultKeyAccessLost", |why| why.code),
            "inaccessibilityReasonDescription": why.as_ref().map_or(
                "Access to the key was lost. Re-validate the key.", |why| why.message.as_str()),
            "inaccessibilityReasonKind": "TransparentDataEncryption",
            "inaccessibilityReasonTdeKeyUri": instance.protector.as_ref().map(|key| key.uri(key.version.as_deref())),
        });
        shown
    });
    page(state, call, all.collect())
}

fn database_json(state: &State, instance: &Server, database: &Database) -> Value {
    json!({
        "id": database.id,
        "name": database.id.name(),
        "type": "Microsoft.Sql/managedInstances/databases",
        "location": instance.location,
        "tags": database.settings.tags,
        "properties": {
            "collation": "SQL_Latin1_General_CP1_CI_AS",
            "status": state.status(database),
            "creationDate": database.created,
            "defaultSecondaryLocation": "northeurope",
            "isLedgerOn": false,
        },
    })
}
