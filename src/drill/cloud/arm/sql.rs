//! Microsoft.Sql: servers, their TDE protector and keys, databases.

use serde_json::{Map, Value, json};

use super::super::state::{Access, Database, Event, Operation as Running, Outcome, Server, State};
use super::server_change;
use super::{Answer, Call, Operation, not_found, page};
use crate::clock::add;

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "servers") => servers,
        ("PATCH", "servers") => server_change::patch,
        ("GET", "servers/encryptionprotector") => protector,
        ("POST", "servers/encryptionprotector/revalidate") => revalidate,
        ("GET", "servers/keys") => keys,
        ("GET", "servers/databases") => databases,
        ("GET", "servers/inaccessibledatabases") => inaccessible,
        ("GET", "servers/failovergroups") => failover_groups,
        ("GET", "servers/replicationlinks" | "servers/databases/replicationlinks" | "servers/databases/operations") => {
            nothing
        }
        ("GET", "servers/databases/backupshorttermretentionpolicies") => short_term,
        ("GET", "servers/databases/backuplongtermretentionpolicies") => long_term,
        ("GET", "locations/encryptionprotectoroperationresults" | "locations/serveroperationresults") => result,
        // Known to Azure, and not for the responder: whoever has no right to them is told so.
        ("PUT", "servers" | "servers/encryptionprotector" | "servers/keys" | "servers/databases")
        | ("PATCH" | "DELETE", "servers/databases")
        | ("DELETE", "servers" | "servers/keys")
        | (
            "POST",
            "servers/databases/encryptionprotector/revalidate" | "servers/databases/encryptionprotector/revert",
        ) => unsupported,
        _ => return None,
    })
}

fn unsupported(_: &mut State, _: &Call<'_>) -> Answer {
    Answer::error(400, "OperationNotAllowed", "The simulated cloud does not carry out this operation.")
}

/// The server that the call names, or the answer that there is none.
pub(super) fn server_of(state: &State, call: &Call<'_>) -> Result<usize, Answer> {
    let id = call.ancestor(1);
    id.as_ref().and_then(|id| state.server_at(id)).ok_or_else(|| not_found(id.as_ref()))
}

fn database_of(state: &State, call: &Call<'_>) -> Result<(usize, usize), Answer> {
    let server = server_of(state, call)?;
    let found = state.servers[server].databases.iter().position(|db| db.id.name().eq_ignore_ascii_case(call.name(1)));
    found.map(|database| (server, database)).ok_or_else(|| not_found(call.ancestor(2).as_ref()))
}

fn servers(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        return match server_of(state, call) {
            Ok(server) => Answer::json(200, server_json(state, &state.servers[server])),
            Err(answer) => answer,
        };
    }
    let all = state.servers.iter().filter(|server| call.scope.as_ref().is_none_or(|scope| scope.contains(&server.id)));
    let all = all.map(|server| server_json(state, server)).collect();
    page(state, call, all)
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
    if let Some(identity) = identity_json(state, server) {
        out["identity"] = identity;
    }
    out
}

