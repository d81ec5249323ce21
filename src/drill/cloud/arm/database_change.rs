//! Changes of databases: PATCH of a database, PUT of its retention policies, PATCH of a failover group.
//!
//! Shapes are those of the REST reference (2025-01-01). What it does not tell is assumed, and said so in
//! `docs/simulated-cloud.md`: how long a change takes, which errors name a conflict, a pool that is not there and a name that
//! is taken on the partner's side, and under which names operations are followed.

use serde_json::{Value, json};

use super::super::resources::{Access, Database};
use super::super::state::{Operation, Outcome, State};
use super::super::wire::Answer;
use super::Call;
use super::sql_databases::database_of;
use super::sql_operations::{location_to, start};
use super::sql_servers::server_of;
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// Seconds that a change of a database takes.
const SECONDS: i64 = 15;
/// The same for a failover group, which seeds the database on the other side.
const SEEDING: i64 = 90;

/// Takes a PATCH of a database.
pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Answer {
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    let (server, _) = match database_of(state, call) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let pool = body.pointer("/properties/elasticPoolId").and_then(Value::as_str);
    if let Some(pool) = pool
        && !has_pool(state, server, pool)
    {
        return Answer::error(404, "ElasticPoolNotFound", format!("The elastic pool '{pool}' was not found."));
    }
    begin(state, call, "database", body)
}

/// Takes a PUT of point-in-time retention.
pub(super) fn put_short_term(state: &mut State, call: &Call<'_>) -> Answer {
    let days = call.request.object().ok().and_then(|body| body.pointer("/properties/retentionDays")?.as_i64());
    match days {
        Some(1..=35) => begin_policy(state, call, "short-term"),
        _ => {
            Answer::error(400, "InvalidBackupRetentionPeriod", "The retention days value is not a valid configuration.")
        }
    }
}

/// Takes a PUT of long-term retention.
pub(super) fn put_long_term(state: &mut State, call: &Call<'_>) -> Answer {
    begin_policy(state, call, "long-term")
}

fn begin_policy(state: &mut State, call: &Call<'_>, kind: &str) -> Answer {
    match call.request.object() {
        Ok(body) => {
            let body = body.clone();
            begin(state, call, kind, body)
        }
        Err(answer) => answer,
    }
}

fn begin(state: &mut State, call: &Call<'_>, kind: &str, body: Value) -> Answer {
    let (server, database) = match database_of(state, call) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if state.status(&state.servers[server].databases[database]) != "Online" {
        let text =
            "User tried to perform an operation on the server when the server did not have Azure Key Vault Access.";
        return Answer::error(400, "CMKOperationNotAllowed", text);
    }
    let id = state.servers[server].databases[database].id.clone();
    let conflicts =
        |op: &Operation| op.outcome == Outcome::Running && op.server == server && op.database == Some(database);
    if state.operations.iter().any(conflicts) {
        let text = format!("An operation is currently in progress for the database '{}'.", id.name());
        return Answer::error(409, "ConflictingDatabaseOperation", text);
    }
    let change = json!({ "kind": kind, "body": body });
    accept(state, call, &id, Begun { server, database, change, seconds: SECONDS, kind: "databaseAzureAsyncOperation" })
}

/// A change that was accepted.
struct Begun {
    server: usize,
    database: usize,
    change: Value,
    seconds: i64,
    kind: &'static str,
}

fn accept(state: &mut State, call: &Call<'_>, id: &ResourceId, begun: Begun) -> Answer {
    let Begun { server, database, change, seconds, kind } = begun;
    let opened = state.log_write(&call.write(id), "Started", "");
    let before = state.servers[server].databases[database].settings.clone();
    let mut after = state.servers[server].databases[database].clone();
    settle(&mut after, &change);
    state.changed += u64::from(before != after.settings);
    let operation = Operation {
        id: String::new(),
        kind,
        server,
        database: Some(database),
        ends: add(state.now, jiff::SignedDuration::from_secs(seconds)),
        outcome: Outcome::Running,
        change: Some(change),
        opened,
    };
    let answer = start(state, call, operation);
    let follow = state.operations.last().map(|operation| location_to(state, call, operation, kind));
    match follow {
        Some(follow) => answer.with_header("azure-asyncoperation", follow),
        None => answer,
    }
}

/// The pools that the world's description knows on this server.
fn has_pool(state: &State, server: usize, pool: &str) -> bool {
    let server = &state.servers[server];
    let spec = state.world.servers.iter().find(|spec| spec.name == server.id.name());
    let pools = spec.into_iter().flat_map(|spec| &spec.databases).filter_map(|database| database.elastic_pool.as_ref());
    let mut known = pools.map(|name| format!("{}/elasticPools/{name}", server.id));
    known.any(|known| known.eq_ignore_ascii_case(pool))
}

