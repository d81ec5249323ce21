//! Access policies of a vault.

use serde_json::{Map, Value, json};

use super::super::resources::Policy;
use super::super::state::State;
use super::super::wire::Answer;
use super::vaults::{changed_properties, policy_json, vault_json, vault_of};
use super::{Call, unsupported};
use crate::clock::add;

/// PUT accessPolicies/add: merges permissions; `replace` and `remove` are Azure's too.
pub(super) fn policies(state: &mut State, call: &Call<'_>) -> Answer {
    let at = match vault_of(state, call) {
        Ok(at) => at,
        Err(answer) => return answer,
    };
    if !call.name(1).eq_ignore_ascii_case("add") {
        return unsupported(state, call);
    }
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    let Some(entries) = body.pointer("/properties/accessPolicies").and_then(Value::as_array) else {
        return Answer::error(400, "BadRequest", "The parameter 'accessPolicies' is required.");
    };
    let before = vault_json(state, &state.vaults[at]);
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let (tenant, object) = (text("tenantId"), text("objectId"));
        if uuid::Uuid::parse_str(object).is_err() {
            let text = format!("An invalid value was provided for 'objectId': '{object}'.");
            return Answer::error(400, "BadRequest", text);
        }
        if !tenant.eq_ignore_ascii_case(&state.world.tenant) {
            let text = "The access policy's tenant must be the vault's tenant.";
            return Answer::error(400, "BadRequest", text);
        }
        merge_policy(state, at, tenant, object, entry);
    }
    let id = call.id.clone().unwrap_or_else(|| state.vaults[at].id.clone());
    let after = vault_json(state, &state.vaults[at]);
    if before != after {
        state.changed += 1;
        state.touch();
    }
    state.record(&call.write(&id), changed_properties(&before, &after));
    let shown: Vec<Value> = state.vaults[at].policies.iter().map(policy_json).collect();
    Answer::json(
        200,
        json!({
            "id": format!("{}/accessPolicies/", state.vaults[at].id),
            "type": "Microsoft.KeyVault/vaults/accessPolicies",
            "properties": { "accessPolicies": shown },
        }),
    )
}

pub(super) fn merge_policy(state: &mut State, at: usize, tenant: &str, object: &str, entry: &Value) {
    let label = format!("policy|{}|{object}|{}", state.vaults[at].id.key(), state.now);
    let effective = add(state.now, state.draw_minutes(state.world.timing.propagation, &label));
    let vault = &mut state.vaults[at];
    let found = vault.policies.iter().position(|policy| policy.object_id.eq_ignore_ascii_case(object));
    let index = found.unwrap_or_else(|| {
        let (tenant, object_id) = (tenant.to_owned(), object.to_owned());
        vault.policies.push(Policy { tenant, object_id, keys: Vec::new(), others: Map::new() });
        vault.policies.len() - 1
    });
    let policy = &mut vault.policies[index];
    let mut added = false;
    let permissions = entry.get("permissions").and_then(Value::as_object);
    for (kind, list) in permissions.into_iter().flatten() {
        for permission in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if kind == "keys" {
                if policy.keys.iter().all(|(held, _)| !held.eq_ignore_ascii_case(permission)) {
                    policy.keys.push((permission.to_owned(), effective));
                    added = true;
                }
            } else if let Value::Array(held) = policy.others.entry(kind.clone()).or_insert_with(|| json!([]))
                && !held.contains(&json!(permission))
            {
                held.push(json!(permission));
            }
        }
    }
    if added {
        state.schedule(effective, super::super::state::Event::Touch);
    }
}
