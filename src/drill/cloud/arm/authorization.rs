//! Microsoft.Authorization: role assignments and definitions, deny assignments, locks.

use serde_json::{Value, json};

use super::super::resources::{Assignment, Deny, Lock, Role};
use super::super::state::{Event, State};
use super::super::wire::Answer;
use super::{Call, Operation, page, unsupported};
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "roleassignments") => assignments,
        ("PUT", "roleassignments") => put_assignment,
        ("GET", "roledefinitions") => definitions,
        ("GET", "denyassignments") => denies,
        ("GET", "locks") => locks,
        ("DELETE", "roleassignments" | "locks" | "roledefinitions") | ("PUT", "locks" | "roledefinitions") => {
            unsupported
        }
        _ => return None,
    })
}

/// The filters of role and deny assignments.
#[derive(Default)]
struct Filter {
    principal: Option<String>,
    at_scope: bool,
}

impl Filter {
    fn parse(text: Option<&String>) -> Result<Self, Answer> {
        let mut filter = Self::default();
        for term in text.into_iter().flat_map(|text| text.split(" and ")).map(str::trim).filter(|term| !term.is_empty())
        {
            let lower = term.to_ascii_lowercase();
            let quoted = term.split('\'').nth(1).map(str::to_owned);
            if lower == "atscope()" {
                filter.at_scope = true;
            } else if (lower.starts_with("assignedto(") || lower.starts_with("principalid eq")) && quoted.is_some() {
                filter.principal = quoted;
            } else {
                let text = format!(
                    "The filter '{term}' is not supported. Supported filters are either 'atScope()' or 'principalId eq '{{value}}' or assignedTo('{{value}}')'."
                );
                return Err(Answer::error(400, "UnsupportedQuery", text));
            }
        }
        Ok(filter)
    }

    /// Whether something at `at` that binds `principals` is listed for `scope`: at or above it, and below it unless
    /// only `atScope()` is asked for.
    fn selects(&self, scope: &ResourceId, at: &ResourceId, principals: &[&str]) -> bool {
        let placed = at.contains(scope) || (!self.at_scope && scope.contains(at));
        let wanted = |principal: &String| principals.iter().any(|bound| bound.eq_ignore_ascii_case(principal));
        placed && self.principal.as_ref().is_none_or(wanted)
    }
}

/// The scope of the call, or the answer that there is none.
fn scope_of<'a>(call: &'a Call<'_>) -> Result<&'a ResourceId, Answer> {
    call.scope.as_ref().ok_or_else(|| Answer::error(400, "InvalidScope", "The scope is not valid."))
}

fn assignments(state: &mut State, call: &Call<'_>) -> Answer {
    let scope = match scope_of(call) {
        Ok(scope) => scope,
        Err(answer) => return answer,
    };
    if !call.names.is_empty() {
        let found = state
            .assignments
            .iter()
            .find(|assignment| assignment.name.eq_ignore_ascii_case(call.name(0)) && assignment.scope == *scope);
        let missing = || {
            let text = format!("The role assignment '{}' is not found.", call.name(0));
            Answer::error(404, "RoleAssignmentNotFound", text)
        };
        return found.map_or_else(missing, |found| Answer::json(200, assignment_json(state, found)));
    }
    let filter = match Filter::parse(call.request.query.get("$filter")) {
        Ok(filter) => filter,
        Err(answer) => return answer,
    };
    let found = state.assignments.iter().filter(|one| filter.selects(scope, &one.scope, &[&one.principal]));
    let found = found.map(|assignment| assignment_json(state, assignment)).collect();
    page(state, call, found)
}

fn assignment_json(state: &State, assignment: &Assignment) -> Value {
    let mut properties = json!({
        "roleDefinitionId": role_id(state, &assignment.role),
        "principalId": assignment.principal,
        "principalType": assignment.principal_type,
        "scope": assignment.scope,
        "createdOn": assignment.created,
        "updatedOn": assignment.created,
        "createdBy": assignment.created_by,
        "updatedBy": assignment.created_by,
    });
    if let Some(description) = &assignment.description {
        properties["description"] = json!(description);
    }
    if let Some((condition, version)) = &assignment.condition {
        properties["condition"] = json!(condition);
        properties["conditionVersion"] = json!(version);
    }
    json!({
        "properties": properties,
        "id": format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", assignment.scope, assignment.name),
        "type": "Microsoft.Authorization/roleAssignments",
        "name": assignment.name,
    })
}

