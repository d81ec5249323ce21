//! PagerDuty, Events API v2: an alert while a person must act, resolved when it is over, and change events beside it
//! (PagerDuty, "Send an Alert Event" and "Send a Change Event").
//!
//! All alerts of an incident have its id as their `dedup_key`: the same event twice is one alert, and a resolve without an
//! open alert is dropped. PagerDuty's own rule is that an alert is something that a person must act upon, so the first
//! notice of a loss pages nobody unless the settings say so.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::domain::notice::{Notice, Situation};
use crate::domain::plan::NeedsPerson;
use crate::notify::api::{Api, Heard, title};
use crate::notify::http::{InvalidChannel, TIMEOUT};
use crate::notify::links::Links;
use crate::notify::pace::Pace;
use crate::notify::route::{ENDINGS, NEEDS_PERSON, Urgency};
use crate::notify::secret::Secret;
use crate::notify::texts::words::clean;
use crate::notify::{Channel, ChannelError, Parcel, Trial, TrialMessage, plain, texts};

/// Where events go, outside the EU service region.
pub const BASE: &str = "https://events.pagerduty.com/v2";
/// A routing key may be used so often within [`SPAN`] (PagerDuty, "Rate limiting").
const CALLS: usize = 120;
/// See [`CALLS`].
const SPAN: SignedDuration = SignedDuration::from_secs(60);
/// The longest summary, in characters.
const SUMMARY: usize = 1024;
/// The longest text among the details: far below the 512 KB that an event may have.
const TEXT: usize = 8000;
/// The length of a routing key.
const KEY: usize = 32;

/// What may be set of a PagerDuty channel.
#[derive(Debug, Clone)]
pub struct PagerDutyOptions {
    /// The address of the Events API.
    pub base: String,
    /// Where links lead.
    pub links: Links,
    /// The situations that open an alert.
    pub page_on: BTreeSet<Situation>,
    /// Whether changes that were made are told as change events.
    pub change_events: bool,
    /// Whether an open alert is acknowledged when a change was made. PagerDuty calls nobody about an acknowledged alert.
    pub acknowledge: bool,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for PagerDutyOptions {
    fn default() -> Self {
        Self {
            base: BASE.to_owned(),
            links: Links::default(),
            page_on: NEEDS_PERSON.into(),
            change_events: true,
            acknowledge: false,
            timeout: TIMEOUT,
        }
    }
}

/// A service of PagerDuty.
#[derive(Debug)]
pub struct PagerDuty {
    api: Api,
    key: Secret,
    options: PagerDutyOptions,
    pace: Pace,
}

/// What is kept of an incident.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// An alert was opened and not resolved.
    open: bool,
    /// The number of the message that resolved it.
    over: u32,
}

impl PagerDuty {
    /// A channel called `name` whose events go to the service with this routing key.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address or the key cannot be used.
    pub fn new(
        name: impl Into<String>,
        key: &Secret,
        mut options: PagerDutyOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let key = Secret::from_setting(&format!("routing key of channel {name}"), key.expose())?;
        if key.expose().len() != KEY || !key.expose().chars().all(|c| c.is_ascii_alphanumeric()) {
            let why =
                "its routing key must be 32 letters and digits: the integration key of an Events API v2 integration";
            return Err(InvalidChannel::Setting { channel: name, why: why.to_owned() });
        }
        if options.change_events && key.expose().starts_with('R') {
            tracing::info!(channel = name, "this is the key of a ruleset, which takes no change events; none are sent");
            options.change_events = false;
        }
        let api = Api::new(name, &options.base, &[&key], options.timeout, clock)?;
        Ok(Self { api, key, options, pace: Pace::new(CALLS, SPAN) })
    }

    async fn post(&self, path: &[&str], body: &Value) -> Result<Heard, ChannelError> {
        if let Err(wait) = self.pace.take_turn(self.api.now()) {
            let why = format!(
                "channel `{}` has sent {CALLS} events within a minute, the most that PagerDuty takes",
                self.api.name()
            );
            return Err(ChannelError::Retry { after: Some(wait), why });
        }
        let heard = self.api.ask(self.api.json(Method::POST, path, &[], body)).await?;
        let field = |name: &str| heard.json.as_ref().and_then(|json| json.get(name)).cloned().unwrap_or_default();
        if heard.status.is_success() {
            if heard.status == StatusCode::ACCEPTED && field("status") == "success" {
                return Ok(heard);
            }
            return Err(self.api.odd(&heard, "not that the event was processed; is this PagerDuty?"));
        }
        let errors = field("errors");
        let errors: Vec<&str> = errors.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        Err(self.api.refused(&heard, &errors.join("; "), hint(heard.status)))
    }

    async fn event(&self, body: Value) -> Result<Heard, ChannelError> {
        self.post(&["enqueue"], &body).await
    }

    async fn act(&self, action: &str, dedup_key: &str) -> Result<Heard, ChannelError> {
        self.event(json!({"routing_key": self.key.expose(), "event_action": action, "dedup_key": dedup_key})).await
    }

