//! Azure Resource Manager: who calls, may they, is it locked, are they too many; then the provider's own answer.

pub(crate) mod access_policies;
mod alert_rules;
mod authorization;
mod database_change;
mod graph;
mod insights;
mod kql;
mod kql_parser;
mod managed_identity;
mod managed_instances;
pub(crate) mod server_change;
mod sql_databases;
mod sql_operations;
mod sql_routes;
mod sql_servers;
mod synapse;
pub(crate) mod vault_keys;
mod vault_routes;
pub(crate) mod vaults;

use serde_json::{Value, json};

use super::activity_log::Write;
use super::actor::Actor;
use super::state::State;
use super::throttle::{GRAPH, READS, WRITES};
use super::wire::{Answer, Request};
use crate::domain::resource_id::ResourceId;

/// An ARM request, taken apart.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    /// Everything before the last `/providers/`.
    pub(crate) scope: Option<ResourceId>,
    /// The last provider, in lower case.
    provider: String,
    /// The types below it, in lower case, joined by `/`.
    pub(crate) types: String,
    /// The names below it.
    pub(crate) names: Vec<String>,
    /// The whole path as an id.
    pub(crate) id: Option<ResourceId>,
    /// The action that a caller needs.
    pub(crate) action: String,
    pub(crate) caller: Actor,
}

/// What each provider's operations may be called with (reference: the versions in use in 2026).
const VERSIONS: &[(&str, &[&str])] = &[
    ("microsoft.sql", &["2025-01-01", "2023-08-01", "2021-11-01", "2023-08-01-preview", "2025-02-01-preview"]),
    ("microsoft.synapse", &["2021-06-01"]),
    ("microsoft.keyvault", &["2026-02-01", "2026-05-15", "2024-11-01", "2023-07-01"]),
    ("microsoft.authorization", &["2022-04-01", "2020-05-01"]),
    ("microsoft.insights/activitylogalerts", &["2020-10-01"]),
    ("microsoft.insights/actiongroups", &["2023-01-01"]),
    ("microsoft.insights", &["2015-04-01"]),
    ("microsoft.resourcegraph", &["2024-04-01", "2022-10-01", "2021-03-01"]),
    ("microsoft.resourcehealth", &["2025-05-01", "2025-04-01", "2024-02-01"]),
    ("microsoft.managedidentity", &["2024-11-30", "2023-01-31"]),
];

/// Answers an ARM request.
pub(crate) fn answer(state: &mut State, request: &Request) -> Answer {
    let Some(caller) = caller(state, request) else {
        return Answer::error(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing or invalid.",
        )
        .with_header(
            "www-authenticate",
            format!(
                "Bearer authorization_uri=\"https://login.windows.net/{}\", error=\"invalid_token\"",
                state.world.tenant
            ),
        );
    };
    let call = Call::new(request, caller);
    let Some(operation) = find(&call) else {
        state.unknown_requests += 1;
        let text = format!(
            "The resource type could not be found in the namespace '{}' for api version '{}'. The supported \
             operations are those of the published API.",
            call.provider,
            request.query.get("api-version").map_or("", String::as_str)
        );
        return Answer::error(404, "InvalidResourceType", text);
    };
    let mut answer = match admit(state, &call) {
        Ok(left) => operation(state, &call).with_header(remaining(&call), left.to_string()),
        Err(refusal) => refusal,
    };
    let failed = answer.status >= 400 && answer.status != 429 && request.method != "GET";
    if failed && let (Some(id), false) = (&call.id, call.provider == "microsoft.resourcegraph") {
        let code = answer.code().unwrap_or_default().to_owned();
        state.log_write(&call.write(id), "Failed", &code);
    }
    if matches!(call.provider.as_str(), "microsoft.insights" | "microsoft.resourcehealth") {
        // These two answer errors without the outer object.
        answer.body = answer.body.map(|body| body.get("error").cloned().unwrap_or(body));
    }
    answer
}

/// Whose token it is.
fn caller(state: &State, request: &Request) -> Option<Actor> {
    let responder = &state.world.responder;
    (request.token.as_deref()? == responder.token).then(|| Actor {
        upn: None,
        object_id: responder.object_id.clone(),
        app_id: responder.app_id.clone(),
        address: responder.address.clone(),
    })
}

