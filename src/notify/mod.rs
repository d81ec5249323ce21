//! Notices to channels; one file a channel; all texts people read in one place.

pub mod card;
pub mod compose;
pub mod event;
pub mod links;
pub mod post;
pub mod reach;
pub mod secret;
pub mod teams;
pub mod terminal;
pub mod texts;
pub mod webhook;

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::domain::notice::Notice;

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

/// A way to reach people.
#[async_trait]
pub trait Channel: Send + Sync + std::fmt::Debug {
    /// Its name in settings, jobs and logs.
    fn name(&self) -> &str;

    /// Delivers one notice. May be called again with the same notice after a crash: its id tells a repetition.
    ///
    /// # Errors
    /// [`ChannelError`]: whether trying again may help.
    async fn send(&self, notice: &Notice) -> Result<(), ChannelError>;
}