fn role_id(state: &State, role: &str) -> String {
    format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", state.world.subscription)
}

fn put_assignment(state: &mut State, call: &Call<'_>) -> Answer {
    let scope = match scope_of(call) {
        Ok(scope) => scope.clone(),
        Err(answer) => return answer,
    };
    let wanted = match wanted(state, call, &scope) {
        Ok(wanted) => wanted,
        Err(answer) => return answer,
    };
    if !state.may_give(&call.caller.object_id, &call.action, &scope, &wanted.role, &wanted.principal_type) {
        return super::forbidden(&call.caller, &call.action, &scope);
    }
    let same_what = |other: &Assignment| {
        other.scope == wanted.scope
            && other.role.eq_ignore_ascii_case(&wanted.role)
            && other.principal.eq_ignore_ascii_case(&wanted.principal)
    };
    if let Some(named) = state.assignments.iter().find(|other| other.name.eq_ignore_ascii_case(&wanted.name)) {
        if same_what(named) {
            return Answer::json(200, assignment_json(state, named));
        }
        let text = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
        return Answer::error(400, "RoleAssignmentUpdateNotPermitted", text);
    }
    if let Some(other) = state.assignments.iter().find(|other| same_what(other)) {
        let text = format!(
            "The role assignment already exists. The ID of the existing role assignment is {}.",
            other.name.replace('-', "")
        );
        return Answer::error(409, "RoleAssignmentExists", text);
    }
    let body = assignment_json(state, &wanted);
    let id = call.id.clone().unwrap_or_else(|| scope.clone());
    state.schedule(wanted.effective, Event::Touch);
    state.assignments.push(wanted);
    state.changed += 1;
    state.touch();
    state.record(&call.write(&id), json!({ "properties": body["properties"] }));
    Answer::json(201, body)
}

/// The assignment that a PUT asks for, checked as Azure checks it.
fn wanted(state: &State, call: &Call<'_>, scope: &ResourceId) -> Result<Assignment, Answer> {
    let body = call.request.object()?;
    let text = |name: &str| body.pointer(&format!("/properties/{name}")).and_then(Value::as_str).map(str::to_owned);
    let name = call.name(0).to_owned();
    if uuid::Uuid::parse_str(&name).is_err() {
        let text = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        return Err(Answer::error(400, "InvalidRoleAssignmentId", text));
    }
    let bad =
        |what: &str| Answer::error(400, "BadRequestFormat", format!("The request was incorrectly formatted: {what}."));
    let principal =
        text("principalId").filter(|id| uuid::Uuid::parse_str(id).is_ok()).ok_or_else(|| bad("principalId"))?;
    let role_path = text("roleDefinitionId").ok_or_else(|| bad("roleDefinitionId"))?;
    let role = role_path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if state.roles.iter().all(|known| !known.id.eq_ignore_ascii_case(&role)) {
        let text = format!("The specified role definition with ID '{role}' does not exist.");
        return Err(Answer::error(404, "RoleDefinitionDoesNotExist", text));
    }
    let live = scope.key_vault().is_none_or(|vault| state.vault_at(&vault).is_some());
    if !live {
        return Err(super::not_found(Some(scope)));
    }
    let known = state.principals.get(&principal.to_ascii_lowercase());
    if text("principalType").is_none() && known.is_none_or(|known| known.replicated_at > state.now) {
        let text = format!(
            "Principal {} does not exist in the directory {}. Check that you have the correct principal ID. If you are \
             creating this principal and then immediately assigning a role, this error might be related to a \
             replication delay. In this case, set the role assignment principalType property to a value, such as \
             ServicePrincipal, User, or Group.",
            principal.replace('-', ""),
            state.world.tenant
        );
        return Err(Answer::error(400, "PrincipalNotFound", text));
    }
    let label = format!("assignment|{}|{role}|{principal}|{}", scope.key(), state.now);
    Ok(Assignment {
        name,
        scope: scope.clone(),
        role,
        principal,
        principal_type: text("principalType").unwrap_or_else(|| "ServicePrincipal".to_owned()),
        description: text("description"),
        condition: text("condition").map(|condition| (condition, text("conditionVersion").unwrap_or_default())),
        created: state.now,
        created_by: call.caller.object_id.clone(),
        effective: add(state.now, state.draw_minutes(state.world.timing.propagation, &label)),
    })
}

