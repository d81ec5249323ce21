//! Microsoft Teams by a Workflow ("When a Teams webhook request is received").
//!
//! The whole address is the credential and is neither rebuilt nor tied to a host, since Microsoft has moved it before.
//! The trigger answers 202 before the card is posted: a sent message is no proof that people see it. With the trigger
//! open to "Anyone", an Authorization header makes the post fail, so none is sent (Microsoft, "Create incoming webhooks
//! with Workflows for Microsoft Teams").

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::clock::{Clock, add};
use crate::notify::links::Links;
use crate::notify::post::{InvalidChannel, Network, Poster, TIMEOUT};
use crate::notify::secret::Secret;
use crate::notify::{Channel, ChannelError, Parcel, TrialMessage, card};

/// A flow bot may post so often within [`SPAN`] (Microsoft, "Microsoft Teams connector", throttling limits).
const POSTS: usize = 25;
/// See [`POSTS`].
const SPAN: SignedDuration = SignedDuration::from_secs(300);

/// What may be set of a Teams channel.
#[derive(Debug, Clone)]
pub struct TeamsOptions {
    /// Where the buttons lead.
    pub links: Links,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for TeamsOptions {
    fn default() -> Self {
        Self { links: Links::default(), timeout: TIMEOUT }
    }
}

/// A channel of Teams.
#[derive(Debug)]
pub struct Teams {
    poster: Poster,
    links: Links,
    posted: Mutex<VecDeque<Timestamp>>,
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
        let poster = Poster::new(name.into(), url, Network::Open, options.timeout, clock)?;
        let channel = Self { poster, links: options.links, posted: Mutex::default() };
        if let Some(warning) = channel.warning() {
            tracing::warn!(channel = channel.poster.name(), "{warning}");
        }
        Ok(channel)
    }

    /// What the operator should know about this channel.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.poster.host().to_ascii_lowercase().ends_with(".webhook.office.com").then_some(
            "this is the address of an Office 365 connector; Microsoft has retired those. Create a Workflow (\"When a \
             Teams webhook request is received\") and use its address",
        )
    }

    /// Counts a post, or says how long to wait until there is room for one.
    fn take_turn(&self, now: Timestamp) -> Result<(), SignedDuration> {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        while posted.front().is_some_and(|first| add(*first, SPAN) <= now) {
            posted.pop_front();
        }
        match posted.front() {
            Some(first) if posted.len() >= POSTS => Err(add(*first, SPAN).duration_since(now)),
            _ => {
                posted.push_back(now);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Channel for Teams {
    fn name(&self) -> &str {
        self.poster.name()
    }

    fn wants_heartbeat(&self) -> bool {
        true
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        self.post(&card::envelope(parcel.notice, parcel.remark, &self.links)).await.map(|_| None)
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        let status = self.post(&card::trial(trial)).await?;
        Ok(format!("{status}: the flow took it. Whether it is posted shows in the channel alone"))
    }
}

impl Teams {
    async fn post(&self, body: &Value) -> Result<u16, ChannelError> {
        if let Err(wait) = self.take_turn(self.poster.now()) {
            let why = format!(
                "channel `{}` has posted {POSTS} messages within 5 minutes, the most that Teams takes",
                self.name()
            );
            return Err(ChannelError::Retry { after: Some(wait), why });
        }
        let json = "application/json; charset=utf-8";
        let request = self.poster.request().header(CONTENT_TYPE, json).body(body.to_string());
        self.poster.send(request, hint).await
    }
}

/// What a refusal by a Workflow means.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "the address redirects, and redirects are not followed. Copy the Workflow's address again",
        400 => "the Workflow did not take the message. See its run history in Power Automate",
        401 | 403 => {
            "the Workflow refuses us. Its address may have been replaced, or its trigger must be open to \"Anyone\". \
             Copy the address again"
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
    async fn waits_when_teams_would_throttle() {
        let url = Secret::new("https://prod-1.westeurope.logic.azure.com/workflows/x?sig=abc");
        let teams = Teams::new("teams", url, TeamsOptions::default(), Clock::system()).unwrap();
        let start: Timestamp = "2026-11-24T02:07:31Z".parse().unwrap();
        let after = |seconds| add(start, SignedDuration::from_secs(seconds));
        for second in 0..25 {
            assert_eq!(teams.take_turn(after(second)), Ok(()));
        }
        assert_eq!(teams.take_turn(after(100)), Err(SignedDuration::from_secs(200)));
        assert_eq!(teams.take_turn(after(300)), Ok(()));
        assert_eq!(teams.take_turn(after(300)), Err(SignedDuration::from_secs(1)));
    }

    #[tokio::test]
    async fn warns_of_a_retired_connector() {
        let of = |url: &str| Teams::new("teams", Secret::new(url), TeamsOptions::default(), Clock::system()).unwrap();
        assert!(of("https://contoso.webhook.office.com/webhookb2/x").warning().is_some());
        assert!(of("https://x.11.environment.api.powerplatform.com:443/powerautomate/y?sig=z").warning().is_none());
    }
}
