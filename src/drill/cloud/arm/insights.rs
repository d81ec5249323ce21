//! The Activity Log's list, Resource Health, and the groups that things are in.

use serde_json::json;

use super::super::log_filter::Filter;
use super::super::state::State;
use super::super::wire::Answer;
use super::{Call, not_found, page};

/// The Activity Log of the subscription.
pub(super) fn events(state: &mut State, call: &Call<'_>) -> Answer {
    let text = call.request.query.get("$filter").map_or("", String::as_str);
    let Some(filter) = Filter::parse(text) else {
        let text = "The filter is not valid: it takes a span of eventTimestamp and one of resourceGroupName, \
                    resourceUri, resourceProvider, correlationId; no other syntax is allowed.";
        return Answer::error(400, "BadRequest", text);
    };
    let tenant = &state.world.tenant;
    let wanted = call.request.query.get("$select").map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());
    let all = state.read_log(&filter).into_iter().map(|entry| {
        let mut entry = entry.to_json(tenant);
        if let (Some(wanted), Some(fields)) = (&wanted, entry.as_object_mut()) {
            fields.retain(|name, _| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
        }
        entry
    });
    let all = all.collect();
    page(state, call, all)
}

/// Whether a database, or a server, is there for its users.
pub(super) fn health(state: &mut State, call: &Call<'_>) -> Answer {
    let Some(scope) = &call.scope else { return not_found(None) };
    let server = scope.sql_server().and_then(|id| state.server_at(&id)).map(|at| &state.servers[at]);
    let Some(server) = server else { return not_found(Some(scope)) };
    let database = server.databases.iter().find(|database| database.id == *scope);
    let available = database.is_none_or(|database| state.status(database) == "Online");
    let since = database.map_or(server.created, |database| database.since());
    let title = if available { "Available" } else { "Unavailable" };
    let summary = if available {
        "There aren't any known Azure platform problems affecting this database."
    } else {
        "We're sorry, we couldn't reach the key of this database's server. Please check its Azure Key Vault."
    };
    let status = json!({
        "id": format!("{scope}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"),
        "name": "current",
        "type": "Microsoft.ResourceHealth/AvailabilityStatuses",
        "location": server.location,
        "properties": {
            "availabilityState": title,
            "title": title,
            "summary": summary,
            "reasonType": if available { "" } else { "UserInitiated" },
            "occuredTime": since,
            "reportedTime": state.now,
        },
    });
    Answer::json(200, if call.names.is_empty() { json!({ "value": [status] }) } else { status })
}

/// The subscription.
pub(super) fn subscription(state: &mut State, _: &Call<'_>) -> Answer {
    let id = &state.world.subscription;
    Answer::json(
        200,
        json!({
            "id": format!("/subscriptions/{id}"),
            "subscriptionId": id,
            "tenantId": state.world.tenant,
            "displayName": "Contoso production",
            "state": "Enabled",
        }),
    )
}

/// A resource group.
pub(super) fn resource_group(state: &mut State, call: &Call<'_>) -> Answer {
    let Some(id) = &call.id else { return not_found(None) };
    let ids = state.servers.iter().map(|server| (&server.id, &server.location));
    let ids = ids.chain(state.vaults.iter().map(|vault| (&vault.id, &vault.location)));
    let found = ids.clone().find(|(resource, _)| id.contains(resource));
    let Some((_, location)) = found else {
        let text = format!("Resource group '{}' could not be found.", id.name());
        return Answer::error(404, "ResourceGroupNotFound", text);
    };
    Answer::json(
        200,
        json!({
            "id": id,
            "name": id.name(),
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "tags": {},
            "properties": { "provisioningState": "Succeeded" },
        }),
    )
}