type Operation = fn(&mut State, &Call<'_>) -> Answer;

/// The operation that a call names.
fn find(call: &Call<'_>) -> Option<Operation> {
    let method = call.request.method.as_str();
    Some(match (call.provider.as_str(), method, call.types.as_str()) {
        ("microsoft.sql", ..) => {
            return sql_routes::find(method, &call.types).or_else(|| managed_instances::find(method, &call.types));
        }
        ("microsoft.synapse", ..) => return synapse::find(method, &call.types),
        ("microsoft.keyvault", ..) => return vault_routes::find(method, &call.types),
        ("microsoft.authorization", ..) => return authorization::find(method, &call.types),
        ("microsoft.managedidentity", ..) => return managed_identity::find(method, &call.types),
        ("microsoft.insights", "GET", "eventtypes/values") => insights::events,
        ("microsoft.insights", "GET", "activitylogalerts") => alert_rules::rules,
        ("microsoft.insights", "GET", "actiongroups") => alert_rules::action_groups,
        ("microsoft.resourcehealth", "GET", "availabilitystatuses") => insights::health,
        ("microsoft.resourcegraph", "POST", "resources") => graph::query,
        ("", "GET", "subscriptions") => insights::subscription,
        ("", "GET", "subscriptions/resourcegroups") => insights::resource_group,
        _ => return None,
    })
}

/// Everything ARM asks before it passes a call on: how many more such calls may follow, or the refusal.
fn admit(state: &mut State, call: &Call<'_>) -> Result<u32, Answer> {
    let Some(version) = call.request.query.get("api-version") else {
        let text = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(Answer::error(400, "MissingApiVersionParameter", text));
    };
    let kind = format!("{}/{}", call.provider, call.types.split('/').next().unwrap_or_default());
    let known = VERSIONS.iter().find(|(name, _)| *name == kind || *name == call.provider);
    if known.is_some_and(|(_, versions)| !versions.contains(&version.as_str())) {
        let text = format!(
            "No registered resource provider found for location '' and API version '{version}' for type '{}'.",
            call.types
        );
        return Err(Answer::error(400, "NoRegisteredProviderFound", text));
    }
    let left = take(state, call)?;
    unauthorized(state, call).or_else(|| locked(state, call)).map_or(Ok(left), Err)
}

fn take(state: &mut State, call: &Call<'_>) -> Result<u32, Answer> {
    let (kind, limit) = match call.request.method.as_str() {
        "GET" => ("reads", READS),
        _ if call.provider == "microsoft.resourcegraph" => ("graph", GRAPH),
        "DELETE" => ("deletes", WRITES),
        _ => ("writes", WRITES),
    };
    let subscription = call.id.as_ref().map_or("tenant", |id| id.subscription()).to_ascii_lowercase();
    let key = format!("{kind}|{subscription}|{}", call.caller.object_id);
    state.take_token(&key, limit).map_err(|wait| {
        let text = format!("Number of '{kind}' requests exceeded the limit. Please try again after '{wait}' seconds.");
        Answer::error(429, "SubscriptionRequestsThrottled", text).with_header("retry-after", wait.to_string())
    })
}

/// The header that tells how many calls are left.
fn remaining(call: &Call<'_>) -> &'static str {
    match (call.request.method.as_str(), &call.id) {
        ("GET", Some(_)) => "x-ms-ratelimit-remaining-subscription-reads",
        ("GET", None) => "x-ms-ratelimit-remaining-tenant-reads",
        ("DELETE", _) => "x-ms-ratelimit-remaining-subscription-deletes",
        (_, Some(_)) => "x-ms-ratelimit-remaining-subscription-writes",
        (_, None) => "x-ms-user-quota-remaining",
    }
}

fn unauthorized(state: &State, call: &Call<'_>) -> Option<Answer> {
    let principal = &call.caller.object_id;
    let Some(id) = &call.id else {
        // Resource Graph shows only what may be read; built-in roles may be read by anybody.
        return None;
    };
    if id.subscription() != state.world.subscription {
        let text = format!("The subscription '{}' could not be found.", id.subscription());
        return Some(Answer::error(404, "SubscriptionNotFound", text));
    }
    let allowed = if call.provider.is_empty() && call.types == "subscriptions" {
        state.has_any_role(principal, id)
    } else {
        state.may(principal, &call.action, id)
    };
    (!allowed).then(|| forbidden(&call.caller, &call.action, id))
}

/// The 403 of ARM.
pub(super) fn forbidden(caller: &Actor, action: &str, scope: &ResourceId) -> Answer {
    let text = format!(
        "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope \
         '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        caller.app_id, caller.object_id
    );
    Answer::error(403, "AuthorizationFailed", text)
}

fn locked(state: &State, call: &Call<'_>) -> Option<Answer> {
    let method = call.request.method.as_str();
    let id = call.id.as_ref()?;
    if method == "GET" || call.provider == "microsoft.resourcegraph" {
        return None;
    }
    let lock = state.lock_against(id, method == "DELETE")?;
    let verb = if method == "DELETE" { "delete" } else { "write" };
    let text = format!(
        "The scope '{id}' cannot perform {verb} operation because following scope(s) are locked: '{lock}'. Please \
         remove the lock and try again."
    );
    Some(Answer::error(409, "ScopeLocked", text))
}

impl<'a> Call<'a> {
    fn new(request: &'a Request, caller: Actor) -> Self {
        let path = request.path.trim_end_matches('/');
        let lower = path.to_ascii_lowercase();
        let (scope, provider, below) = match lower.rfind("/providers/") {
            Some(at) => {
                let rest = &path[at + "/providers/".len()..];
                let (provider, below) = rest.split_once('/').unwrap_or((rest, ""));
                (&path[..at], provider, below)
            }
            None => ("", "", path.trim_start_matches('/')),
        };
        let parts: Vec<&str> = below.split('/').collect();
        let types: Vec<&str> = parts.iter().step_by(2).copied().collect();
        let verb = match request.method.as_str() {
            "GET" => "read",
            "DELETE" => "delete",
            "POST" => "action",
            _ => "write",
        };
        let provider_text = if provider.is_empty() { "Microsoft.Resources" } else { provider };
        Self {
            request,
            scope: ResourceId::parse(scope).ok(),
            provider: provider.to_ascii_lowercase(),
            types: types.join("/").to_ascii_lowercase(),
            names: parts.iter().skip(1).step_by(2).map(|name| (*name).to_owned()).collect(),
            id: ResourceId::parse(path).ok(),
            action: format!("{provider_text}/{}/{verb}", types.join("/")),
            caller,
        }
    }

    /// The `n`th name in the path below the provider.
    pub(crate) fn name(&self, n: usize) -> &str {
        self.names.get(n).map_or("", String::as_str)
    }

    /// The id of the resource that the first `count` names make: `/…/servers/{name 0}` for one.
    pub(crate) fn ancestor(&self, count: usize) -> Option<ResourceId> {
        let id = self.id.as_ref()?.as_str();
        let at = id.to_ascii_lowercase().rfind("/providers/")? + "/providers/".len();
        let wanted = 1 + 2 * count;
        let end = id[at..].match_indices('/').nth(wanted - 1).map_or(id.len(), |(slash, _)| at + slash);
        ResourceId::parse(&id[..end]).ok()
    }

    /// This call as a write to `resource`, for the log.
    pub(crate) fn write<'b>(&'b self, resource: &'b ResourceId) -> Write<'b> {
        Write {
            actor: Some(&self.caller),
            operation: &self.action,
            resource,
            method: &self.request.method,
            client_request_id: self.request.client_request_id.as_deref(),
            correlation: Some(&self.request.correlation),
        }
    }
}

/// A page of a list, with a link to the next.
pub(super) fn page(state: &State, call: &Call<'_>, all: Vec<Value>) -> Answer {
    page_of(state, call, all, |one| one)
}

/// A page of a long list: only what is on it is written out.
pub(super) fn page_of<T>(state: &State, call: &Call<'_>, mut all: Vec<T>, show: impl Fn(T) -> Value) -> Answer {
    let size = state.world.timing.page_size.max(1);
    let from = call.request.skip().min(all.len());
    let end = (from + size).min(all.len());
    let more = end < all.len();
    let shown: Vec<Value> = all.drain(from..end).map(show).collect();
    let mut body = json!({ "value": shown });
    if more {
        let query = call.request.query.iter().filter(|(name, _)| *name != "$skiptoken").map(|(name, value)| {
            format!("{name}={}", percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC))
        });
        let query = query.collect::<Vec<_>>().join("&");
        body["nextLink"] = json!(format!("{}{}?{query}&$skiptoken={end}", call.request.base, call.request.path));
    }
    Answer::json(200, body)
}

/// The 404 of a resource that is not there.
pub(super) fn not_found(id: Option<&ResourceId>) -> Answer {
    let (kind, group) = id.map_or((String::new(), String::new()), |id| {
        let kind = format!("{}/{}", provider_type(id), id.name());
        (kind, id.resource_group().unwrap_or_default().to_owned())
    });
    let text = format!(
        "The Resource '{kind}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    Answer::error(404, "ResourceNotFound", text)
}

fn provider_type(id: &ResourceId) -> String {
    match id.resource_type().as_str() {
        "microsoft.sql/servers" => "Microsoft.Sql/servers".to_owned(),
        "microsoft.sql/managedinstances" => "Microsoft.Sql/managedInstances".to_owned(),
        "microsoft.keyvault/vaults" => "Microsoft.KeyVault/vaults".to_owned(),
        "microsoft.managedidentity/userassignedidentities" => {
            "Microsoft.ManagedIdentity/userAssignedIdentities".to_owned()
        }
        other => other.to_owned(),
    }
}

/// Known to Azure, and not to the simulated cloud.
fn unsupported(_: &mut State, _: &Call<'_>) -> Answer {
    Answer::error(400, "OperationNotAllowed", "The simulated cloud does not carry out this operation.")
}