fn identity_json(state: &State, server: &Server) -> Option<Value> {
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

fn protector(state: &mut State, call: &Call<'_>) -> Answer {
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

fn keys(state: &mut State, call: &Call<'_>) -> Answer {
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

fn databases(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let server = &state.servers[server];
    if call.names.len() < 2 {
        let all = server.databases.iter().map(|database| database_json(state, server, database));
        return page(state, call, all.chain([master_json(server)]).collect());
    }
    if call.name(1).eq_ignore_ascii_case("master") {
        return Answer::json(200, master_json(server));
    }
    match database_of(state, call) {
        Ok((_, database)) => Answer::json(200, database_json(state, server, &server.databases[database])),
        Err(answer) => answer,
    }
}

fn inaccessible(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => &state.servers[server],
        Err(answer) => return answer,
    };
    let all = server.databases.iter().filter(|database| state.status(database) == "Inaccessible");
    page(state, call, all.map(|database| database_json(state, server, database)).collect())
}

impl State {
    /// A database's `status`, as ARM shows it.
    pub(crate) fn status(&self, database: &Database) -> &'static str {
        match database.access {
            Access::Online | Access::Losing { unreachable: true, .. } | Access::Healing { unreachable: true, .. } => {
                "Online"
            }
            Access::Losing { .. } | Access::Healing { .. } if self.world.timing.online_within_window => "Online",
            _ => "Inaccessible",
        }
    }
}

fn database_json(state: &State, server: &Server, database: &Database) -> Value {
    let settings = &database.settings;
    let serverless = settings.sku.starts_with("GP_S");
    let (sku, capacity) = settings.sku.rsplit_once('_').unwrap_or((&settings.sku, "2"));
    let capacity: u32 = capacity.parse().unwrap_or(2);
    let sku = json!({ "name": sku, "tier": "GeneralPurpose", "family": "Gen5", "capacity": capacity });
    let mut properties = json!({
        "collation": "SQL_Latin1_General_CP1_CI_AS",
        "maxSizeBytes": u64::from(settings.size_gb) << 30,
        "status": state.status(database),
        "databaseId": state.guid(&format!("database|{}", database.id.key())),
        "creationDate": database.created,
        "currentServiceObjectiveName": settings.sku,
        "requestedServiceObjectiveName": settings.sku,
        "defaultSecondaryLocation": "northeurope",
        "catalogCollation": "SQL_Latin1_General_CP1_CI_AS",
        "licenseType": "LicenseIncluded",
        "zoneRedundant": false,
        "readScale": if settings.read_scale { "Enabled" } else { "Disabled" },
        "currentSku": sku,
        "currentBackupStorageRedundancy": "Geo",
        "requestedBackupStorageRedundancy": "Geo",
        "isLedgerOn": false,
        "isInfraEncryptionEnabled": false,
    });
    if serverless {
        properties["autoPauseDelay"] = settings.auto_pause_minutes.map_or(json!(-1), |minutes| json!(minutes));
        properties["minCapacity"] = json!(0.5);
    }
    if let Some(pool) = &settings.elastic_pool {
        properties["elasticPoolId"] = json!(format!("{}/elasticPools/{pool}", server.id));
    }
    if let Some(group) = &settings.failover_group {
        properties["failoverGroupId"] = json!(format!("{}/failoverGroups/{group}", server.id));
    }
    json!({
        "sku": sku,
        "kind": if serverless { "v12.0,user,vcore,serverless" } else { "v12.0,user,vcore" },
        "properties": properties,
        "location": server.location,
        "tags": settings.tags,
        "id": database.id,
        "name": database.id.name(),
        "type": "Microsoft.Sql/servers/databases",
    })
}

/// The system database that every server has; it is never under the customer's key.
fn master_json(server: &Server) -> Value {
    json!({
        "sku": { "name": "System", "tier": "System", "capacity": 0 },
        "kind": "v12.0,system",
        "properties": {
            "collation": "SQL_Latin1_General_CP1_CI_AS",
            "maxSizeBytes": 32_212_254_720_u64,
            "status": "Online",
            "creationDate": server.created,
            "currentServiceObjectiveName": "System",
            "requestedServiceObjectiveName": "System",
            "zoneRedundant": false,
            "readScale": "Disabled",
        },
        "location": server.location,
        "id": format!("{}/databases/master", server.id),
        "name": "master",
        "type": "Microsoft.Sql/servers/databases",
    })
}

fn failover_groups(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => &state.servers[server],
        Err(answer) => return answer,
    };
    let all = server.failover_groups.iter().map(|name| {
        let partner = format!("{}-dr", server.id);
        let members = server.databases.iter().filter(|db| db.settings.failover_group.as_ref() == Some(name));
        json!({
            "id": format!("{}/failoverGroups/{name}", server.id),
            "name": name,
            "type": "Microsoft.Sql/servers/failoverGroups",
            "location": server.location,
            "properties": {
                "readWriteEndpoint": { "failoverPolicy": "Automatic", "failoverWithDataLossGracePeriodMinutes": 60 },
                "readOnlyEndpoint": { "failoverPolicy": "Disabled" },
                "replicationRole": "Primary",
                "replicationState": "CATCH_UP",
                "partnerServers": [{ "id": partner, "location": "northeurope", "replicationRole": "Secondary" }],
                "databases": members.map(|db| db.id.to_string()).collect::<Vec<_>>(),
            },
        })
    });
    page(state, call, all.collect())
}

fn nothing(state: &mut State, call: &Call<'_>) -> Answer {
    match server_of(state, call) {
        Ok(_) => Answer::json(200, json!({ "value": [] })),
        Err(answer) => answer,
    }
}

fn short_term(state: &mut State, call: &Call<'_>) -> Answer {
    retention(
        state,
        call,
        "backupShortTermRetentionPolicies",
        |database| json!({ "retentionDays": database.settings.pitr_days.unwrap_or(7), "diffBackupIntervalInHours": 24 }),
    )
}