fn definitions(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        let found = state.roles.iter().find(|role| role.id.eq_ignore_ascii_case(call.name(0)));
        let missing = || {
            let text = format!("The specified role definition with ID '{}' does not exist.", call.name(0));
            Answer::error(404, "RoleDefinitionDoesNotExist", text)
        };
        return found.map_or_else(missing, |role| Answer::json(200, role_json(state, role)));
    }
    let filter = call.request.query.get("$filter").map_or("", String::as_str);
    let quoted = filter.split('\'').nth(1).unwrap_or_default().to_ascii_lowercase();
    let found = state.roles.iter().filter(|role| {
        if filter.contains("roleName eq") {
            role.name.to_ascii_lowercase() == quoted
        } else if filter.contains("type eq") {
            role.built_in == (quoted == "builtinrole")
        } else {
            true
        }
    });
    let all = found.map(|role| role_json(state, role)).collect();
    page(state, call, all)
}

fn role_json(state: &State, role: &Role) -> Value {
    let scope = format!("/subscriptions/{}", state.world.subscription);
    json!({
        "properties": {
            "roleName": role.name,
            "type": if role.built_in { "BuiltInRole" } else { "CustomRole" },
            "description": role.name,
            "assignableScopes": [if role.built_in { "/" } else { scope.as_str() }],
            "permissions": [{
                "actions": role.actions,
                "notActions": role.not_actions,
                "dataActions": role.data_actions,
                "notDataActions": role.not_data_actions,
            }],
        },
        "id": role_id(state, &role.id),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.id,
    })
}

fn denies(state: &mut State, call: &Call<'_>) -> Answer {
    let scope = match scope_of(call) {
        Ok(scope) => scope,
        Err(answer) => return answer,
    };
    if !call.names.is_empty() {
        let found = state.denies.iter().find(|deny| deny.id.eq_ignore_ascii_case(call.name(0)));
        let missing = || Answer::error(404, "DenyAssignmentNotFound", "The deny assignment is not found.");
        return found.map_or_else(missing, |deny| Answer::json(200, deny_json(deny)));
    }
    let filter = match Filter::parse(call.request.query.get("$filter")) {
        Ok(filter) => filter,
        Err(answer) => return answer,
    };
    let found = state.denies.iter().filter(|deny| {
        filter.selects(scope, &deny.scope, &deny.principals.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let found = found.map(deny_json).collect();
    page(state, call, found)
}

fn deny_json(deny: &Deny) -> Value {
    let principals: Vec<Value> =
        deny.principals.iter().map(|id| json!({ "id": id, "type": "ServicePrincipal" })).collect();
    json!({
        "properties": {
            "denyAssignmentName": deny.name,
            "description": deny.name,
            "permissions": [{
                "actions": deny.actions, "notActions": [], "dataActions": deny.data_actions, "notDataActions": [],
            }],
            "scope": deny.scope,
            "doNotApplyToChildScopes": false,
            "principals": principals,
            "excludePrincipals": [],
            "isSystemProtected": true,
        },
        "id": format!("{}/providers/Microsoft.Authorization/denyAssignments/{}", deny.scope, deny.id),
        "type": "Microsoft.Authorization/denyAssignments",
        "name": deny.id,
    })
}

/// Locks at the scope and below it; those above are listed only for their own scope.
fn locks(state: &mut State, call: &Call<'_>) -> Answer {
    let scope = match scope_of(call) {
        Ok(scope) => scope,
        Err(answer) => return answer,
    };
    let mut found = state.locks.iter().filter(|lock| scope.contains(&lock.scope));
    if !call.names.is_empty() {
        let found = found.find(|lock| lock.name.eq_ignore_ascii_case(call.name(0)) && lock.scope == *scope);
        let missing = || {
            let text = format!("The lock '{}' could not be found.", call.name(0));
            Answer::error(404, "LockNotFound", text)
        };
        return found.map_or_else(missing, |lock| Answer::json(200, lock_json(lock)));
    }
    let found = found.map(lock_json).collect();
    page(state, call, found)
}

fn lock_json(lock: &Lock) -> Value {
    json!({
        "properties": { "level": lock.level },
        "id": format!("{}/providers/Microsoft.Authorization/locks/{}", lock.scope, lock.name),
        "type": "Microsoft.Authorization/locks",
        "name": lock.name,
    })
}
