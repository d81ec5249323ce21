//! `[jsm]`: alerts of Jira Service Management or Opsgenie.

use std::collections::BTreeSet;

use toml::Table;

use super::{Wrong, one_secret, open_address, route};
use crate::domain::notice::Situation;
use crate::notify::secret::Secret;
use crate::settings::secrets::Places;
use crate::settings::section::{Section, Sources};

/// An integration of Jira Service Management or Opsgenie.
#[derive(Debug, Clone)]
pub struct JsmSettings {
    /// The integration key.
    pub key: Secret,
    /// The address, if it is not that of Jira Service Management.
    pub base: Option<String>,
    /// The situations that open an alert; `None`: those in which a person is needed.
    pub page_on: Option<BTreeSet<Situation>>,
    /// The teams that are called.
    pub teams: Vec<String>,
}

/// Reads `[jsm]`.
pub(super) fn jsm(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<JsmSettings> {
    let mut section = Section::open(file, "jsm", sources, wrong.problems);
    let places = Places { literal: None, name: "key", variable: Some("KEYMEND_JSM_KEY") };
    let key = one_secret(&mut section, places, wrong.faults);
    let instead = "Write the address of the alert API, such as https://api.eu.opsgenie.com";
    let base = open_address(&mut section, "base_url", Some("KEYMEND_JSM_URL"), instead);
    let page_on = route::situations(&mut section, "page_on");
    let teams = section.list("teams", None, "Write the names of teams").into_iter().map(|named| named.value).collect();
    section.close();
    key.map(|key| JsmSettings { key, base, page_on, teams })
}
