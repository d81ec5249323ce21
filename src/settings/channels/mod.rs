//! Who is told, and how: one file a channel.

mod jira;
mod jsm;
mod notify;
mod pagerduty;
mod route;
mod servicenow;
mod slack;
mod teams;
mod webhook;

use std::collections::BTreeMap;

use toml::{Table, Value};
use url::{Host, Url};

pub use jira::JiraSettings;
pub use jsm::JsmSettings;
pub use notify::NotifySettings;
pub use pagerduty::PagerDutySettings;
pub use servicenow::ServiceNowSettings;
pub use slack::SlackSettings;
pub use teams::{TeamsAuth, TeamsMode, TeamsSettings};
pub use webhook::WebhookSettings;

use super::problem::Problem;
use super::secrets::{Places, secrets};
use super::section::{Section, Sources};
use crate::notify::secret::Secret;

/// The sections of this room.
pub(super) const SECTIONS: [&str; 8] =
    ["notify", "teams", "webhook", "slack", "servicenow", "pagerduty", "jsm", "jira"];

/// Everybody who is told. What is not set up is `None`.
#[derive(Debug, Clone, Default)]
pub struct ChannelSettings {
    /// What concerns all of them.
    pub notify: NotifySettings,
    /// A Teams channel.
    pub teams: Option<TeamsSettings>,
    /// A Slack channel.
    pub slack: Option<SlackSettings>,
    /// An instance of ServiceNow.
    pub servicenow: Option<ServiceNowSettings>,
    /// A service of PagerDuty.
    pub pagerduty: Option<PagerDutySettings>,
    /// Alerts of Jira Service Management or Opsgenie.
    pub jsm: Option<JsmSettings>,
    /// A project of Jira.
    pub jira: Option<JiraSettings>,
    /// A receiver of CloudEvents.
    pub webhook: Option<WebhookSettings>,
}

impl ChannelSettings {
    /// Whether nobody but the log is told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.teams.is_none()
            && self.slack.is_none()
            && self.servicenow.is_none()
            && self.pagerduty.is_none()
            && self.jsm.is_none()
            && self.jira.is_none()
            && self.webhook.is_none()
    }
}

/// What is wrong: with the settings, and with the place where we run.
pub(super) struct Wrong<'a> {
    pub problems: &'a mut Vec<Problem>,
    pub faults: &'a mut Vec<Problem>,
}

/// Reads every channel's section. A channel whose secret cannot be had is a fault; the others go on.
pub(super) fn channels(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> ChannelSettings {
    ChannelSettings {
        notify: notify::notify(file, sources, wrong),
        teams: teams::teams(file, sources, wrong),
        slack: slack::slack(file, sources, wrong),
        servicenow: servicenow::servicenow(file, sources, wrong),
        pagerduty: pagerduty::pagerduty(file, sources, wrong),
        jsm: jsm::jsm(file, sources, wrong),
        jira: jira::jira(file, sources, wrong),
        webhook: webhook::webhook(file, sources, wrong),
    }
}

/// The address of a channel that is a secret; the error never shows it.
fn address(section: &mut Section<'_>, variable: &'static str, faults: &mut Vec<Problem>) -> Option<Secret> {
    let places = Places { literal: Some("url"), name: "url", variable: Some(variable) };
    let url = one_secret(section, places, faults)?;
    if is_allowed(url.expose()) {
        return Some(url);
    }
    let why = "it is no https address (plain http only on a loopback address)";
    let setting = section.full_name("url");
    section.report(Problem::new(setting, why, "Copy the whole address from where the receiver shows it"));
    None
}

/// A secret of which there must be one at most.
fn one_secret(section: &mut Section<'_>, places: Places, faults: &mut Vec<Problem>) -> Option<Secret> {
    let found = secrets(section, places);
    faults.extend(found.faults);
    if found.secrets.len() > 1 {
        let (name, why) = (places.name, "it is given more than once, or holds blanks");
        let setting = section.full_name(name);
        let kept = [places.literal.map(str::to_owned), Some(format!("{name}_env")), Some(format!("{name}_file"))];
        let kept: Vec<String> = kept.into_iter().flatten().collect();
        let variable = places.variable.map_or_else(String::new, |variable| format!(" and {variable}"));
        section.report(Problem::new(setting, why, format!("Keep one of {}{variable}", kept.join(", "))));
        return None;
    }
    found.secrets.into_iter().next()
}

/// An address that is no secret.
fn open_address(
    section: &mut Section<'_>,
    key: &'static str,
    variable: Option<&str>,
    instead: &'static str,
) -> Option<String> {
    let named = section.text(key, variable, instead)?;
    if is_allowed(&named.value) {
        return Some(named.value);
    }
    let why = "it is no https address (plain http only on a loopback address)";
    section.report(Problem::new(named.setting, why, instead).with(format_args!("{:?}", named.value)));
    None
}

/// A channel is half set up: what it needs too.
fn needs(section: &mut Section<'_>, key: &str, instead: &str) {
    let setting = section.full_name(key);
    section.report(Problem::new(setting, "it is missing, and the channel cannot be used without it", instead));
}

/// A table of values by name.
fn fields(section: &mut Section<'_>, instead: &'static str) -> BTreeMap<String, Value> {
    match section.raw("fields") {
        None => BTreeMap::new(),
        Some(Value::Table(table)) => table.into_iter().collect(),
        Some(other) => {
            let setting = section.full_name("fields");
            section.report(Problem::new(setting, "it is no table", instead).with(other));
            BTreeMap::new()
        }
    }
}

fn is_allowed(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}
