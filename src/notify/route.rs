//! Which channel is told of what.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::notice::Situation;
use crate::notify::{Channel, ChannelError, Parcel, TrialMessage};

/// Situations in which a person must act, or databases are about to lose something.
pub const NEEDS_PERSON: [Situation; 5] = [
    Situation::ApprovalAsked,
    Situation::ApprovalReminder,
    Situation::DeadlineNear,
    Situation::WindowOver,
    Situation::Escalated,
];
/// Situations in which it is over.
pub const ENDINGS: [Situation; 3] = [Situation::Resolved, Situation::RecoveredWithoutUs, Situation::SettingsRestored];
/// All of them, in the order in which they come.
pub const ALL: [Situation; 13] = [
    Situation::FirstNotice,
    Situation::Diagnosed,
    Situation::ApprovalAsked,
    Situation::ApprovalReminder,
    Situation::ChangeMade,
    Situation::DeadlineNear,
    Situation::WindowOver,
    Situation::Resolved,
    Situation::Escalated,
    Situation::ObservedOnly,
    Situation::RecoveredWithoutUs,
    Situation::SettingsRestored,
    Situation::KeyExpiresSoon,
];

/// How much a situation matters to whoever is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Good to know.
    Info,
    /// Something is wrong and is being dealt with.
    Warning,
    /// A person must act, or databases are about to lose something.
    Critical,
}

impl Urgency {
    /// Of a situation.
    #[must_use]
    pub const fn of(situation: Situation) -> Self {
        match situation {
            Situation::ApprovalAsked
            | Situation::ApprovalReminder
            | Situation::DeadlineNear
            | Situation::WindowOver
            | Situation::Escalated => Self::Critical,
            Situation::FirstNotice | Situation::Diagnosed | Situation::ObservedOnly | Situation::KeyExpiresSoon => {
                Self::Warning
            }
            Situation::ChangeMade
            | Situation::Resolved
            | Situation::RecoveredWithoutUs
            | Situation::SettingsRestored => Self::Info,
        }
    }
}

/// A channel that is told of some situations only.
#[derive(Debug)]
pub struct Routed<C> {
    channel: C,
    situations: BTreeSet<Situation>,
}

impl<C: Channel> Routed<C> {
    /// `channel`, told of these `situations` and of how it ended, and of nothing else: who was called must be told that it
    /// is over. No situations are no situations.
    #[must_use]
    pub fn new(channel: C, mut situations: BTreeSet<Situation>) -> Self {
        if !situations.is_empty() {
            situations.extend(ENDINGS);
        }
        Self { channel, situations }
    }
}

#[async_trait]
impl<C: Channel> Channel for Routed<C> {
    fn name(&self) -> &str {
        self.channel.name()
    }

    fn takes(&self, situation: Situation) -> bool {
        self.situations.contains(&situation) && self.channel.takes(situation)
    }

    fn wants_heartbeat(&self) -> bool {
        self.channel.wants_heartbeat()
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        self.channel.send(parcel).await
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        self.channel.try_out(trial).await
    }
}
