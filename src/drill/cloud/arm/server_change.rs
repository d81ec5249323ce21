//! PATCH of a server: its identity and tags.

use serde_json::{Map, Value, json};

use super::super::resources::Server;
use super::super::state::{Operation, Outcome, State};
use super::super::wire::Answer;
use super::sql_operations::start;
use super::sql_servers::{server_json, server_of};
use super::{Call, forbidden};
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// Takes a change: done at once, or as a long-running operation.
pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Answer {
    let server = match server_of(state, call) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    if let Err(answer) = check(state, call, server, &body) {
        return answer;
    }
    if state.operations.iter().any(|op| op.server == server && op.database.is_none() && op.outcome == Outcome::Running)
    {
        let text = "An operation is currently in progress for the server.";
        return Answer::error(409, "ConflictingServerOperation", text);
    }
    let id = state.servers[server].id.clone();
    let opened = state.log_write(&call.write(&id), "Started", "");
    let seconds = i64::from(state.world.timing.server_change_seconds);
    let same = is_same(state, server, &body);
    if seconds == 0 {
        apply(state, server, &body);
        state.close(&opened, "Succeeded", "OK");
        state.record_change(&call.write(&id), json!({ "identity": body.get("identity") }));
        state.changed += u64::from(!same);
        state.touch();
        return Answer::json(200, server_json(state, &state.servers[server]));
    }
    state.changed += u64::from(!same);
    let ends = add(state.now, jiff::SignedDuration::from_secs(seconds));
    let kind = "serverOperationResults";
    let operation = Operation {
        id: String::new(),
        kind,
        server,
        database: None,
        ends,
        outcome: Outcome::Running,
        change: Some(body),
        opened,
    };
    start(state, call, operation)
}

/// What Azure refuses before it begins.
fn check(state: &State, call: &Call<'_>, server: usize, body: &Value) -> Result<(), Answer> {
    let Some(identity) = body.get("identity") else { return Ok(()) };
    let (_, user) = kinds(identity)?;
    let mentioned = identity.get("userAssignedIdentities").and_then(Value::as_object);
    for name in mentioned.into_iter().flat_map(Map::keys) {
        let id =
            ResourceId::parse(name).map_err(|_| Answer::error(400, "InvalidResourceId", "Not an identity's id."))?;
        if state.identities.iter().all(|identity| identity.id != id) {
            return Err(super::not_found(Some(&id)));
        }
        let action = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";
        if !state.may(&call.caller.object_id, action, &id) {
            return Err(forbidden(&call.caller, action, &id));
        }
    }
    if user {
        let asked = body.pointer("/properties/primaryUserAssignedIdentityId").and_then(Value::as_str);
        let primary = match asked {
            Some(text) => ResourceId::parse(text).ok(),
            None => state.servers[server].primary.clone(),
        };
        let Some(primary) = primary else {
            let text = "The primary user assigned identity must be given.";
            return Err(Answer::error(400, "MissingPrimaryIdentity", text));
        };
        if mentioned.is_some_and(|map| map.keys().all(|name| !name.eq_ignore_ascii_case(primary.as_str()))) {
            let text = "The primary user assigned identity is none of those assigned.";
            return Err(Answer::error(400, "InvalidPrimaryIdentityId", text));
        }
    }
    Ok(())
}

/// Whether an identity block asks for a system-assigned identity, and for user-assigned ones.
fn kinds(identity: &Value) -> Result<(bool, bool), Answer> {
    let text = identity.get("type").and_then(Value::as_str).unwrap_or_default();
    let words: Vec<String> = text.split(',').map(|word| word.trim().to_ascii_lowercase()).collect();
    let known = |word: &String| matches!(word.as_str(), "none" | "systemassigned" | "userassigned");
    if words.iter().all(known) {
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        return Ok((has("systemassigned"), has("userassigned")));
    }
    let text = format!("The identity type '{text}' is not supported.");
    Err(Answer::error(400, "InvalidIdentityType", text))
}

