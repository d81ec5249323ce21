//! Databases, and what belongs to them.

use serde_json::{Value, json};

use super::super::resources::{Access, Database, Server};
use super::super::state::State;
use super::super::wire::Answer;
use super::sql_servers::server_of;
use super::{Call, not_found, page};

pub(super) fn database_of(state: &State, call: &Call<'_>) -> Result<(usize, usize), Answer> {
    let server = server_of(state, call)?;
    let found = state.servers[server].databases.iter().position(|db| db.id.name().eq_ignore_ascii_case(call.name(1)));
    found.map(|database| (server, database)).ok_or_else(|| not_found(call.ancestor(2).as_ref()))
}

pub(super) fn databases(state: &mut State, call: &Call<'_>) -> Answer {
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
        Ok((_, database)) => {
            let database = &server.databases[database];
            let mut out = database_json(state, server, database);
            let expanded = call.request.query.get("$expand").is_some_and(|what| what.eq_ignore_ascii_case("keys"));
            if let (Some((own, _)), true) = (&database.own, expanded) {
                let keys = own.linked.iter().map(|key| {
                    let told =
                        json!({ "type": "AzureKeyVault", "thumbprint": key.thumbprint, "creationDate": key.created });
                    (own.uri(Some(&key.version)), told)
                });
                out["properties"]["keys"] = Value::Object(keys.collect());
            }
            Answer::json(200, out)
        }
        Err(answer) => answer,
    }
}

pub(super) fn inaccessible(state: &mut State, call: &Call<'_>) -> Answer {
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
        if database.replication_failed {
            return "Inaccessible";
        }
        match database.access {
            Access::Online | Access::Losing { unreachable: true, .. } | Access::Healing { unreachable: true, .. } => {
                "Online"
            }
            Access::Losing { .. } | Access::Healing { .. } if self.world.timing.online_within_window => "Online",
            _ => "Inaccessible",
        }
    }
}

pub(super) fn database_json(state: &State, server: &Server, database: &Database) -> Value {
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
    // Past the window the control plane has broken the link: the database stands alone.
    if settings.geo_secondary_of.is_some() && !matches!(database.access, Access::Lost { .. }) {
        properties["secondaryType"] = json!("Geo");
    }
    let mut out = json!({
        "sku": sku,
        "kind": if serverless { "v12.0,user,vcore,serverless" } else { "v12.0,user,vcore" },
        "properties": properties,
        "location": server.location,
        "tags": settings.tags,
        "id": database.id,
        "name": database.id.name(),
        "type": "Microsoft.Sql/servers/databases",
    });
    if let Some((own, (identity, principal, client))) = &database.own {
        out["properties"]["encryptionProtector"] = json!(own.uri(own.version.as_deref()));
        out["properties"]["encryptionProtectorAutoRotation"] = json!(own.auto_rotation);
        let assigned = json!({ identity.as_str(): { "principalId": principal, "clientId": client } });
        let tenant = &state.world.tenant;
        out["identity"] = json!({ "type": "UserAssigned", "tenantId": tenant, "userAssignedIdentities": assigned });
    }
    out
}

/// The system database that every server has; it is never under the customer's key.
pub(super) fn master_json(server: &Server) -> Value {
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

pub(super) fn failover_groups(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let groups = &state.servers[server].failover_groups;
    if call.names.len() > 1 {
        let found = groups.iter().find(|name| name.eq_ignore_ascii_case(call.name(1)));
        return match found {
            Some(name) => Answer::json(200, group_json(state, server, name)),
            None => not_found(call.ancestor(2).as_ref()),
        };
    }
    let all = groups.iter().map(|name| group_json(state, server, name)).collect();
    page(state, call, all)
}

/// A failover group with its databases. Its partner is the server of the same name with `-dr` behind it.
pub(super) fn group_json(state: &State, server: usize, name: &str) -> Value {
    let server = &state.servers[server];
    let partner = format!("{}-dr", server.id);
    let members = server.databases.iter().filter(|db| db.settings.failover_group.as_deref() == Some(name));
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
}

pub(super) fn nothing(state: &mut State, call: &Call<'_>) -> Answer {
    match server_of(state, call) {
        Ok(_) => Answer::json(200, json!({ "value": [] })),
        Err(answer) => answer,
    }
}

pub(super) fn short_term(state: &mut State, call: &Call<'_>) -> Answer {
    retention(
        state,
        call,
        "backupShortTermRetentionPolicies",
        |database| json!({ "retentionDays": database.settings.pitr_days.unwrap_or(7), "diffBackupIntervalInHours": 24 }),
    )
}

pub(super) fn long_term(state: &mut State, call: &Call<'_>) -> Answer {
    retention(state, call, "backupLongTermRetentionPolicies", |database| {
        let weekly = database.settings.ltr_weekly.as_deref().unwrap_or("PT0S");
        json!({ "weeklyRetention": weekly, "monthlyRetention": "PT0S", "yearlyRetention": "PT0S", "weekOfYear": 0 })
    })
}

/// A retention policy; it cannot be read while the database is inaccessible.
pub(super) fn retention(state: &State, call: &Call<'_>, kind: &str, of: fn(&Database) -> Value) -> Answer {
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