    async fn trigger(&self, parcel: &Parcel<'_>) -> Result<(), ChannelError> {
        let notice = parcel.notice;
        let message = texts::message(notice);
        let links = plain::addresses(&message, &self.options.links);
        let links: Vec<Value> = links.iter().map(|(title, url)| json!({"href": url, "text": title})).collect();
        let mut payload = json!({
            "summary": title(&message, SUMMARY),
            "source": source(notice),
            "severity": severity(notice),
            "timestamp": notice.at,
            "class": "tde-key-access",
            "custom_details": details(parcel, &self.options.links),
        });
        if let [one] = notice.databases.as_slice() {
            payload["component"] = json!(clean(&one.name, 255));
        }
        if let [one] = notice.servers.as_slice() {
            payload["group"] = json!(clean(one.name(), 255));
        }
        self.event(json!({
            "routing_key": self.key.expose(),
            "event_action": "trigger",
            "dedup_key": notice.incident.0,
            "client": "keymend",
            "payload": payload,
            "links": links,
        }))
        .await
        .map(drop)
    }

    async fn change(&self, parcel: &Parcel<'_>) -> Result<(), ChannelError> {
        let notice = parcel.notice;
        let message = texts::message(notice);
        let links = plain::addresses(&message, &self.options.links);
        let links: Vec<Value> = links.iter().map(|(title, url)| json!({"href": url, "text": title})).collect();
        let body = json!({
            "routing_key": self.key.expose(),
            "payload": {
                "summary": title(&message, SUMMARY),
                "source": source(notice),
                "timestamp": notice.at,
                "custom_details": details(parcel, &self.options.links),
            },
            "links": links,
        });
        self.post(&["change", "enqueue"], &body).await.map(drop)
    }
}

#[async_trait]
impl Channel for PagerDuty {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn takes(&self, situation: Situation) -> bool {
        self.options.page_on.contains(&situation)
            || ENDINGS.contains(&situation)
            || (self.options.change_events && situation == Situation::ChangeMade)
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        let kept = parcel.kept.and_then(|kept| Kept::deserialize(kept).ok()).unwrap_or_default();
        let pages = self.options.page_on.contains(&notice.situation);
        let next = if ENDINGS.contains(&notice.situation) {
            self.act("resolve", &notice.incident.0).await?;
            Kept { open: false, over: kept.over.max(notice.sequence) }
        } else if notice.situation == Situation::ChangeMade && !pages && self.options.change_events {
            self.change(parcel).await?;
            if kept.open && self.options.acknowledge {
                self.act("acknowledge", &notice.incident.0).await?;
            }
            kept
        } else if notice.sequence < kept.over {
            // It comes late: what it called for is over, and an alert opened now would stay open.
            return Ok(None);
        } else {
            self.trigger(parcel).await?;
            Kept { open: true, ..kept }
        };
        Ok(serde_json::to_value(next).ok())
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        if trial.trial == Trial::Heartbeat {
            return Ok("nothing was sent: an events integration does not end by itself".to_owned());
        }
        let summary = clean(&format!("[TEST] {}", texts::trial::headline(trial)), SUMMARY);
        let payload = json!({"summary": summary, "source": "keymend", "severity": "info", "timestamp": trial.at});
        self.event(json!({
            "routing_key": self.key.expose(),
            "event_action": "trigger",
            "dedup_key": trial.id,
            "client": "keymend",
            "payload": payload,
        }))
        .await?;
        self.act("resolve", &trial.id).await?;
        Ok("202: an alert of severity info was opened and resolved".to_owned())
    }
}

/// What pages are about: the server and the database if there is one of each, else what they have in common.
pub(super) fn source(notice: &Notice) -> String {
    let source = match (notice.servers.as_slice(), notice.databases.as_slice()) {
        ([server], [database]) => format!("{}/{}", server.name(), database.name),
        ([server], _) => server.name().to_owned(),
        _ => notice.vault.clone().unwrap_or_else(|| "keymend".to_owned()),
    };
    clean(&source, 255)
}

/// Critical where databases are in danger or a person must decide; of Keymend's own troubles, a warning.
pub(super) fn severity(notice: &Notice) -> &'static str {
    if notice.needs_person == Some(NeedsPerson::SetAside) {
        return "warning";
    }
    match Urgency::of(notice.situation) {
        Urgency::Info => "info",
        Urgency::Warning => "warning",
        Urgency::Critical => "critical",
    }
}

fn details(parcel: &Parcel<'_>, links: &Links) -> Value {
    let notice = parcel.notice;
    json!({
        "text": plain::text(parcel, links, TEXT),
        "incident": notice.incident,
        "message": notice.sequence,
        "databases_down": notice.down.len(),
        "restore_before": notice.restore_before,
    })
}

/// What a refusal by PagerDuty means.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => {
            "the address redirects, and redirects are not followed. Set pagerduty.base_url to the right region"
        }
        400 => {
            "PagerDuty does not take the event. Check the routing key: it must be that of an Events API v2 integration"
        }
        401 | 403 => "PagerDuty refuses us. Check the routing key and the proxy in between",
        404 => "there is no Events API at this address. Check pagerduty.base_url",
        413 => "the event is too large for PagerDuty",
        _ => "PagerDuty refused the event. Check the integration in PagerDuty",
    }
}
