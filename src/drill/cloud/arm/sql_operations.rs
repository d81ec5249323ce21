//! Re-validation, and long-running operations.

use super::super::resources::Access;
use super::super::state::{Event, Operation, Outcome, State};
use super::super::wire::Answer;
use super::sql_databases::database_of;
use super::sql_servers::{server_json, server_of};
use super::{Call, not_found};
use crate::clock::add;

pub(super) fn revalidate(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    if state.servers[server].protector.is_none() {
        return Answer::empty(200);
    }
    if state.operations.iter().any(|op| op.server == server && op.database.is_none() && op.outcome == Outcome::Running)
    {
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
            if state.servers[server].databases[database].own.is_some() {
                continue;
            }
            let access = state.servers[server].databases[database].access;
            if !matches!(access, Access::Online | Access::ComingBack { .. }) {
                let lost = matches!(access, Access::Lost { .. });
                ends = ends.max(state.begin_return(server, database, lost));
                state.changed += 1;
            }
        }
    }
    let kind = if state.servers[server].is_workspace() {
        "operationResults"
    } else if state.servers[server].is_instance() {
        "managedInstanceEncryptionProtectorAzureAsyncOperation"
    } else {
        "encryptionProtectorOperationResults"
    };
    start(
        state,
        call,
        Operation { id: String::new(), kind, server, database: None, ends, outcome, change: None, opened },
    )
}

/// Re-validates the key that a database has of its own.
pub(super) fn revalidate_database(state: &mut State, call: &Call<'_>) -> Answer {
    let (server, database) = match database_of(state, call) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if state.servers[server].databases[database].own.is_none() {
        return Answer::empty(200);
    }
    let Some(id) = call.ancestor(3) else { return not_found(None) };
    let opened = state.log_write(&call.write(&id), "Started", "");
    let outcome = match state.database_access(server, database) {
        Ok(()) => Outcome::Running,
        Err(why) => Outcome::Failed { code: why.code, message: why.message },
    };
    let mut ends = add(state.now, jiff::SignedDuration::from_secs(20));
    let access = state.servers[server].databases[database].access;
    if outcome == Outcome::Running && !matches!(access, Access::Online | Access::ComingBack { .. }) {
        ends = ends.max(state.begin_return(server, database, matches!(access, Access::Lost { .. })));
        state.changed += 1;
    }
    let kind = "databaseEncryptionProtectorRevalidateOperationResults";
    start(
        state,
        call,
        Operation { id: String::new(), kind, server, database: None, ends, outcome, change: None, opened },
    )
}

/// Begins a long-running operation, and says where it can be followed.
pub(super) fn start(state: &mut State, call: &Call<'_>, mut operation: Operation) -> Answer {
    operation.id = state.new_guid(&format!("operation|{}", state.servers[operation.server].id.key()));
    let (index, ends) = (state.operations.len(), operation.ends);
    let location = location_of(state, call, &operation);
    state.operations.push(operation);
    state.schedule(ends, Event::OperationEnds { operation: index });
    state.touch();
    Answer::empty(202).with_header("location", location)
}

pub(super) fn location_of(state: &State, call: &Call<'_>, operation: &Operation) -> String {
    location_to(state, call, operation, operation.kind)
}

/// Where an operation is followed under the name `kind`.
pub(super) fn location_to(state: &State, call: &Call<'_>, operation: &Operation, kind: &str) -> String {
    let place = &state.servers[operation.server].location;
    let workspace = state.servers[operation.server].is_workspace();
    let provider = if workspace { "Microsoft.Synapse" } else { "Microsoft.Sql" };
    let version = call.request.query.get("api-version").map_or("2025-01-01", String::as_str);
    format!(
        "{}/subscriptions/{}/providers/{provider}/locations/{place}/{kind}/{}?api-version={version}",
        call.request.base, state.world.subscription, operation.id
    )
}

pub(super) fn result(state: &mut State, call: &Call<'_>) -> Answer {
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
