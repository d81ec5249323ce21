//! From settings to channels: for whoever sends, and for the doctor who tries them out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::azure::{Cloud, Credential};
use crate::clock::Clock;
use crate::notify::jira::{Jira, JiraOptions};
use crate::notify::jsm::{Jsm, JsmOptions};
use crate::notify::links::{Links, Pages};
use crate::notify::pagerduty::{PagerDuty, PagerDutyOptions};
use crate::notify::reach::Reach;
use crate::notify::route::Routed;
use crate::notify::secret::Secret;
use crate::notify::servicenow::{ServiceNow, ServiceNowOptions};
use crate::notify::slack::{Slack, SlackOptions};
use crate::notify::teams::{Flow, Teams, TeamsOptions};
use crate::notify::terminal::Log;
use crate::notify::webhook::{Webhook, WebhookOptions};
use crate::notify::{Bearer, Channel, http};
use crate::settings::{
    JiraSettings, JsmSettings, PagerDutySettings, ServiceNowSettings, Settings, SlackSettings, TeamsAuth, TeamsMode,
    TeamsSettings, WebhookSettings,
};

/// Which deployment this is, in a few words: the function app, else the machine.
pub fn sender() -> String {
    let of = |name: &str| crate::cli::environment(name).filter(|value| !value.trim().is_empty());
    of("WEBSITE_SITE_NAME").or_else(|| of("HOSTNAME")).unwrap_or_else(|| "stand-alone".to_owned())
}

type Made = anyhow::Result<Arc<dyn Channel>>;

/// The channels that can be used, and what is wrong with the others. A broken channel never keeps us from repairing.
/// `pages` is where messages lead to, if that can be reached.
pub fn build(settings: &Settings, pages: Option<&Pages>, clock: &Clock) -> (Vec<Arc<dyn Channel>>, Vec<String>) {
    let mut channels: Vec<Arc<dyn Channel>> = vec![Arc::new(Log::new())];
    let mut faults = Vec::new();
    for channel in made(settings, pages, clock) {
        match channel {
            Ok(channel) => channels.push(channel),
            Err(error) => {
                tracing::error!(%error, "a channel cannot be used and is off");
                faults.push(error.to_string());
            }
        }
    }
    if channels.len() == 1 {
        tracing::warn!("no channel is set up, so the log alone is told; docs/notifications.md tells how");
    }
    (channels, faults)
}

fn made(settings: &Settings, pages: Option<&Pages>, clock: &Clock) -> Vec<Made> {
    let with = |runbook: Option<&str>| links(settings, runbook).map(|links| links.with_pages(pages.cloned()));
    let usual_links = || with(settings.channels.notify.runbook.as_deref());
    let all = &settings.channels;
    let made = [
        all.teams.as_ref().map(|it| {
            let runbook = it.runbook.as_ref().or(settings.channels.notify.runbook.as_ref());
            with(runbook.map(String::as_str)).and_then(|links| teams(settings, it, links, clock))
        }),
        all.slack.as_ref().map(|it| usual_links().and_then(|links| slack(it, links, clock))),
        all.servicenow.as_ref().map(|it| usual_links().and_then(|links| servicenow(it, links, clock))),
        all.pagerduty.as_ref().map(|it| usual_links().and_then(|links| pagerduty(it, links, clock))),
        all.jsm.as_ref().map(|it| usual_links().and_then(|links| jsm(it, links, clock))),
        all.jira.as_ref().map(|it| usual_links().and_then(|links| jira(it, links, clock))),
        all.webhook.as_ref().map(|it| webhook(it, clock)),
    ];
    made.into_iter().flatten().collect()
}

/// Links as the settings want them.
///
/// # Errors
/// If the runbook is no address.
pub fn links(settings: &Settings, runbook: Option<&str>) -> anyhow::Result<Links> {
    let portal = match settings.azure.endpoints.cloud() {
        Cloud::Public => "portal.azure.com",
        Cloud::UsGovernment => "portal.azure.us",
        Cloud::China => "portal.azure.cn",
    };
    Ok(Links::new(portal, settings.azure.tenant_id.as_deref(), runbook)?)
}

fn teams(settings: &Settings, teams: &TeamsSettings, links: Links, clock: &Clock) -> Made {
    let bearer = match teams.auth {
        TeamsAuth::None => None,
        TeamsAuth::Entra => Some(Arc::new(OwnIdentity::new(settings, teams, clock)?) as Arc<dyn Bearer>),
    };
    let flow = match teams.mode {
        TeamsMode::Stock => Flow::Stock,
        TeamsMode::Receipt => Flow::Receipt,
    };
    let options = TeamsOptions { links, flow, bearer, ..TeamsOptions::default() };
    let channel = Teams::new("teams", teams.url.clone(), options, clock.clone())?;
    Ok(Arc::new(Routed::new(channel, teams.tell.clone())))
}

