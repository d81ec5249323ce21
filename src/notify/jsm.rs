//! Alerts of Jira Service Management, and of Opsgenie, which has the same interface (Atlassian, "Integration events API").
//!
//! All alerts of an incident have its id as their alias: the same alert twice is one. The service takes a request with 202
//! before it carries it out, so a sent alert is no proof that somebody was called.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::domain::notice::{Notice, Situation};
use crate::notify::api::{Api, authorization, title};
use crate::notify::http::{InvalidChannel, SLOW_TIMEOUT};
use crate::notify::links::Links;
use crate::notify::route::{ENDINGS, NEEDS_PERSON};
use crate::notify::secret::Secret;
use crate::notify::texts::words::clean;
use crate::notify::{Channel, ChannelError, Parcel, Trial, TrialMessage, pagerduty, plain, texts};

/// The address of Jira Service Management. Opsgenie's are `https://api.opsgenie.com` and `https://api.eu.opsgenie.com`.
pub const BASE: &str = "https://api.atlassian.com/jsm/ops/integration";
/// The longest message, in characters.
const MESSAGE: usize = 130;
/// The longest description or note.
const TEXT: usize = 14_000;

/// What may be set of it.
#[derive(Debug, Clone)]
pub struct JsmOptions {
    /// The address of the alert API.
    pub base: String,
    /// Where links lead.
    pub links: Links,
    /// The situations that open an alert.
    pub page_on: BTreeSet<Situation>,
    /// Names of the teams that are called; else the integration's own.
    pub teams: Vec<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for JsmOptions {
    fn default() -> Self {
        Self {
            base: BASE.to_owned(),
            links: Links::default(),
            page_on: NEEDS_PERSON.into(),
            teams: Vec::new(),
            timeout: SLOW_TIMEOUT,
        }
    }
}

/// An integration of Jira Service Management or Opsgenie.
#[derive(Debug)]
pub struct Jsm {
    api: Api,
    login: (HeaderName, HeaderValue),
    options: JsmOptions,
}

/// What is kept of an incident.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// An alert was opened and not closed.
    open: bool,
    /// The number of the message that was sent last.
    last: u32,
    /// The number of the message that closed it.
    over: u32,
}

impl Jsm {
    /// A channel called `name` that uses this integration key.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address or the key cannot be used.
    pub fn new(
        name: impl Into<String>,
        key: &Secret,
        options: JsmOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let key = Secret::from_setting(&format!("integration key of channel {name}"), key.expose())?;
        let login = authorization(&name, &format!("GenieKey {}", key.expose()))?;
        let api = Api::new(name, &options.base, &[&key], options.timeout, clock)?;
        Ok(Self { api, login, options })
    }

    async fn post(&self, path: &[&str], query: &[(&str, &str)], body: &Value) -> Result<StatusCode, ChannelError> {
        let (header, value) = &self.login;
        let heard = self.api.ask(self.api.json(Method::POST, path, query, body).header(header, value)).await?;
        let field = |name: &str| heard.json.as_ref().and_then(|json| json.get(name)).cloned().unwrap_or_default();
        if heard.status.is_success() {
            if heard.status == StatusCode::ACCEPTED && field("requestId").is_string() {
                return Ok(heard.status);
            }
            return Err(self.api.odd(&heard, "not that the request will be processed; is this the alert API?"));
        }
        let said = field("message").as_str().unwrap_or_default().to_owned();
        let wrong = field("errors").as_object().map(|errors| errors.keys().cloned().collect::<Vec<_>>().join(", "));
        let said = wrong.map_or(said.clone(), |fields| format!("{said} {fields}"));
        Err(self.api.refused(&heard, said.trim(), hint(heard.status)))
    }

    async fn open(&self, parcel: &Parcel<'_>) -> Result<(), ChannelError> {
        let notice = parcel.notice;
        let message = texts::message(notice);
        let responders = self.options.teams.iter().map(|name| json!({"name": name, "type": "team"}));
        let mut body = json!({
            "message": title(&message, MESSAGE),
            "alias": notice.incident,
            "description": plain::text(parcel, &self.options.links, TEXT),
            "source": "keymend",
            "entity": entity(notice),
            "priority": priority(notice),
            "tags": ["keymend", "tde"],
            "details": {"incident": notice.incident.0, "message": notice.sequence.to_string()},
        });
        if !self.options.teams.is_empty() {
            body["responders"] = responders.collect();
        }
        self.post(&["v2", "alerts"], &[], &body).await.map(drop)
    }

    async fn act(&self, action: &str, alias: &str, note: &str) -> Result<(), ChannelError> {
        let body = json!({"source": "keymend", "note": note});
        self.post(&["v2", "alerts", alias, action], &[("identifierType", "alias")], &body).await.map(drop)
    }
}

#[async_trait]
impl Channel for Jsm {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn takes(&self, situation: Situation) -> bool {
        self.options.page_on.contains(&situation) || ENDINGS.contains(&situation)
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        let kept = parcel.kept.and_then(|kept| Kept::deserialize(kept).ok()).unwrap_or_default();
        let alias = notice.incident.0.as_str();
        let text = || plain::text(parcel, &self.options.links, TEXT);
        let last = kept.last.max(notice.sequence);
        let next = if ENDINGS.contains(&notice.situation) {
            self.act("close", alias, &text()).await?;
            Kept { open: false, over: kept.over.max(notice.sequence), last }
        } else if notice.sequence < kept.over {
            // It comes late: what it called for is over, and an alert opened now would stay open.
            return Ok(None);
        } else {
            // An open alert only counts a repetition, so the text goes into a note as well.
            self.open(parcel).await?;
            if kept.open && notice.sequence != kept.last {
                self.act("notes", alias, &text()).await?;
            }
            Kept { open: true, last, ..kept }
        };
        Ok(serde_json::to_value(next).ok())
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        if trial.trial == Trial::Heartbeat {
            return Ok("nothing was sent: an integration does not end by itself".to_owned());
        }
        let headline = texts::trial::headline(trial);
        let body = json!({
            "message": clean(&format!("[TEST] {headline}"), MESSAGE),
            "alias": trial.id,
            "description": format!("{headline}\n{}", texts::trial::footer(trial)),
            "source": "keymend",
            "priority": "P5",
            "tags": ["keymend", "test"],
        });
        self.post(&["v2", "alerts"], &[], &body).await?;
        self.act("close", &trial.id, &headline).await?;
        Ok("202: an alert of priority P5 was asked for and closed. Whether it was opened shows in the alert list"
            .to_owned())
    }
}

fn priority(notice: &Notice) -> &'static str {
    match pagerduty::severity(notice) {
        "critical" => "P1",
        "warning" => "P3",
        _ => "P5",
    }
}

fn entity(notice: &Notice) -> String {
    pagerduty::source(notice)
}

/// What a refusal means.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "the address redirects, and redirects are not followed. Set jsm.base_url to the right region",
        401 | 403 => {
            "the service does not know us. Check the key: it must be that of an API integration with the right to create \
             alerts, of the service that jsm.base_url names"
        }
        404 => "there is no alert API at this address. Check jsm.base_url",
        422 => "the service does not take the alert. Check jsm.teams",
        _ => "the service refused the alert. See the integration's log",
    }
}
