//! The log channel: every notice as one structured line of the log, which also is the record of what others were told.

use std::fmt::Write as _;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::notice::Notice;
use crate::notify::texts::{self, causes, headline, phases};
use crate::notify::{Channel, ChannelError, Parcel, TrialMessage};

/// Writes each notice to the log. Cannot fail.
#[derive(Debug, Clone, Default)]
pub struct Log;

impl Log {
    /// The log channel. Its name is `log`.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Channel for Log {
    fn name(&self) -> &str {
        "log"
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        tracing::info!(
            target: "keymend::notice",
            incident = %notice.incident,
            notice = %notice.id,
            situation = ?notice.situation,
            phase = ?notice.phase,
            cause = notice.cause.map(causes::cause_name),
            servers = notice.servers.len(),
            databases = notice.databases.len(),
            down = notice.down.len(),
            restore_before = %notice.restore_before,
            "{}", one_line(notice)
        );
        Ok(None)
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        tracing::info!(target: "keymend::notice", id = trial.id, "{}", texts::trial::headline(trial));
        Ok("written".to_owned())
    }
}

/// A notice in one line.
#[must_use]
pub fn one_line(notice: &Notice) -> String {
    let mut line = format!("{}: {}.", phases::banner(notice), headline(notice));
    if let Some(reason) = &notice.reason {
        let _ = write!(line, " {}", texts::words::clean(reason, 400));
    }
    line
}

/// A notice as a few lines for a person at a terminal. Holds no control characters but line feeds.
#[must_use]
pub fn human(notice: &Notice) -> String {
    texts::message(notice).to_text(false)
}
