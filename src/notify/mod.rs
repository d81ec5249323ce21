//! Notices to channels; one file a channel; all texts people read in one place.

pub mod api;
pub mod card;
pub mod compose;
mod doubts;
pub mod event;
pub mod http;
pub mod jira;
pub mod jsm;
pub mod links;
pub mod pace;
pub mod pagerduty;
pub mod plain;
pub mod post;
pub mod reach;
pub mod route;
pub mod secret;
pub mod servicenow;
pub mod signed_link;
pub mod slack;
pub mod teams;
pub mod terminal;
pub mod texts;
pub mod webhook;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::domain::notice::{Notice, Situation};

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// Trying again later may help.
    #[error("{why}")]
    Retry {
        /// Not before, if the receiver said.
        after: Option<SignedDuration>,
        /// What happened, without addresses that hold secrets.
        why: String,
    },
    /// Trying again cannot help until somebody changes the settings.
    #[error("{why}")]
    Permanent {
        /// What happened and what to do, without addresses that hold secrets.
        why: String,
    },
}

/// One notice on its way through one channel.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// What to tell.
    pub notice: &'a Notice,
    /// What this channel kept when it delivered an earlier notice of the same incident, such as the number of a ticket.
    pub kept: Option<&'a Value>,
    /// What is to be said before all else: that the message comes late, or in the place of another channel.
    pub remark: Option<&'a str>,
}

impl<'a> Parcel<'a> {
    /// A notice that is sent in time, by a channel that keeps nothing.
    #[must_use]
    pub const fn of(notice: &'a Notice) -> Self {
        Self { notice, kept: None, remark: None }
    }
}

/// Why a channel is tried without an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// A person asked whether it works (`keymend doctor --send-test`).
    Test,
    /// Nothing was sent for a long time, and flows that are not used are switched off.
    Heartbeat,
}

/// A message that is about no incident: whether this way to people still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialMessage {
    /// Why it is sent.
    pub trial: Trial,
    /// Tells it from every other one: letters, digits and hyphens.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// Which deployment sends it, in a few words.
    pub sender: String,
}

/// Keymend's own identity, to a service that asks who we are.
#[async_trait]
pub trait Bearer: Send + Sync + std::fmt::Debug {
    /// A token, good for a while yet; why there is none, in words.
    async fn token(&self) -> Result<secret::Secret, String>;

    /// The service did not accept the last one: it is not to be given again.
    fn refused(&self);
}

/// A way to reach people.
#[async_trait]
pub trait Channel: Send + Sync + std::fmt::Debug {
    /// Its name in settings, jobs and logs.
    fn name(&self) -> &str;

    /// Whether it is told of such a situation at all.
    fn takes(&self, _situation: Situation) -> bool {
        true
    }

    /// Whether it wants a [`Trial::Heartbeat`] when nothing was sent for long.
    fn wants_heartbeat(&self) -> bool {
        false
    }

    /// Delivers one notice. Notices of one incident come one at a time and in order. May be called again with the same
    /// notice after a crash: its id tells a repetition. Answers what to keep for the next notice of the incident; `None`
    /// leaves what was kept before.
    ///
    /// # Errors
    /// [`ChannelError`]: whether trying again may help.
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError>;

    /// Sends a marked message that calls nobody, and answers in words what came back.
    ///
    /// # Errors
    /// [`ChannelError`].
    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError>;
}
