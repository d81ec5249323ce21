//! Microsoft Teams by a Workflow ("When a Teams webhook request is received").
//!
//! The whole address is the credential and is neither rebuilt nor tied to a host, since Microsoft has moved it before. The
//! stock flow answers 202 before the card is posted: a sent message is no proof that people see it. The flow in
//! `infra/teams-flow` answers with the message's id instead; then the card of an incident is kept up to date, and each step is
//! a short answer below it.
//!
//! With the trigger open to "Anyone", an Authorization header makes the post fail, so none is sent; for the other settings a
//! token of our identity is needed (Microsoft, "Create incoming webhooks with Workflows for Microsoft Teams", "Add OAuth
//! authentication for HTTP request triggers").

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::notify::api::{Api, Heard, credential};
use crate::notify::http::{InvalidChannel, SLOW_TIMEOUT, TIMEOUT};
use crate::notify::links::Links;
use crate::notify::pace::Pace;
use crate::notify::secret::Secret;
use crate::notify::{Bearer, Channel, ChannelError, Parcel, TrialMessage, card};

/// A flow bot may post so often within [`SPAN`] (Microsoft, "Microsoft Teams connector", throttling limits).
const POSTS: usize = 25;
/// See [`POSTS`].
const SPAN: SignedDuration = SignedDuration::from_secs(300);

/// What the flow does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flow {
    /// It posts the card and answers nothing (the template of Teams).
    #[default]
    Stock,
    /// It posts, updates and replies, and answers with the message's id (`infra/teams-flow`).
    Receipt,
}

/// What may be set of a Teams channel.
#[derive(Debug, Clone)]
pub struct TeamsOptions {
    /// Where the buttons lead.
    pub links: Links,
    /// What the flow does.
    pub flow: Flow,
    /// Who signs us in, for a flow that is not open to anyone.
    pub bearer: Option<Arc<dyn Bearer>>,
    /// How long one attempt may take; a flow that gives receipts gets at least 15 s.
    pub timeout: Duration,
}

impl Default for TeamsOptions {
    fn default() -> Self {
        Self { links: Links::default(), flow: Flow::Stock, bearer: None, timeout: TIMEOUT }
    }
}

/// A channel of Teams.
#[derive(Debug)]
pub struct Teams {
    api: Api,
    url: Secret,
    options: TeamsOptions,
    pace: Pace,
}

/// What is kept of an incident, where the flow gives receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The message that holds the incident's card.
    message_id: String,
    /// The number of the newest message that the card shows.
    shows: u32,
}

impl Teams {
    /// A channel called `name` that posts to the Workflow at `url`.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address is no https URL (plain http on this machine only) or an unresolved Key
    /// Vault reference.
    pub fn new(
        name: impl Into<String>,
        url: Secret,
        options: TeamsOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let url = Secret::from_setting(&format!("address of channel {name}"), url.expose())?;
        let slow = options.flow == Flow::Receipt && options.timeout == TIMEOUT;
        let timeout = if slow { SLOW_TIMEOUT } else { options.timeout };
        let api = Api::new(name, url.expose(), &[&url], timeout, clock)?;
        let channel = Self { api, url, options, pace: Pace::new(POSTS, SPAN) };
        if let Some(warning) = channel.warning() {
            tracing::warn!(channel = channel.api.name(), "{warning}");
        }
        Ok(channel)
    }