/// Whether the change would leave the server as it is.
fn is_same(state: &State, server: usize, body: &Value) -> bool {
    let mut copy = state.servers[server].clone();
    let before =
        (copy.system_identity.is_some(), copy.user_identities.clone(), copy.primary.clone(), copy.tags.clone());
    change(&mut copy, state, body, String::new);
    before == (copy.system_identity.is_some(), copy.user_identities, copy.primary, copy.tags)
}

/// Carries the change out.
pub(crate) fn apply(state: &mut State, server: usize, body: &Value) {
    let name = state.servers[server].id.key().to_owned();
    let principal = state.new_guid(&format!("principal|{name}"));
    let mut copy = state.servers[server].clone();
    let had = copy.system_identity.is_some();
    change(&mut copy, state, body, || principal.clone());
    if !had && copy.system_identity.is_some() {
        let client = state.new_guid(&format!("client|{name}"));
        let known = add(state.now, jiff::SignedDuration::from_secs(i64::from(state.world.timing.identity_seconds)));
        state.know(&principal, &client, known);
    }
    if let (Some(old), None) = (&state.servers[server].system_identity, &copy.system_identity) {
        // Its role assignments stay, and name somebody whom nobody knows.
        let old = old.to_ascii_lowercase();
        state.principals.remove(&old);
    }
    state.servers[server] = copy;
}

/// The identity block and the tags are replaced as wholes.
fn change(server: &mut Server, state: &State, body: &Value, new_principal: impl Fn() -> String) {
    if let Some(tags) = body.get("tags").and_then(Value::as_object) {
        server.tags = tags.iter().filter_map(|(name, tag)| Some((name.clone(), tag.as_str()?.to_owned()))).collect();
    }
    if let Some(primary) = body.pointer("/properties/primaryUserAssignedIdentityId").and_then(Value::as_str) {
        server.primary = ResourceId::parse(primary).ok();
    }
    let Some(identity) = body.get("identity") else { return };
    let Ok((system, user)) = kinds(identity) else { return };
    server.system_identity = match (system, server.system_identity.take()) {
        (true, Some(principal)) => Some(principal),
        (true, None) => Some(new_principal()),
        (false, _) => None,
    };
    if !user {
        server.user_identities.clear();
        server.primary = None;
    } else if let Some(map) = identity.get("userAssignedIdentities").and_then(Value::as_object) {
        let wanted = map.keys().filter_map(|name| ResourceId::parse(name).ok());
        let found = wanted.filter_map(|id| state.identities.iter().find(|identity| identity.id == id));
        server.user_identities =
            found.map(|found| (found.id.clone(), found.principal.clone(), found.client.clone())).collect();
    }
}

impl State {
    /// The end of a long-running operation.
    pub(crate) fn end_operation(&mut self, index: usize) {
        let operation = self.operations[index].clone();
        if operation.outcome == Outcome::Running {
            if let Some(body) = &operation.change {
                match operation.database {
                    Some(database) => super::database_change::apply(self, operation.server, database, body),
                    None => apply(self, operation.server, body),
                }
            }
            self.operations[index].outcome = Outcome::Succeeded;
        }
        match &self.operations[index].outcome {
            Outcome::Failed { code, .. } => {
                let code = (*code).to_owned();
                self.close(&operation.opened, "Failed", &code);
            }
            _ => self.close(&operation.opened, "Succeeded", "OK"),
        }
        self.touch();
    }

    /// The last entry of an operation whose first is in the log.
    pub(crate) fn close(&mut self, opened: &super::super::log_entry::Entry, status: &str, outcome: &str) {
        let write = super::super::activity_log::Write {
            actor: opened.actor.as_ref(),
            operation: &opened.operation,
            resource: &opened.resource,
            method: opened.http.as_ref().map_or("", |http| http.method.as_str()),
            client_request_id: opened.http.as_ref().map(|http| http.client_request_id.as_str()),
            correlation: Some(&opened.correlation),
        };
        self.log_write(&write, status, outcome);
    }
}
