//! `[slack]`.

use std::collections::BTreeSet;

use toml::Table;

use super::{Wrong, address, route};
use crate::domain::notice::Situation;
use crate::notify::secret::Secret;
use crate::settings::section::{Section, Sources};

/// A Slack channel, through an incoming webhook.
#[derive(Debug, Clone)]
pub struct SlackSettings {
    /// The webhook's address. The address itself is the credential.
    pub url: Secret,
    /// What it is told of.
    pub tell: BTreeSet<Situation>,
}

/// Reads `[slack]`.
pub(super) fn slack(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<SlackSettings> {
    let mut section = Section::open(file, "slack", sources, wrong.problems);
    let url = address(&mut section, "KEYMEND_SLACK_URL", wrong.faults);
    let tell = route::route(&mut section);
    section.close();
    url.map(|url| SlackSettings { url, tell })
}