    /// What the operator should know about this channel.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.api.host().to_ascii_lowercase().ends_with(".webhook.office.com").then_some(
            "this is the address of an Office 365 connector; Microsoft has retired those. Create a Workflow (\"When a \
             Teams webhook request is received\") and use its address",
        )
    }

    /// Posts a body; answers whatever success there was.
    async fn post(&self, body: &Value) -> Result<Heard, ChannelError> {
        let heard = self.call(body).await?;
        if heard.status.is_success() { Ok(heard) } else { Err(self.refused(&heard)) }
    }

    async fn call(&self, body: &Value) -> Result<Heard, ChannelError> {
        if let Err(wait) = self.pace.take_turn(self.api.now()) {
            let why = format!(
                "channel `{}` has posted {POSTS} messages within 5 minutes, the most that Teams takes",
                self.name()
            );
            return Err(ChannelError::Retry { after: Some(wait), why });
        }
        let request = || self.api.json(Method::POST, &[], &[], body);
        let Some(bearer) = &self.options.bearer else { return self.api.ask(request()).await };
        let token = || async {
            let no_token = |why| ChannelError::Retry {
                after: None,
                why: format!("channel `{}` has no token for its flow: {why}", self.name()),
            };
            let token = bearer.token().await.map_err(no_token)?;
            credential(self.name(), &format!("Bearer {}", token.expose()))
                .map_err(|_| no_token("it cannot be sent".to_owned()))
        };
        let heard = self.api.ask(request().header(AUTHORIZATION, token().await?)).await?;
        if heard.status != StatusCode::UNAUTHORIZED {
            return Ok(heard);
        }
        bearer.refused();
        self.api.ask(request().header(AUTHORIZATION, token().await?)).await
    }

    fn refused(&self, heard: &Heard) -> ChannelError {
        let code = heard.json.as_ref().and_then(|json| json.pointer("/error/code")).and_then(Value::as_str);
        let harmless = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = |code: &&str| {
            (1..=64).contains(&code.len()) && code.chars().all(harmless) && !self.url.expose().contains(code)
        };
        self.api.refused(heard, code.filter(fits).unwrap_or_default(), hint(heard.status))
    }

    /// Asks the flow that gives receipts. `None`: the message that it names is gone.
    async fn receipt(
        &self,
        op: &str,
        message_id: Option<&str>,
        card: &Value,
        id: &str,
        sequence: u32,
    ) -> Result<Option<String>, ChannelError> {
        let body = json!({"op": op, "messageId": message_id, "card": card, "id": id, "seq": sequence});
        let heard = self.call(&body).await?;
        if heard.status == StatusCode::GONE && message_id.is_some() {
            return Ok(None);
        }
        if !heard.status.is_success() {
            return Err(self.refused(&heard));
        }
        let field = |name: &str| heard.json.as_ref().and_then(|json| json.get(name));
        let posted = field("messageId").and_then(Value::as_str).filter(|id| !id.is_empty());
        match posted {
            Some(posted) if field("ok").is_some_and(|ok| ok == true) => Ok(Some(posted.to_owned())),
            _ => Err(self.api.odd(
                &heard,
                "not with a receipt; is this the flow of infra/teams-flow? Else set teams.mode = \"stock\"",
            )),
        }
    }

    async fn send_with_receipt(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        let envelope = card::envelope(notice, parcel.remark, &self.options.links);
        let whole = &envelope["attachments"][0]["content"];
        let id = notice.incident.0.as_str();
        if let Some(kept) = parcel.kept.and_then(|kept| Kept::deserialize(kept).ok()) {
            // The card shows the newest state: what comes late stands below it.
            let late = kept.shows > notice.sequence;
            let reply = if late { whole.clone() } else { card::short(notice) };
            let there =
                late || self.receipt("update", Some(&kept.message_id), whole, id, notice.sequence).await?.is_some();
            if there && self.receipt("reply", Some(&kept.message_id), &reply, id, notice.sequence).await?.is_some() {
                return Ok(serde_json::to_value(Kept { shows: kept.shows.max(notice.sequence), ..kept }).ok());
            }
        }
        let posted = self.receipt("post", None, whole, id, notice.sequence).await?;
        let kept = posted.map(|message_id| Kept { message_id, shows: notice.sequence });
        Ok(kept.and_then(|kept| serde_json::to_value(kept).ok()))
    }
}

#[async_trait]
impl Channel for Teams {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn wants_heartbeat(&self) -> bool {
        true
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        if self.options.flow == Flow::Receipt {
            return self.send_with_receipt(parcel).await;
        }
        self.post(&card::envelope(parcel.notice, parcel.remark, &self.options.links)).await.map(|_| None)
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        let envelope = card::trial(trial);
        if self.options.flow == Flow::Receipt {
            let card = &envelope["attachments"][0]["content"];
            let posted = self.receipt("post", None, card, &trial.id, 0).await?.unwrap_or_default();
            return Ok(format!("200: it was posted as message {}", self.api.harmless(&posted)));
        }
        let status = self.post(&envelope).await?.status.as_u16();
        Ok(format!("{status}: the flow took it. Whether it is posted shows in the channel alone"))
    }
}

/// What a refusal by a Workflow means.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "the address redirects, and redirects are not followed. Copy the Workflow's address again",
        400 => "the Workflow did not take the message. See its run history in Power Automate",
        401 | 403 => {
            "the Workflow refuses us. Its address may have been replaced (copy it again), or its trigger is open to others \
             than teams.auth says: \"Anyone\" for none, our identity among the allowed users for entra"
        }
        404 | 410 => "the Workflow is gone or switched off. Create or switch it on, and set its address",
        413 => "the message is too large for the Workflow",
        _ => "the Workflow refused the message. See its run history in Power Automate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn warns_of_a_retired_connector() {
        let of = |url: &str| Teams::new("teams", Secret::new(url), TeamsOptions::default(), Clock::system()).unwrap();
        assert!(of("https://contoso.webhook.office.com/webhookb2/x").warning().is_some());
        assert!(of("https://x.11.environment.api.powerplatform.com:443/powerautomate/y?sig=z").warning().is_none());
    }
}