/// Takes a PATCH of a failover group: the list of databases replaces the one that it has.
pub(super) fn patch_failover_group(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let name = call.name(1).to_owned();
    let id = call.ancestor(2);
    let (Some(id), true) = (&id, state.servers[server].failover_groups.contains(&name)) else {
        return super::not_found(id.as_ref());
    };
    let list = call.request.object().ok().and_then(|body| body.pointer("/properties/databases")?.as_array().cloned());
    let Some(list) = list else {
        return Answer::error(400, "InvalidParameterValue", "The list of databases is missing.");
    };
    let wanted: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect();
    if state.operations.iter().any(|op| op.outcome == Outcome::Running && op.kind == "failoverGroupAzureAsyncOperation")
    {
        let text = "A failover group operation is in progress.";
        return Answer::error(409, "FailoverGroupUpdateInProgress", text);
    }
    let listed = |database: &Database| wanted.contains(&database.id.key().to_owned());
    let at = state.servers[server]
        .databases
        .iter()
        .position(|database| listed(database) && database.settings.failover_group.as_ref() != Some(&name));
    let dropped = state.servers[server]
        .databases
        .iter()
        .any(|database| !listed(database) && database.settings.failover_group.as_ref() == Some(&name));
    if dropped {
        let text = "The simulated cloud does not take databases out of a failover group.";
        return Answer::error(400, "OperationNotAllowed", text);
    }
    let Some(database) = at else { return Answer::json(200, super::sql_databases::group_json(state, server, &name)) };
    if name_is_taken(state, server, database) {
        let text = "A database of that name exists on the partner server and is no secondary of this one.";
        return Answer::error(409, "FailoverGroupDatabaseNameConflict", text);
    }
    let change = json!({ "kind": "failover-group", "body": name });
    let kind = "failoverGroupAzureAsyncOperation";
    accept(state, call, id, Begun { server, database, change, seconds: SEEDING, kind })
}

fn name_is_taken(state: &State, server: usize, database: usize) -> bool {
    let name = state.servers[server].databases[database].id.name();
    let partner = format!("{}-dr", state.servers[server].id.name());
    let twins = state.servers.iter().filter(|other| other.id.name() == partner).flat_map(|other| &other.databases);
    let mut twins = twins.filter(|twin| twin.id.name().eq_ignore_ascii_case(name));
    twins.any(|twin| twin.settings.geo_secondary_of.is_none() || matches!(twin.access, Access::Lost { .. }))
}

/// The end of a change.
pub(crate) fn apply(state: &mut State, server: usize, database: usize, change: &Value) {
    settle(&mut state.servers[server].databases[database], change);
}

fn settle(database: &mut Database, change: &Value) {
    let (body, settings) = (&change["body"], &mut database.settings);
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    match change["kind"].as_str() {
        Some("short-term") => settings.pitr_days = number("/properties/retentionDays"),
        Some("long-term") => {
            settings.ltr_weekly = text("/properties/weeklyRetention").filter(|kept| kept != "PT0S");
        }
        Some("failover-group") => settings.failover_group = body.as_str().map(str::to_owned),
        _ => {
            if let Some(tags) = body.get("tags").and_then(Value::as_object) {
                let tags = tags.iter().filter_map(|(name, tag)| Some((name.clone(), tag.as_str()?.to_owned())));
                settings.tags = tags.collect();
            }
            if let Some(pool) = text("/properties/elasticPoolId") {
                settings.elastic_pool = pool.rsplit('/').next().map(str::to_owned);
            }
            if let Some(scale) = text("/properties/readScale") {
                settings.read_scale = scale == "Enabled";
            }
            if body.pointer("/properties/autoPauseDelay").is_some() {
                settings.auto_pause_minutes = number("/properties/autoPauseDelay");
            }
        }
    }
}

/// How a change of a database goes, in the words of `Azure-AsyncOperation`.
pub(super) fn status(state: &mut State, call: &Call<'_>) -> Answer {
    let found = state.operations.iter().find(|operation| {
        operation.id.eq_ignore_ascii_case(call.name(1)) && call.types.ends_with(&operation.kind.to_ascii_lowercase())
    });
    let Some(operation) = found else {
        return Answer::error(404, "OperationIdNotFound", "The operation with Id does not exist.");
    };
    let status = if operation.ends > state.now { "InProgress" } else { "Succeeded" };
    Answer::json(200, json!({ "name": operation.id, "status": status })).with_header("retry-after", "5".to_owned())
}
