//! The channels of a drill, to the simulated cloud's stand-ins.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::notify::Channel;
use crate::notify::http::{SLOW_TIMEOUT, TIMEOUT};
use crate::notify::jira::{Deployment, Jira, JiraOptions};
use crate::notify::jsm::{Jsm, JsmOptions};
use crate::notify::links::{Links, Pages};
use crate::notify::pagerduty::{PagerDuty, PagerDutyOptions};
use crate::notify::reach::Reach;
use crate::notify::secret::Secret;
use crate::notify::servicenow::auth::Login;
use crate::notify::servicenow::{ServiceNow, ServiceNowOptions};
use crate::notify::slack::{Slack, SlackOptions};
use crate::notify::teams::{Teams, TeamsOptions};
use crate::notify::webhook::{Webhook, WebhookOptions};

/// Who is told in a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Voices {
    /// Teams and a webhook.
    #[default]
    Two,
    /// The same, each waiting for an answer no longer than this.
    TwoWithin(Duration),
    /// Every kind of channel.
    All,
    /// The same, each waiting for an answer no longer than this.
    AllWithin(Duration),
}

impl Voices {
    /// How long a channel waits, where that is usually `usual`.
    fn patience(self, usual: Duration) -> Duration {
        if let Self::AllWithin(patience) | Self::TwoWithin(patience) = self { patience } else { usual }
    }
}

/// The channels, to the simulated cloud at `cloud`; messages lead to `pages`.
///
/// # Errors
/// If one cannot be made.
pub fn channels(voices: Voices, cloud: &str, pages: Pages, clock: &Clock) -> anyhow::Result<Vec<Arc<dyn Channel>>> {
    let base = cloud.trim_end_matches('/');
    let sink = |name: &str| format!("{base}/sink/{name}");
    let links = Links::new("portal.azure.com", None, None)?.with_pages(Some(pages));
    let options = TeamsOptions { links: links.clone(), timeout: voices.patience(TIMEOUT), ..TeamsOptions::default() };
    let teams = Teams::new("teams", Secret::new(sink("teams")), options, clock.clone())?;
    let reach = Reach { private: true, loopback: true };
    let options = WebhookOptions { reach, timeout: voices.patience(TIMEOUT), ..WebhookOptions::default() };
    let secrets = [Secret::new("whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=")];
    let webhook = Webhook::new("webhook", Secret::new(sink("webhook")), &secrets, options, clock.clone())?;
    let mut channels: Vec<Arc<dyn Channel>> = vec![Arc::new(teams), Arc::new(webhook)];
    if !matches!(voices, Voices::Two | Voices::TwoWithin(_)) {
        channels.extend(others(voices, &sink, &links, clock)?);
    }
    Ok(channels)
}

fn others(
    voices: Voices,
    sink: &dyn Fn(&str) -> String,
    links: &Links,
    clock: &Clock,
) -> anyhow::Result<[Arc<dyn Channel>; 5]> {
    let slow = voices.patience(SLOW_TIMEOUT);
    let slack = SlackOptions { links: links.clone(), timeout: voices.patience(TIMEOUT) };
    let slack = Slack::new("slack", &Secret::new(sink("slack/T0/B0/drill")), slack, clock.clone())?;
    let login =
        Login::OAuth { client_id: "drill-client".to_owned(), client_secret: Secret::new("drill-client-secret") };
    let servicenow = ServiceNowOptions { links: links.clone(), timeout: slow, ..ServiceNowOptions::default() };
    let servicenow = ServiceNow::new("servicenow", &sink("servicenow"), login, servicenow, clock.clone())?;
    let pagerduty = PagerDutyOptions {
        base: sink("pagerduty/v2"),
        links: links.clone(),
        timeout: voices.patience(TIMEOUT),
        ..PagerDutyOptions::default()
    };
    let pagerduty =
        PagerDuty::new("pagerduty", &Secret::new("d0000000000000000000000000000001"), pagerduty, clock.clone())?;
    let jsm = JsmOptions { base: sink("jsm"), links: links.clone(), timeout: slow, ..JsmOptions::default() };
    let jsm = Jsm::new("jsm", &Secret::new("drill-genie-key"), jsm, clock.clone())?;
    let jira = JiraOptions {
        deployment: Deployment::Cloud { user: "keymend@contoso.example".to_owned() },
        project: "OPS".to_owned(),
        issue_type: "Incident".to_owned(),
        fields: std::collections::BTreeMap::new(),
        escalate_transition: None,
        resolve_transition: Some("Resolve".to_owned()),
        links: links.clone(),
        timeout: slow,
    };
    let jira = Jira::new("jira", &sink("jira"), &Secret::new("drill-jira-token"), jira, clock.clone())?;
    Ok([Arc::new(slack), Arc::new(servicenow), Arc::new(pagerduty), Arc::new(jsm), Arc::new(jira)])
}
