//! `[jira]`.

use std::collections::{BTreeMap, BTreeSet};

use toml::Table;

use super::{Wrong, fields, needs, one_secret, open_address, route};
use crate::domain::notice::Situation;
use crate::notify::jira::Deployment;
use crate::notify::secret::Secret;
use crate::settings::secrets::Places;
use crate::settings::section::{Section, Sources};

/// A project of Jira.
#[derive(Debug, Clone)]
pub struct JiraSettings {
    /// The address of the site.
    pub base: String,
    /// Which Jira, and whose token it is.
    pub deployment: Deployment,
    /// The token.
    pub token: Secret,
    /// The project's key.
    pub project: String,
    /// The type of issue.
    pub issue_type: String,
    /// More fields of a new issue.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// The transition once a person is needed.
    pub escalate_transition: Option<String>,
    /// The transition when it is over.
    pub resolve_transition: Option<String>,
    /// What it is told of.
    pub tell: BTreeSet<Situation>,
}

/// Reads `[jira]`.
pub(super) fn jira(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<JiraSettings> {
    let mut section = Section::open(file, "jira", sources, wrong.problems);
    let site = "Write the address of the site, such as https://contoso.atlassian.net";
    let base = open_address(&mut section, "base_url", Some("KEYMEND_JIRA_URL"), site);
    let places = Places { literal: None, name: "token", variable: Some("KEYMEND_JIRA_TOKEN") };
    let faults = wrong.faults.len();
    let token = one_secret(&mut section, places, wrong.faults);
    let user = section.text("user", Some("KEYMEND_JIRA_USER"), "Write the e-mail address of the token's user");
    let cloud = section.choice("deployment", None, &[("cloud", true), ("data_center", false)]).unwrap_or(true);
    let project = section.text("project", Some("KEYMEND_JIRA_PROJECT"), "Write the project's key, such as OPS");
    let issue_type = section.text("issue_type", None, "Write the name of a type of issue, such as Incident");
    let written = "Write a table of field ids and values: fields = { priority = { name = \"High\" } }";
    let fields = fields(&mut section, written);
    let name = "Write the name of a transition of the workflow";
    let escalate_transition = section.text("escalate_transition", None, name).map(|named| named.value);
    let resolve_transition = section.text("resolve_transition", None, name).map(|named| named.value);
    let tell = route::route(&mut section);
    if base.is_some() {
        if token.is_none() && wrong.faults.len() == faults {
            needs(&mut section, "token_env", "Put an API token into KEYMEND_JIRA_TOKEN, or name its variable or file");
        }
        if cloud && user.is_none() {
            needs(
                &mut section,
                "user",
                "Write the e-mail address of the token's user, or deployment = \"data_center\"",
            );
        }
        if project.is_none() {
            needs(&mut section, "project", "Write the project's key, such as OPS");
        }
    }
    section.close();
    let deployment = if cloud { Deployment::Cloud { user: user?.value } } else { Deployment::DataCenter };
    let json = |value: toml::Value| serde_json::to_value(value).unwrap_or_default();
    Some(JiraSettings {
        base: base?,
        deployment,
        token: token?,
        project: project?.value,
        issue_type: issue_type.map_or_else(|| "Incident".to_owned(), |named| named.value),
        fields: fields.into_iter().map(|(name, value)| (name, json(value))).collect(),
        escalate_transition,
        resolve_transition,
        tell,
    })
}
