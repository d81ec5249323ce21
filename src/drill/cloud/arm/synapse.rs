//! Microsoft.Synapse: workspaces with a key of their own, and their dedicated SQL pools.

use serde_json::{Value, json};

use super::super::resources::{Database, Server};
use super::super::state::State;
use super::super::wire::Answer;
use super::sql_operations::{result, revalidate};
use super::sql_servers::{identity_json, protector, server_of};
use super::{Call, Operation, not_found, page};

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "workspaces") => workspaces,
        ("GET", "workspaces/encryptionprotector") => |state, call| renamed(protector(state, call)),
        ("POST", "workspaces/encryptionprotector/revalidate") => revalidate,
        ("GET", "workspaces/keys") => keys,
        ("GET", "workspaces/sqlpools") => pools,
        ("GET", "locations/operationresults") => result,
        _ => return None,
    })
}

/// A server's protector in a workspace's words.
fn renamed(mut answer: Answer) -> Answer {
    if let Some(body) = answer.body.as_mut().filter(|body| body["type"].is_string()) {
        body["type"] = json!("Microsoft.Synapse/workspaces/encryptionProtector");
        // Newer than the version that workspaces have.
        for newer in ["autoRotationEnabled", "keyVersion"] {
            body["properties"].as_object_mut().map(|properties| properties.shift_remove(newer));
        }
    }
    answer
}

fn workspaces(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        return match server_of(state, call) {
            Ok(at) => Answer::json(200, workspace_json(state, &state.servers[at])),
            Err(answer) => answer,
        };
    }
    let all = state.servers.iter().filter(|one| one.is_workspace());
    let all = all.filter(|one| call.scope.as_ref().is_none_or(|scope| scope.contains(&one.id)));
    page(state, call, all.map(|one| workspace_json(state, one)).collect())
}

fn workspace_json(state: &State, workspace: &Server) -> Value {
    let name = workspace.id.name();
    let mut out = json!({
        "id": workspace.id,
        "name": name,
        "type": "Microsoft.Synapse/workspaces",
        "location": workspace.location,
        "tags": workspace.tags,
        "properties": {
            "provisioningState": "Succeeded",
            "sqlAdministratorLogin": "contosoadmin",
            "managedResourceGroupName": format!("synapseworkspace-managedrg-{name}"),
            "connectivityEndpoints": { "sql": format!("{name}.sql.azuresynapse.net") },
            "privateEndpointConnections": [],
            "publicNetworkAccess": "Enabled",
        },
    });
    if let Some(protector) = &workspace.protector {
        let kek = match &workspace.primary {
            Some(primary) => json!({ "userAssignedIdentity": primary, "useSystemAssignedIdentity": false }),
            None => json!({ "useSystemAssignedIdentity": true }),
        };
        out["properties"]["encryption"] = json!({
            "doubleEncryptionEnabled": true,
            "cmk": { "status": "Consistent", "key": { "name": "default", "keyVaultUrl": protector.uri(None) }, "kekIdentity": kek },
        });
    }
    if let Some(identity) = identity_json(state, workspace) {
        out["identity"] = identity;
    }
    out
}

fn keys(state: &mut State, call: &Call<'_>) -> Answer {
    let workspace = match server_of(state, call) {
        Ok(at) => &state.servers[at],
        Err(answer) => return answer,
    };
    let all = workspace.protector.iter().map(|protector| {
        json!({
            "id": format!("{}/keys/default", workspace.id),
            "name": "default",
            "type": "Microsoft.Synapse/workspaces/keys",
            "properties": { "keyVaultUrl": protector.uri(None), "isActiveCMK": true },
        })
    });
    page(state, call, all.collect())
}

fn pools(state: &mut State, call: &Call<'_>) -> Answer {
    let workspace = match server_of(state, call) {
        Ok(at) => &state.servers[at],
        Err(answer) => return answer,
    };
    if call.names.len() < 2 {
        return page(state, call, workspace.databases.iter().map(|one| pool_json(state, workspace, one)).collect());
    }
    let found = workspace.databases.iter().find(|one| one.id.name().eq_ignore_ascii_case(call.name(1)));
    found
        .map_or_else(|| not_found(call.ancestor(2).as_ref()), |one| Answer::json(200, pool_json(state, workspace, one)))
}

fn pool_json(state: &State, workspace: &Server, pool: &Database) -> Value {
    json!({
        "id": pool.id,
        "name": pool.id.name(),
        "type": "Microsoft.Synapse/workspaces/sqlPools",
        "location": workspace.location,
        "tags": pool.settings.tags,
        "sku": { "name": "DW100c", "capacity": 0 },
        "properties": {
            "status": if pool.settings.paused { "Paused" } else { state.status(pool) },
            "provisioningState": "Succeeded",
            "collation": "SQL_Latin1_General_CP1_CI_AS",
            "creationDate": pool.created,
        },
    })
}
