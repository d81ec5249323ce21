//! `[servicenow]`.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{Wrong, fields, needs, one_secret, open_address, route};
use crate::domain::notice::Situation;
use crate::notify::servicenow::auth::Login;
use crate::notify::servicenow::{Mode, ServiceNowOptions};
use crate::settings::problem::Problem;
use crate::settings::secrets::Places;
use crate::settings::section::{Section, Sources};

/// An instance of ServiceNow.
#[derive(Debug, Clone)]
pub struct ServiceNowSettings {
    /// Its address.
    pub base: String,
    /// How we sign in.
    pub login: Login,
    /// What is done there; links and the time-out are not of these settings.
    pub options: ServiceNowOptions,
    /// What it is told of.
    pub tell: BTreeSet<Situation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    OAuth,
    Basic,
    ApiKey,
}

/// Reads `[servicenow]`.
pub(super) fn servicenow(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<ServiceNowSettings> {
    let mut section = Section::open(file, "servicenow", sources, wrong.problems);
    let instance = "Write the address of the instance, such as https://contoso.service-now.com";
    let base = open_address(&mut section, "instance_url", Some("KEYMEND_SERVICENOW_URL"), instance);
    let login = login(&mut section, base.is_some(), wrong.faults);
    let options = options(&mut section);
    let tell = route::route(&mut section);
    section.close();
    Some(ServiceNowSettings { base: base?, login: login?, options, tell })
}

fn login(section: &mut Section<'_>, wanted: bool, faults: &mut Vec<Problem>) -> Option<Login> {
    let ways = [("oauth", Way::OAuth), ("basic", Way::Basic), ("api_key", Way::ApiKey)];
    let way = section.choice("auth", Some("KEYMEND_SERVICENOW_AUTH"), &ways).unwrap_or(Way::OAuth);
    let instead = "Write the client id of the OAuth application";
    let client_id = section.text("client_id", Some("KEYMEND_SERVICENOW_CLIENT_ID"), instead);
    let user = section.text("user", Some("KEYMEND_SERVICENOW_USER"), "Write the name of the user");
    let places = Places { literal: None, name: "secret", variable: Some("KEYMEND_SERVICENOW_SECRET") };
    let known = faults.len();
    let secret = one_secret(section, places, faults);
    if wanted {
        if secret.is_none() && faults.len() == known {
            let instead = "Put the client secret, password or API key into KEYMEND_SERVICENOW_SECRET, or name its variable or file";
            needs(section, "secret_env", instead);
        }
        if way == Way::OAuth && client_id.is_none() {
            needs(section, "client_id", "Write the client id of the OAuth application, or another auth");
        }
        if way == Way::Basic && user.is_none() {
            needs(section, "user", "Write the name of the user, or another auth");
        }
    }
    let secret = secret?;
    Some(match way {
        Way::OAuth => Login::OAuth { client_id: client_id?.value, client_secret: secret },
        Way::Basic => Login::Basic { user: user?.value, password: secret },
        Way::ApiKey => Login::ApiKey { key: secret },
    })
}

fn options(section: &mut Section<'_>) -> ServiceNowOptions {
    let usual = ServiceNowOptions::default();
    let modes = [("incident", Mode::Incident), ("event_management", Mode::EventManagement)];
    let mode = section.choice("mode", Some("KEYMEND_SERVICENOW_MODE"), &modes).unwrap_or(usual.mode);
    let table = section.text("table", None, "Write the name of a table, such as incident").map(|named| named.value);
    let mut values = texts(section);
    for name in ["assignment_group", "caller_id", "cmdb_ci", "category"] {
        if let Some(named) = section.text(name, None, "Write the value as the table holds it: a sys_id for a reference")
        {
            values.insert(name.to_owned(), named.value);
        }
    }
    let escalation = section.text("escalation_group", None, "Write the sys_id of a group").map(|named| named.value);
    let level = "1 (high), 2 or 3 (low)";
    let impact = section.number("impact", None, (1, 3), level).unwrap_or(usual.impact);
    let urgency = section.number("urgency", None, (1, 3), level).unwrap_or(usual.urgency);
    let state = "the number of the state";
    let in_progress = section.number("state_in_progress", None, (1, 999), state).unwrap_or(usual.state_in_progress);
    let resolved = section.number("state_resolved", None, (1, 999), state).unwrap_or(usual.state_resolved);
    let close_code =
        section.text("close_code", None, "Write a resolution code of the instance").map(|named| named.value);
    ServiceNowOptions {
        mode,
        table: table.unwrap_or_else(|| usual.table.clone()),
        fields: values,
        escalation_group: escalation,
        impact,
        urgency,
        state_in_progress: in_progress,
        state_resolved: resolved,
        states_over: states_over(section).unwrap_or_else(|| usual.states_over.clone()),
        close_code: close_code.unwrap_or_else(|| usual.close_code.clone()),
        ..usual
    }
}

/// `fields`: the instance takes texts.
fn texts(section: &mut Section<'_>) -> BTreeMap<String, String> {
    let instead = "Write a table of names and texts: fields = { u_service = \"Databases\" }";
    let mut values = BTreeMap::new();
    for (name, value) in fields(section, instead) {
        let text = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other => {
                let setting = section.full_name(&format!("fields.{name}"));
                section.report(Problem::new(setting, "it is no text", instead).with(other));
                continue;
            }
        };
        values.insert(name, text);
    }
    values
}

fn states_over(section: &mut Section<'_>) -> Option<Vec<u32>> {
    let value = section.raw("states_over")?;
    let number = |value: &Value| value.as_integer().and_then(|number| u32::try_from(number).ok());
    let states: Option<Vec<u32>> = value.as_array().and_then(|list| list.iter().map(number).collect());
    if states.is_none() {
        let setting = section.full_name("states_over");
        let instead = "Write the numbers of the states in which a ticket is written to no more: [7, 8]";
        section.report(Problem::new(setting, "it is no list of numbers", instead).with(value));
    }
    states
}
