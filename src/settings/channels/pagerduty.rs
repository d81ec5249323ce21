//! `[pagerduty]`.

use std::collections::BTreeSet;

use toml::Table;

use super::{Wrong, one_secret, open_address, route};
use crate::domain::notice::Situation;
use crate::notify::secret::Secret;
use crate::settings::secrets::Places;
use crate::settings::section::{Section, Sources};

/// A service of PagerDuty.
#[derive(Debug, Clone)]
pub struct PagerDutySettings {
    /// The integration key.
    pub key: Secret,
    /// The address of the Events API, if it is not the usual one.
    pub base: Option<String>,
    /// The situations that open an alert; `None`: those in which a person is needed.
    pub page_on: Option<BTreeSet<Situation>>,
    /// Whether changes are told as change events.
    pub change_events: Option<bool>,
    /// Whether an alert is acknowledged when a change was made.
    pub acknowledge: Option<bool>,
}

/// Reads `[pagerduty]`.
pub(super) fn pagerduty(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<PagerDutySettings> {
    let mut section = Section::open(file, "pagerduty", sources, wrong.problems);
    let places = Places { literal: None, name: "key", variable: Some("KEYMEND_PAGERDUTY_KEY") };
    let key = one_secret(&mut section, places, wrong.faults);
    let instead = "Write the address of your region, such as https://events.eu.pagerduty.com/v2";
    let base = open_address(&mut section, "base_url", Some("KEYMEND_PAGERDUTY_URL"), instead);
    let page_on = route::situations(&mut section, "page_on");
    let change_events = section.flag("change_events", None);
    let acknowledge = section.flag("acknowledge", None);
    section.close();
    key.map(|key| PagerDutySettings { key, base, page_on, change_events, acknowledge })
}
