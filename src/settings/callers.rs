//! `[callers]`: who may send alerts by a token of Entra, as secure webhooks of Action Groups and Event Grid do.

use toml::Table;
use uuid::Uuid;

use super::AzureSettings;
use super::problem::Problem;
use super::section::{Named, Section, Sources};
use crate::azure::entra::Tenant;
use crate::azure::{Cloud, ConfigError};

/// The application by which Azure Monitor calls secure webhooks (Microsoft, "Action groups"); in every cloud, as far as is known.
const ACTION_GROUPS: &str = "461e8683-5575-4561-ac7f-899cc907d62a";
const ACTION_GROUPS_ROLE: &str = "ActionGroupsSecureWebhook";
/// The application of Event Grid (Microsoft, "Deliver events to Microsoft Entra protected endpoints"; that of Azure Government
/// from memory).
const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
const EVENT_GRID_GOVERNMENT: &str = "54316b56-3481-47f9-8f30-0300f5542a7b";
const EVENT_GRID_ROLE: &str = "AzureEventGridSecureWebhookSubscriber";

/// Who may send alerts by a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallersSettings {
    /// What a token must be; `None`: tokens are not looked at.
    pub tokens: Option<TokenSettings>,
    /// Who knows the webhook secret, or under the Functions host the function's key, needs no token.
    pub secret_is_enough: bool,
}

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Who issues it.
    pub tenant: Tenant,
    /// Whom it is for: the client id of the application that stands for this house, and its identifier URIs.
    pub audiences: Vec<String>,
    /// Whom Action Groups call by.
    pub action_groups: Application,
    /// Whom Event Grid calls by.
    pub event_grid: Application,
}

/// An application and the role that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its application id.
    pub id: String,
    /// The role.
    pub role: String,
}

/// Reads `[callers]`.
pub(super) fn callers(
    file: &mut Table,
    sources: Sources<'_>,
    azure: Option<&AzureSettings>,
    problems: &mut Vec<Problem>,
) -> CallersSettings {
    let mut section = Section::open(file, "callers", sources, problems);
    let choices = [("token", false), ("token_or_secret", true)];
    let accept = section.choice("accept", Some("KEYMEND_CALLERS_ACCEPT"), &choices);
    let client = guid(&mut section, "client_id", Some("KEYMEND_CALLERS_CLIENT_ID"));
    let tenant = tenant(&mut section, azure, client.is_some());
    let instead = "Write the identifier URIs of the application, such as api://keymend";
    let uris = section.list("identifier_uris", Some("KEYMEND_CALLERS_IDENTIFIER_URIS"), instead);
    let government = azure.is_some_and(|azure| azure.cloud.cloud == Cloud::UsGovernment);
    let event_grid = if government { EVENT_GRID_GOVERNMENT } else { EVENT_GRID };
    let action_groups =
        application(&mut section, ["action_groups_app", "action_groups_role"], ACTION_GROUPS, ACTION_GROUPS_ROLE);
    let event_grid = application(&mut section, ["event_grid_app", "event_grid_role"], event_grid, EVENT_GRID_ROLE);
    if client.is_none() && (accept.is_some() || !uris.is_empty()) {
        let why = "the application is not named, so no token would be taken";
        section.report(Problem::new(
            "callers.client_id",
            why,
            "Write the application's client id, or remove [callers]",
        ));
    }
    section.close();
    let tokens = client.zip(tenant).map(|(client, tenant)| {
        let own = [client.to_string(), format!("api://{client}")];
        let audiences = own.into_iter().chain(uris.into_iter().map(|Named { value, .. }| value)).collect();
        TokenSettings { tenant, audiences, action_groups, event_grid }
    });
    CallersSettings { tokens, secret_is_enough: accept.unwrap_or(false) }
}

fn guid(section: &mut Section<'_>, key: &str, variable: Option<&str>) -> Option<Uuid> {
    let instead = "Write an id such as 11111111-2222-3333-4444-555555555555";
    let Named { setting, value } = section.text(key, variable, instead)?;
    let id = Uuid::try_parse(&value).ok();
    if id.is_none() {
        section.report(Problem::new(setting, "this is no such id", instead).with(format_args!("{value:?}")));
    }
    id
}

/// The tenant: its own setting, else that of `[azure]`. Never "common": the tokens of every tenant are not ours.
fn tenant(section: &mut Section<'_>, azure: Option<&AzureSettings>, wanted: bool) -> Option<Tenant> {
    let before = section.problems();
    let own = guid(section, "tenant_id", Some("KEYMEND_CALLERS_TENANT_ID"));
    let instead = "Remove it; it exists for other clouds than Azure's, and for a simulated one";
    let endpoint = section.text("metadata_endpoint", Some("KEYMEND_CALLERS_METADATA_ENDPOINT"), instead);
    let azure = azure?;
    if !wanted || section.problems() > before {
        return None;
    }
    let of_azure = || Uuid::try_parse(azure.tenant_id.as_deref()?).ok();
    let Some(id) = own.or_else(of_azure) else {
        let why = "the tenant whose tokens are taken is not named";
        section.report(Problem::new("callers.tenant_id", why, "Write the tenant's id here, or as azure.tenant_id"));
        return None;
    };
    let simulated = azure.endpoints.on_this_machine().then(|| azure.endpoints.arm().to_string());
    let endpoint = endpoint.map(|named| named.value).or(simulated);
    match Tenant::new(id, azure.cloud.cloud, endpoint.as_deref()) {
        Ok(tenant) => Some(tenant),
        Err(error) => {
            let why = match error {
                ConfigError::PlainHttp { .. } => "plain http is allowed only on a loopback address".to_owned(),
                ConfigError::NotAnAddress { .. } => "this is no address of a host".to_owned(),
                other => other.to_string(),
            };
            let problem = Problem::new("callers.metadata_endpoint", why, instead);
            section.report(problem.with(format_args!("{:?}", endpoint.unwrap_or_default())));
            None
        }
    }
}

fn application(section: &mut Section<'_>, keys: [&str; 2], id: &str, role: &str) -> Application {
    let [app, role_of] = keys;
    let id = guid(section, app, None).map_or_else(|| id.to_owned(), |id| id.to_string());
    let named = section.text(role_of, None, "Write the value of an app role").map(|named| named.value);
    Application { id, role: named.unwrap_or_else(|| role.to_owned()) }
}
