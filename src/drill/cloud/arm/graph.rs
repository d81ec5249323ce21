//! Microsoft.ResourceGraph: one question over all resources that the caller may read.

use serde_json::{Value, json};

use super::super::state::{State, after_minutes};
use super::super::wire::Answer;
use super::kql_parser::Unreadable;
use super::managed_instances::instance_json;
use super::sql_servers::server_json;
use super::vaults::vault_json;
use super::{Call, kql};
use crate::domain::resource_id::ResourceId;

/// Minutes until a change shows in `resourcechanges`.
const CHANGE_DELAY_MINUTES: f64 = 2.0;

/// Answers a query.
pub(super) fn query(state: &mut State, call: &Call<'_>) -> Answer {
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let rows = match kql::table(text).as_deref() {
        Some("resources") => resources(state, call, kql::types(text).as_deref()),
        Some("resourcechanges") => changes(state, call),
        Some("resourcecontainers" | "authorizationresources" | "healthresources") => Vec::new(),
        _ => return invalid("Query is invalid: the table is not known."),
    };
    let asked = body.get("subscriptions").and_then(Value::as_array);
    let outside = asked.is_some_and(|list| {
        list.iter().all(|id| id.as_str().is_none_or(|id| !id.eq_ignore_ascii_case(&state.world.subscription)))
    });
    let found = match kql::run(text, if outside { Vec::new() } else { rows }) {
        Ok(found) => found,
        Err(Unreadable(why)) => return invalid(&why),
    };
    let option = |name: &str| body.pointer(&format!("/options/{name}"));
    let top = option("$top").and_then(Value::as_u64).and_then(|top| usize::try_from(top).ok()).unwrap_or(1000);
    let skip = option("$skipToken").and_then(Value::as_str).and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    let (from, end) = (skip.min(found.len()), (skip + top.clamp(1, 1000)).min(found.len()));
    let mut out = json!({
        "totalRecords": found.len(),
        "count": end - from,
        "data": found[from..end],
        "facets": [],
        "resultTruncated": "false",
    });
    if end < found.len() {
        out["$skipToken"] = json!(end.to_string());
    }
    Answer::json(200, out)
}

fn invalid(why: &str) -> Answer {
    let details = json!([{ "code": "InvalidQuery", "message": why }]);
    let message = "Please provide below info when asking for support: timestamp, correlationId.";
    Answer::json(400, json!({ "error": { "code": "BadRequest", "message": message, "details": details } }))
}

fn readable(state: &State, call: &Call<'_>, id: &ResourceId, action: &str) -> bool {
    state.may(&call.caller.object_id, action, id)
}

fn resources(state: &State, call: &Call<'_>, types: Option<&[String]>) -> Vec<Value> {
    let wanted = |kind: &str| types.is_none_or(|types| types.iter().any(|wanted| wanted == kind));
    let mut out = Vec::new();
    let vaults = state.vaults.iter().filter(|vault| vault.deleted.is_none() && !vault.is_hsm());
    for vault in vaults.filter(|_| wanted("microsoft.keyvault/vaults")) {
        if readable(state, call, &vault.id, "Microsoft.KeyVault/vaults/read") {
            out.push(row(state, &vault.id, vault_json(state, vault)));
        }
    }
    let kinds = ["microsoft.sql/servers", "microsoft.sql/managedinstances"];
    let below = kinds.map(|kind| format!("{kind}/databases"));
    if !kinds.iter().copied().chain(below.iter().map(String::as_str)).any(wanted) {
        return out;
    }
    let sql = state.servers.iter().filter(|server| !server.is_workspace());
    for server in sql.filter(|one| readable(state, call, &one.id, "Microsoft.Sql/servers/read")) {
        let mut shown = if server.is_instance() { instance_json(state, server) } else { server_json(state, server) };
        if state.world.graph_knows_keys
            && let Some(protector) = &server.protector
        {
            shown["properties"]["keyId"] = json!(protector.uri(protector.version.as_deref()));
        }
        out.push(row(state, &server.id, shown));
        if readable(state, call, &server.id, "Microsoft.Sql/servers/databases/read") {
            for database in &server.databases {
                let shown = json!({
                    "id": database.id,
                    "name": database.id.name(),
                    "type": database.id.resource_type(),
                    "location": server.location,
                    "tags": database.settings.tags,
                    "properties": { "status": state.status(database) },
                });
                out.push(row(state, &database.id, shown));
            }
        }
    }
    out
}

/// A resource as the graph holds it: types in lower case, and a few columns more.
fn row(state: &State, id: &ResourceId, mut shown: Value) -> Value {
    shown["type"] = json!(id.resource_type());
    shown["subscriptionId"] = json!(state.world.subscription);
    shown["tenantId"] = json!(state.world.tenant);
    shown["resourceGroup"] = json!(id.resource_group());
    shown
}

fn changes(state: &State, call: &Call<'_>) -> Vec<Value> {
    let seen = state.changes.iter().filter(|change| after_minutes(change.at, CHANGE_DELAY_MINUTES) <= state.now);
    let allowed = seen.filter(|change| {
        ResourceId::parse(&change.target)
            .is_ok_and(|id| readable(state, call, &id, "Microsoft.Resources/subscriptions/resources/read"))
    });
    let rows = allowed.enumerate().map(|(n, change)| {
        let id = ResourceId::parse(&change.target).ok();
        let kind = id.as_ref().map(ResourceId::resource_type).unwrap_or_default();
        json!({
            "id": format!("{}/providers/Microsoft.Resources/changes/{n}", change.target),
            "name": n.to_string(),
            "type": "microsoft.resources/changes",
            "subscriptionId": state.world.subscription,
            "resourceGroup": id.as_ref().and_then(|id| id.resource_group()),
            "properties": {
                "targetResourceId": change.target,
                "targetResourceType": kind,
                "changeType": change.kind,
                "changeAttributes": {
                    "timestamp": change.at,
                    "changedBy": change.by.as_deref().unwrap_or("Unspecified"),
                    "clientType": change.client,
                    "operation": change.operation,
                    "correlationId": change.correlation,
                    "changesCount": change.what.as_object().map_or(0, serde_json::Map::len),
                },
                "changes": change.what,
            },
        })
    });
    rows.collect()
}