fn slack(slack: &SlackSettings, links: Links, clock: &Clock) -> Made {
    let options = SlackOptions { links, ..SlackOptions::default() };
    let channel = Slack::new("slack", &slack.url, options, clock.clone())?;
    Ok(Arc::new(Routed::new(channel, slack.tell.clone())))
}

fn servicenow(servicenow: &ServiceNowSettings, links: Links, clock: &Clock) -> Made {
    let options = ServiceNowOptions { links, timeout: http::SLOW_TIMEOUT, ..servicenow.options.clone() };
    let login = servicenow.login.clone();
    let channel = ServiceNow::new("servicenow", &servicenow.base, login, options, clock.clone())?;
    Ok(Arc::new(Routed::new(channel, servicenow.tell.clone())))
}

fn pagerduty(pagerduty: &PagerDutySettings, links: Links, clock: &Clock) -> Made {
    let usual = PagerDutyOptions::default();
    let options = PagerDutyOptions {
        links,
        base: pagerduty.base.clone().unwrap_or(usual.base),
        page_on: pagerduty.page_on.clone().unwrap_or(usual.page_on),
        change_events: pagerduty.change_events.unwrap_or(usual.change_events),
        acknowledge: pagerduty.acknowledge.unwrap_or(usual.acknowledge),
        timeout: usual.timeout,
    };
    Ok(Arc::new(PagerDuty::new("pagerduty", &pagerduty.key, options, clock.clone())?))
}

fn jsm(jsm: &JsmSettings, links: Links, clock: &Clock) -> Made {
    let usual = JsmOptions::default();
    let options = JsmOptions {
        links,
        base: jsm.base.clone().unwrap_or(usual.base),
        page_on: jsm.page_on.clone().unwrap_or(usual.page_on),
        teams: jsm.teams.clone(),
        timeout: usual.timeout,
    };
    Ok(Arc::new(Jsm::new("jsm", &jsm.key, options, clock.clone())?))
}

fn jira(jira: &JiraSettings, links: Links, clock: &Clock) -> Made {
    let options = JiraOptions {
        deployment: jira.deployment.clone(),
        project: jira.project.clone(),
        issue_type: jira.issue_type.clone(),
        fields: jira.fields.clone(),
        escalate_transition: jira.escalate_transition.clone(),
        resolve_transition: jira.resolve_transition.clone(),
        links,
        timeout: http::SLOW_TIMEOUT,
    };
    let channel = Jira::new("jira", &jira.base, &jira.token, options, clock.clone())?;
    Ok(Arc::new(Routed::new(channel, jira.tell.clone())))
}

fn webhook(webhook: &WebhookSettings, clock: &Clock) -> Made {
    let usual = WebhookOptions::default();
    let reach = Reach { private: webhook.allow_private, loopback: webhook.allow_private };
    let source = webhook.source.clone().unwrap_or_else(|| usual.source.clone());
    let options = WebhookOptions { reach, source, ..usual };
    let channel = Webhook::new("webhook", webhook.url.clone(), &webhook.secrets, options, clock.clone())?;
    Ok(Arc::new(Routed::new(channel, webhook.tell.clone())))
}

/// Our own identity, to Power Automate.
#[derive(Debug)]
struct OwnIdentity {
    credential: Credential,
    scope: String,
    clock: Clock,
    given: Mutex<Option<Timestamp>>,
}

impl OwnIdentity {
    fn new(settings: &Settings, teams: &TeamsSettings, clock: &Clock) -> anyhow::Result<Self> {
        // Each cloud has its own (Microsoft, "Add OAuth authentication for HTTP request triggers").
        let usual = match settings.azure.endpoints.cloud() {
            Cloud::Public => "https://service.flow.microsoft.com/",
            Cloud::UsGovernment => "https://gov.service.flow.microsoft.us/",
            Cloud::China => "https://service.powerautomate.cn/",
        };
        let audience = teams.audience.as_deref().unwrap_or(usual);
        Ok(Self {
            credential: Credential::new(&settings.azure.credential, &settings.azure.endpoints)?,
            // Two slashes: the audience must end with one (Microsoft, "Scopes and permissions", trailing slash).
            scope: format!("{audience}/.default"),
            clock: clock.clone(),
            given: Mutex::new(None),
        })
    }
}

#[async_trait]
impl Bearer for OwnIdentity {
    async fn token(&self) -> Result<Secret, String> {
        let now = self.clock.now();
        let token = self.credential.bearer(&self.scope, now).await.map_err(|error| error.to_string())?;
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(Secret::new(token.expose()))
    }

    fn refused(&self) {
        if let Some(given) = *self.given.lock().unwrap_or_else(PoisonError::into_inner) {
            self.credential.forget(&self.scope, given);
        }
    }
}
