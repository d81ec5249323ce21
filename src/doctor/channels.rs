//! Whether the places where people are told can be reached. Nothing is sent to them: the question goes to the host alone,
//! without the path that holds the key, and any answer will do.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::Patient;
use super::report::{Check, Fix, Section};
use crate::notify::reach::{GuardedResolver, Reach, is_loopback};
use crate::notify::secret::Secret;
use crate::notify::teams::{Teams, TeamsOptions};
use crate::notify::{jsm, pagerduty};
use crate::settings::ChannelSettings;

const TIMEOUT: Duration = Duration::from_secs(8);

pub(super) async fn check(patient: &Patient<'_>) -> Section {
    let settings = patient.settings;
    let teams = async {
        let teams = settings.channels.teams.as_ref()?;
        let reached = reach("teams", "teams.url", &teams.url, None).await;
        let made = Teams::new("teams", teams.url.clone(), TeamsOptions::default(), patient.azure.clock().clone());
        Some(match made.as_ref().map(Teams::warning) {
            Ok(None) => reached,
            Ok(Some(warning)) => Check::warning("teams", warning),
            Err(error) => Check::missing("teams", error.to_string()),
        })
    };
    let webhook = async {
        let webhook = settings.channels.webhook.as_ref()?;
        let reach_of = Reach { private: webhook.allow_private, loopback: webhook.allow_private };
        Some(reach("webhook", "webhook.url", &webhook.url, Some(reach_of)).await)
    };
    let others = futures::future::join_all(
        others(&settings.channels)
            .into_iter()
            .map(|(name, setting, address)| async move { reach(name, setting, &Secret::new(address), None).await }),
    );
    let (teams, webhook, others) = futures::join!(teams, webhook, others);
    let mut checks: Vec<Check> = [teams, webhook].into_iter().flatten().chain(others).collect();
    if let [only] = checks.as_slice() {
        let fix = Fix::words("Set up a second channel: docs/notifications.md tells how");
        let said = format!("{} is the only one; where it fails, nobody is told but the log", only.name);
        checks.push(Check::warning("second channel", said).fix(fix));
    }
    if checks.is_empty() {
        let fix = Fix::words("Set up a channel, such as [teams] or [slack]: docs/notifications.md tells how");
        checks.push(Check::warning("channels", "none is set up, so nobody is told but the log").fix(fix));
    }
    Section { name: "channels", checks }
}

/// Where the channels are whose addresses are known to the settings: name, setting, address.
fn others(all: &ChannelSettings) -> Vec<(&'static str, &'static str, String)> {
    let usual = |base: &Option<String>, usual: &str| base.clone().unwrap_or_else(|| usual.to_owned());
    let slack = all.slack.as_ref().map(|it| ("slack", "slack.url", it.url.expose().to_owned()));
    let servicenow = all.servicenow.as_ref().map(|it| ("servicenow", "servicenow.instance_url", it.base.clone()));
    let pagerduty =
        all.pagerduty.as_ref().map(|it| ("pagerduty", "pagerduty.base_url", usual(&it.base, pagerduty::BASE)));
    let jsm = all.jsm.as_ref().map(|it| ("jsm", "jsm.base_url", usual(&it.base, jsm::BASE)));
    let jira = all.jira.as_ref().map(|it| ("jira", "jira.base_url", it.base.clone()));
    [slack, servicenow, pagerduty, jsm, jira].into_iter().flatten().collect()
}

async fn reach(name: &str, setting: &str, address: &Secret, guard: Option<Reach>) -> Check {
    let Some(url) = Url::parse(address.expose()).ok().filter(Url::has_host) else {
        return Check::missing(name, format!("{setting} holds no address"));
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let fix = |what: &str| Fix::words(format!("{what} ({setting}, {host})"));
    if guard.is_some_and(|guard| !guard.allows_host(&url)) {
        let said = format!("{host} is a private, local or reserved address");
        return Check::missing(name, said).fix(fix("Set webhook.allow_private = true if it is meant"));
    }
    match ask(&url, guard).await {
        Ok(status) => Check::ok(name, format!("{host} answers ({status}); nothing was sent")),
        Err(why) => Check::missing(name, format!("{host} cannot be reached: {why}"))
            .fix(fix("Check the address, its name in DNS, and the way out of this network")),
    }
}

async fn ask(url: &Url, guard: Option<Reach>) -> Result<u16, String> {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    let mut client = crate::tls::client()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) || guard.is_some() {
        client = client.no_proxy();
    }
    if let Some(guard) = guard {
        client = client.dns_resolver(Arc::new(GuardedResolver(guard)));
    }
    let client = client.build().map_err(|error| error.to_string())?;
    let answer = client.request(Method::OPTIONS, origin).send().await;
    answer.map(|answer| answer.status().as_u16()).map_err(|error| in_words(&error))
}

/// The innermost reason; never the address, which may hold a key.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if std::ptr::eq(inner, error as &dyn std::error::Error) { "no answer".to_owned() } else { inner.to_string() }
}
