//! Microsoft.Sql: servers, their TDE protector and keys, databases.

use serde_json::{Map, Value, json};

use super::super::resources::Server;
use super::super::state::State;
use super::super::wire::Answer;
use super::{Call, not_found, page, page_of};

/// The server that the call names, or the answer that there is none.
pub(super) fn server_of(state: &State, call: &Call<'_>) -> Result<usize, Answer> {
    let id = call.ancestor(1);
    id.as_ref().and_then(|id| state.server_at(id)).ok_or_else(|| not_found(id.as_ref()))
}

pub(super) fn servers(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        return match server_of(state, call) {
            Ok(server) => Answer::json(200, server_json(state, &state.servers[server])),
            Err(answer) => answer,
        };
    }
    let all = state.servers.iter().filter(|server| server.id.sql_server().is_some());
    let all = all.filter(|server| call.scope.as_ref().is_none_or(|scope| scope.contains(&server.id)));
    page_of(state, call, all.collect(), |server| server_json(state, server))
}

/// A server as ARM shows it.
pub(super) fn server_json(state: &State, server: &Server) -> Value {
    let mut out = json!({
        "id": server.id,
        "name": server.id.name(),
        "type": "Microsoft.Sql/servers",
        "location": server.location,
        "tags": server.tags,
        "kind": "v12.0",
        "properties": {
            "administratorLogin": "contosoadmin",
            "version": "12.0",
            "state": "Ready",
            "fullyQualifiedDomainName": format!("{}.database.windows.net", server.id.name()),
            "privateEndpointConnections": [],
            "minimalTlsVersion": "1.2",
            "publicNetworkAccess": "Enabled",
            "restrictOutboundNetworkAccess": "Disabled",
        },
    });
    if let Some(primary) = &server.primary {
        out["properties"]["primaryUserAssignedIdentityId"] = json!(primary);
    }
    if let Some(client) = &server.federated_client {
        out["properties"]["federatedClientId"] = json!(client);
    }
    if let Some(identity) = identity_json(state, server) {
        out["identity"] = identity;
    }
    out
}

pub(super) fn identity_json(state: &State, server: &Server) -> Option<Value> {
    let kind = match (&server.system_identity, server.user_identities.is_empty()) {
        (None, true) => return None,
        (Some(_), true) => "SystemAssigned",
        (None, false) => "UserAssigned",
        (Some(_), false) => "SystemAssigned,UserAssigned",
    };
    let mut out = Map::new();
    if let Some(principal) = &server.system_identity {
        out.insert("principalId".to_owned(), json!(principal));
    }
    out.insert("type".to_owned(), json!(kind));
    out.insert("tenantId".to_owned(), json!(state.world.tenant));
    if !server.user_identities.is_empty() {
        let map: Map<String, Value> = server
            .user_identities
            .iter()
            .map(|(id, principal, client)| (id.to_string(), json!({ "principalId": principal, "clientId": client })))
            .collect();
        out.insert("userAssignedIdentities".to_owned(), Value::Object(map));
    }
    Some(Value::Object(out))
}

pub(super) fn protector(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => &state.servers[server],
        Err(answer) => return answer,
    };
    let body = protector_json(state, server);
    if call.names.len() < 2 {
        return Answer::json(200, json!({ "value": [body] }));
    }
    if !call.name(1).eq_ignore_ascii_case("current") {
        let text = "The encryption protector key name is not supported.";
        return Answer::error(400, "InvalidEncryptionProtectorName", text);
    }
    Answer::json(200, body)
}

fn protector_json(state: &State, server: &Server) -> Value {
    let base = json!({
        "id": format!("{}/encryptionProtector/current", server.id),
        "name": "current",
        "type": "Microsoft.Sql/servers/encryptionProtector",
        "location": server.location,
    });
    let mut out = base;
    let Some(protector) = &server.protector else {
        out["kind"] = json!("servicemanaged");
        out["properties"] = json!({ "serverKeyName": "ServiceManaged", "serverKeyType": "ServiceManaged", "autoRotationEnabled": false });
        return out;
    };
    let version = protector.version.as_deref();
    out["kind"] = json!("azurekeyvault");
    out["properties"] = json!({
        "serverKeyName": Server::key_name(protector, version),
        "serverKeyType": "AzureKeyVault",
        "uri": protector.uri(version),
        "thumbprint": protector.linked.last().map(|linked| linked.thumbprint.clone()),
        "autoRotationEnabled": protector.auto_rotation,
    });
    if version.is_none() {
        out["properties"]["keyVersion"] = json!(version_in_use(state, server));
    }
    out
}

fn version_in_use(state: &State, server: &Server) -> Option<String> {
    let protector = server.protector.as_ref()?;
    let vault = &state.vaults[state.vault_named(&protector.vault)?];
    let key = vault.live_key(&protector.key, state.now);
    let newest = key.and_then(|key| key.versions.iter().rev().find(|version| version.enabled));
    newest.map(|version| version.id.clone()).or_else(|| protector.linked.last().map(|linked| linked.version.clone()))
}

pub(super) fn keys(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => &state.servers[server],
        Err(answer) => return answer,
    };
    let mut all = vec![json!({
        "id": format!("{}/keys/ServiceManaged", server.id),
        "name": "ServiceManaged",
        "type": "Microsoft.Sql/servers/keys",
        "location": server.location,
        "kind": "servicemanaged",
        "properties": { "serverKeyType": "ServiceManaged" },
    })];
    if let Some(protector) = &server.protector {
        for linked in &protector.linked {
            let versionless = protector.version.is_none()
                && protector.linked.last().is_some_and(|last| last.version == linked.version);
            let version = (!versionless).then_some(linked.version.as_str());
            let name = Server::key_name(protector, version);
            let mut key = json!({
                "id": format!("{}/keys/{name}", server.id),
                "name": name,
                "type": "Microsoft.Sql/servers/keys",
                "location": server.location,
                "kind": "azurekeyvault",
                "properties": {
                    "serverKeyType": "AzureKeyVault",
                    "uri": protector.uri(version),
                    "thumbprint": linked.thumbprint,
                    "creationDate": linked.created,
                    "autoRotationEnabled": protector.auto_rotation,
                },
            });
            if versionless {
                key["properties"]["keyVersion"] = json!(linked.version);
            }
            all.push(key);
        }
    }
    if call.names.len() > 1 {
        let wanted = all
            .into_iter()
            .find(|key| key["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(call.name(1))));
        let missing = || {
            let text = "The requested server key was not found on the current subscription.";
            Answer::error(404, "ServerKeyNotFound", text)
        };
        return wanted.map_or_else(missing, |key| Answer::json(200, key));
    }
    page(state, call, all)
}
