//! Microsoft.ManagedIdentity: user-assigned identities, and the one that a server has of its own.

use serde_json::{Value, json};

use super::super::resources::UserIdentity;
use super::super::state::State;
use super::super::wire::Answer;
use super::{Call, Operation, not_found, page};

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "userassignedidentities") => user_assigned,
        ("GET", "identities") => system_assigned,
        _ => return None,
    })
}

fn user_assigned(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        let id = call.ancestor(1);
        let found = state.identities.iter().find(|identity| Some(&identity.id) == id.as_ref());
        return found
            .map_or_else(|| not_found(id.as_ref()), |identity| Answer::json(200, identity_json(state, identity)));
    }
    let all = state.identities.iter().filter(|one| call.scope.as_ref().is_none_or(|scope| scope.contains(&one.id)));
    let all = all.map(|identity| identity_json(state, identity)).collect();
    page(state, call, all)
}

fn identity_json(state: &State, identity: &UserIdentity) -> Value {
    json!({
        "id": identity.id,
        "name": identity.id.name(),
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
        "location": identity.location,
        "tags": {},
        "properties": {
            "tenantId": state.world.tenant,
            "principalId": identity.principal,
            "clientId": identity.client,
        },
    })
}

fn system_assigned(state: &mut State, call: &Call<'_>) -> Answer {
    let server = call.scope.as_ref().and_then(|scope| state.server_at(scope)).map(|at| &state.servers[at]);
    let found = server.and_then(|server| Some((server, server.system_identity.as_ref()?)));
    let Some((server, principal)) = found else { return not_found(call.scope.as_ref()) };
    let client = state.principals.get(&principal.to_ascii_lowercase()).map(|known| known.app_id.clone());
    Answer::json(
        200,
        json!({
            "id": format!("{}/providers/Microsoft.ManagedIdentity/identities/default", server.id),
            "name": "default",
            "type": "Microsoft.ManagedIdentity/identities",
            "location": server.location,
            "properties": { "tenantId": state.world.tenant, "principalId": principal, "clientId": client },
        }),
    )
}
