//! What a message to people is about: how an incident stands when it is written.

use serde::{Deserialize, Serialize};

/// The situations that are told, in the order of the reference's card list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// Access is lost; being looked into.
    FirstNotice,
    /// The cause and what happens now.
    Diagnosed,
    /// A person must decide.
    ApprovalAsked,
    /// Nobody has decided yet.
    ApprovalReminder,
    /// A change was made; it is not over yet.
    ChangeMade,
    /// The window ends soon and nothing has worked yet.
    DeadlineNear,
    /// The window is over; re-validating.
    WindowOver,
    /// Every database is back, by our doing.
    Resolved,
    /// A person is needed.
    Escalated,
    /// Policy forbids changes: this is what would be done.
    ObservedOnly,
    /// Every database is back without us.
    RecoveredWithoutUs,
    /// It is over, and what Azure had dropped was put back, or was not.
    SettingsRestored,
    /// Nothing is lost; a key expires soon.
    KeyExpiresSoon,
}

impl Situation {
    /// The CloudEvents type.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::FirstNotice => "io.keymend.incident.opened.v1",
            Self::Diagnosed => "io.keymend.incident.diagnosed.v1",
            Self::ApprovalAsked => "io.keymend.approval.requested.v1",
            Self::ApprovalReminder => "io.keymend.approval.reminded.v1",
            Self::ChangeMade => "io.keymend.incident.mitigated.v1",
            Self::DeadlineNear => "io.keymend.incident.deadline.v1",
            Self::WindowOver => "io.keymend.incident.revalidating.v1",
            Self::Resolved => "io.keymend.incident.resolved.v1",
            Self::Escalated => "io.keymend.incident.escalated.v1",
            Self::ObservedOnly => "io.keymend.incident.observed.v1",
            Self::RecoveredWithoutUs => "io.keymend.incident.recovered.v1",
            Self::SettingsRestored => "io.keymend.incident.restored.v1",
            Self::KeyExpiresSoon => "io.keymend.key.expiring.v1",
        }
    }
}
