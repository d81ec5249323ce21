//! Where an incident stands.

use serde::{Deserialize, Serialize};

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Access is lost or about to be, and no database is down yet.
    AtRisk,
    /// Told, not looked at yet.
    Opened,
    /// The cause is known.
    Diagnosed,
    /// A person was asked.
    AwaitingApproval,
    /// A change is being made.
    Mending,
    /// The change is made; Azure takes minutes to let it work.
    Propagating,
    /// Re-validation is running.
    Revalidating,
    /// The chain is whole; waiting for the databases.
    Verifying,
    /// A person is needed. Still watched, and still heals.
    Escalated,
    /// Ended: every database is in service.
    Healed,
    /// Ended: nothing was wrong, or the resource is gone, or a person closed it.
    Closed,
}

impl Phase {
    /// In a word or two, as lists show it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtRisk => "at risk",
            Self::Opened => "opened",
            Self::Diagnosed => "diagnosed",
            Self::AwaitingApproval => "awaiting approval",
            Self::Mending => "mending",
            Self::Propagating => "propagating",
            Self::Revalidating => "revalidating",
            Self::Verifying => "verifying",
            Self::Escalated => "escalated",
            Self::Healed => "healed",
            Self::Closed => "closed",
        }
    }

    /// Whether nothing more will be done.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Healed | Self::Closed)
    }
}
