//! `[notify]`: what concerns every channel.

use jiff::SignedDuration;
use toml::Table;

use super::Wrong;
use crate::settings::problem::Problem;
use crate::settings::section::{Named, Section, Sources};

/// What concerns every channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// A channel through which nothing was sent for so long gets a heartbeat; `None`: never.
    pub heartbeat: Option<SignedDuration>,
    /// The team's own instructions, for links in messages.
    pub runbook: Option<String>,
}

/// Days without a message after which a heartbeat is sent: flows that do not run for 90 are switched off.
const HEARTBEAT_DAYS: u32 = 30;

impl Default for NotifySettings {
    fn default() -> Self {
        Self { heartbeat: days(HEARTBEAT_DAYS), runbook: None }
    }
}

fn days(count: u32) -> Option<SignedDuration> {
    (count > 0).then(|| SignedDuration::from_hours(24 * i64::from(count)))
}

/// Reads `[notify]`.
pub(super) fn notify(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> NotifySettings {
    let mut section = Section::open(file, "notify", sources, wrong.problems);
    let what = "days without a message after which a heartbeat is sent (0: never)";
    let count = section.number("heartbeat_days", Some("KEYMEND_HEARTBEAT_DAYS"), (0, 80), what);
    let runbook = runbook(&mut section, Some("KEYMEND_RUNBOOK"));
    section.close();
    NotifySettings { heartbeat: days(count.unwrap_or(HEARTBEAT_DAYS)), runbook }
}

/// The address of the team's own instructions.
pub(super) fn runbook(section: &mut Section<'_>, variable: Option<&str>) -> Option<String> {
    let instead = "Write the https address of the team's own instructions";
    let Named { setting, value } = section.text("runbook", variable, instead)?;
    if value.starts_with("https://") {
        return Some(value);
    }
    section.report(Problem::new(setting, "it is no https address", instead).with(format_args!("{value:?}")));
    None
}
