//! `[teams]` and `[webhook]`: who is told, and how.

use toml::Table;
use url::{Host, Url};

use super::problem::Problem;
use super::secrets::{Places, secrets};
use super::section::{Named, Section, Sources};
use crate::notify::secret::Secret;

/// A Teams channel, through a Workflow.
#[derive(Debug, Clone)]
pub struct TeamsSettings {
    /// The Workflow's address. The address itself is the credential.
    pub url: Secret,
    /// The team's own instructions, for a button.
    pub runbook: Option<String>,
}

/// A receiver of signed CloudEvents.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Its address, which may hold a token.
    pub url: Secret,
    /// What messages are signed with: the first is ours, the others are still accepted by the receiver.
    pub secrets: Vec<Secret>,
    /// Let the address be in a private network.
    pub allow_private: bool,
    /// The events' `source`, which tells this deployment from others.
    pub source: Option<String>,
}

/// Reads `[teams]`. A channel whose address cannot be had is a fault; the others go on.
pub(super) fn teams(
    file: &mut Table,
    sources: Sources<'_>,
    problems: &mut Vec<Problem>,
    faults: &mut Vec<Problem>,
) -> Option<TeamsSettings> {
    let mut section = Section::open(file, "teams", sources, problems);
    let url = address(&mut section, "KEYMEND_TEAMS_URL", faults);
    let runbook = section.text("runbook", None, "Write the https address of the team's own instructions");
    if let Some(Named { setting, value }) = &runbook
        && !value.starts_with("https://")
    {
        let instead = "Write the https address of the team's own instructions";
        section.report(Problem::new(setting, "it is no https address", instead).with(format_args!("{value:?}")));
    }
    section.close();
    url.map(|url| TeamsSettings { url, runbook: runbook.map(|named| named.value) })
}

/// Reads `[webhook]`.
pub(super) fn webhook(
    file: &mut Table,
    sources: Sources<'_>,
    problems: &mut Vec<Problem>,
    faults: &mut Vec<Problem>,
) -> Option<WebhookSettings> {
    let mut section = Section::open(file, "webhook", sources, problems);
    let url = address(&mut section, "KEYMEND_EVENTS_URL", faults);
    let places = Places { literal: None, name: "secret", variable: Some("KEYMEND_EVENTS_SECRET") };
    let found = secrets(&mut section, places);
    let allow_private = section.flag("allow_private", None).unwrap_or(false);
    let source = section.text("source", None, "Write a URI, such as the app's resource id").map(|named| named.value);
    if url.is_some() && !found.is_set_up() {
        let why = "messages are signed, and there is nothing to sign them with";
        let instead = "Put whsec_ and 32 random bytes in base64 (echo whsec_$(openssl rand -base64 32)) into KEYMEND_EVENTS_SECRET, or name its variable or file in webhook.secret_env or webhook.secret_file";
        section.report(Problem::new("webhook.secret_env", why, instead));
    }
    section.close();
    faults.extend(found.faults);
    let url = url?;
    if found.secrets.is_empty() {
        return None;
    }
    Some(WebhookSettings { url, secrets: found.secrets, allow_private, source })
}

/// The address of a channel; the error never shows it.
fn address(section: &mut Section<'_>, variable: &'static str, faults: &mut Vec<Problem>) -> Option<Secret> {
    let found = secrets(section, Places { literal: Some("url"), name: "url", variable: Some(variable) });
    let setting = section.full_name("url");
    faults.extend(found.faults);
    if found.secrets.len() > 1 {
        let why = "it is given more than once, or holds blanks";
        section.report(Problem::new(setting, why, format!("Keep one of url, url_env, url_file and {variable}")));
        return None;
    }
    let url = found.secrets.into_iter().next()?;
    match Url::parse(url.expose()) {
        Ok(parsed) if parsed.scheme() == "https" || parsed.scheme() == "http" && is_loopback(&parsed) => Some(url),
        _ => {
            let why = "it is no https address (plain http only on a loopback address)";
            section.report(Problem::new(setting, why, "Copy the whole address from where the receiver shows it"));
            None
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    }
}