fn long_term(state: &mut State, call: &Call<'_>) -> Answer {
    retention(state, call, "backupLongTermRetentionPolicies", |database| {
        let weekly = database.settings.ltr_weekly.as_deref().unwrap_or("PT0S");
        json!({ "weeklyRetention": weekly, "monthlyRetention": "PT0S", "yearlyRetention": "PT0S", "weekOfYear": 0 })
    })
}

/// A retention policy; it cannot be read while the database is inaccessible.
fn retention(state: &State, call: &Call<'_>, kind: &str, of: fn(&Database) -> Value) -> Answer {
    let (server, database) = match database_of(state, call) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let database = &state.servers[server].databases[database];
    if state.status(database) != "Online" {
        let text =
            "User tried to perform an operation on the server when the server did not have Azure Key Vault Access.";
        return Answer::error(400, "CMKOperationNotAllowed", text);
    }
    let policy = json!({
        "id": format!("{}/{kind}/default", database.id),
        "name": "default",
        "type": format!("Microsoft.Sql/servers/databases/{kind}"),
        "properties": of(database),
    });
    Answer::json(200, if call.names.len() > 2 { policy } else { json!({ "value": [policy] }) })
}

fn revalidate(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    if state.servers[server].protector.is_none() {
        return Answer::empty(200);
    }
    if state.operations.iter().any(|op| op.server == server && op.outcome == Outcome::Running) {
        let text = "Cannot update database encryption key protector while protector change is already in progress";
        return Answer::error(409, "EncryptionProtectorChangeInProgress", text);
    }
    let Some(id) = call.ancestor(2) else { return not_found(None) };
    let opened = state.log_write(&call.write(&id), "Started", "");
    let outcome = match state.key_access(server) {
        Ok(()) => Outcome::Running,
        Err(why) => Outcome::Failed { code: why.code, message: why.message },
    };
    let mut ends = add(state.now, jiff::SignedDuration::from_secs(20));
    if outcome == Outcome::Running {
        for database in 0..state.servers[server].databases.len() {
            let access = state.servers[server].databases[database].access;
            if !matches!(access, Access::Online | Access::ComingBack { .. }) {
                let lost = matches!(access, Access::Lost { .. });
                ends = ends.max(state.begin_return(server, database, lost));
                state.changed += 1;
            }
        }
    }
    let kind = "encryptionProtectorOperationResults";
    start(state, call, Running { id: String::new(), kind, server, ends, outcome, change: None, opened })
}

/// Begins a long-running operation, and says where it can be followed.
pub(super) fn start(state: &mut State, call: &Call<'_>, mut operation: Running) -> Answer {
    operation.id = state.new_guid(&format!("operation|{}", state.servers[operation.server].id.key()));
    let (index, ends) = (state.operations.len(), operation.ends);
    let location = location_of(state, call, &operation);
    state.operations.push(operation);
    state.schedule(ends, Event::OperationEnds { operation: index });
    state.touch();
    Answer::empty(202).with_header("location", location)
}

fn location_of(state: &State, call: &Call<'_>, operation: &Running) -> String {
    let place = &state.servers[operation.server].location;
    let version = call.request.query.get("api-version").map_or("2025-01-01", String::as_str);
    format!(
        "{}/subscriptions/{}/providers/Microsoft.Sql/locations/{place}/{}/{}?api-version={version}",
        call.request.base, state.world.subscription, operation.kind, operation.id
    )
}

fn result(state: &mut State, call: &Call<'_>) -> Answer {
    let found = state.operations.iter().find(|operation| {
        operation.id.eq_ignore_ascii_case(call.name(1)) && call.types.ends_with(&operation.kind.to_ascii_lowercase())
    });
    let Some(operation) = found else {
        return Answer::error(404, "OperationIdNotFound", "The operation with Id does not exist.");
    };
    if operation.ends > state.now {
        return Answer::empty(202).with_header("location", location_of(state, call, operation));
    }
    match &operation.outcome {
        Outcome::Failed { code, message } => {
            let status = match *code {
                "AzureKeyVaultKeyNameNotFound" => 409,
                "AzureKeyVaultConnectionFailed" => 503,
                _ => 400,
            };
            Answer::error(status, code, message.clone())
        }
        _ if operation.kind == "serverOperationResults" => {
            Answer::json(200, server_json(state, &state.servers[operation.server]))
        }
        _ => Answer::empty(200),
    }
}
