//! `[teams]`.

use std::collections::BTreeSet;

use toml::Table;

use super::{Wrong, address, notify, route};
use crate::domain::notice::Situation;
use crate::notify::secret::Secret;
use crate::settings::section::{Section, Sources};

/// How we sign in to the flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TeamsAuth {
    /// Not at all: the address is the credential.
    #[default]
    None,
    /// With Keymend's own identity.
    Entra,
}

/// What the flow is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TeamsMode {
    /// The template of Teams: it posts, and says nothing about it.
    #[default]
    Stock,
    /// The flow in `infra/teams-flow`: it answers with the message's id.
    Receipt,
}

/// A Teams channel, through a Workflow.
#[derive(Debug, Clone)]
pub struct TeamsSettings {
    /// The Workflow's address. The address itself is the credential.
    pub url: Secret,
    /// The team's own instructions, for a button.
    pub runbook: Option<String>,
    /// How we sign in.
    pub auth: TeamsAuth,
    /// The audience of the token, without which the cloud's own is used.
    pub audience: Option<String>,
    /// What the flow is.
    pub mode: TeamsMode,
    /// What it is told of.
    pub tell: BTreeSet<Situation>,
}

/// Reads `[teams]`.
pub(super) fn teams(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<TeamsSettings> {
    let mut section = Section::open(file, "teams", sources, wrong.problems);
    let url = address(&mut section, "KEYMEND_TEAMS_URL", wrong.faults);
    let runbook = notify::runbook(&mut section, None);
    let auths = [("none", TeamsAuth::None), ("entra", TeamsAuth::Entra)];
    let auth = section.choice("auth", Some("KEYMEND_TEAMS_AUTH"), &auths).unwrap_or_default();
    let instead = "Write the audience of the flow's cloud, such as https://service.flow.microsoft.com/";
    let audience = section.text("audience", None, instead).map(|named| named.value);
    let modes = [("stock", TeamsMode::Stock), ("receipt", TeamsMode::Receipt)];
    let mode = section.choice("mode", Some("KEYMEND_TEAMS_MODE"), &modes).unwrap_or_default();
    let tell = route::route(&mut section);
    section.close();
    url.map(|url| TeamsSettings { url, runbook, auth, audience, mode, tell })
}
