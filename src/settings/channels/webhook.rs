//! `[webhook]`.

use std::collections::BTreeSet;

use toml::Table;

use super::{Wrong, address, route};
use crate::domain::notice::Situation;
use crate::notify::secret::Secret;
use crate::settings::problem::Problem;
use crate::settings::secrets::{Places, secrets};
use crate::settings::section::{Section, Sources};

/// A receiver of signed CloudEvents.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Its address, which may hold a token.
    pub url: Secret,
    /// What messages are signed with: the first is ours, the others are still accepted by the receiver.
    pub secrets: Vec<Secret>,
    /// Let the address be in a private network.
    pub allow_private: bool,
    /// The events' `source`, which tells this deployment from others.
    pub source: Option<String>,
    /// What it is told of.
    pub tell: BTreeSet<Situation>,
}

/// Reads `[webhook]`.
pub(super) fn webhook(file: &mut Table, sources: Sources<'_>, wrong: &mut Wrong<'_>) -> Option<WebhookSettings> {
    let mut section = Section::open(file, "webhook", sources, wrong.problems);
    let url = address(&mut section, "KEYMEND_EVENTS_URL", wrong.faults);
    let places = Places { literal: None, name: "secret", variable: Some("KEYMEND_EVENTS_SECRET") };
    let found = secrets(&mut section, places);
    let allow_private = section.flag("allow_private", None).unwrap_or(false);
    let source = section.text("source", None, "Write a URI, such as the app's resource id").map(|named| named.value);
    let tell = route::route(&mut section);
    if url.is_some() && !found.is_set_up() {
        let why = "messages are signed, and there is nothing to sign them with";
        let instead = "Put whsec_ and 32 random bytes in base64 (echo whsec_$(openssl rand -base64 32)) into KEYMEND_EVENTS_SECRET, or name its variable or file in webhook.secret_env or webhook.secret_file";
        section.report(Problem::new("webhook.secret_env", why, instead));
    }
    section.close();
    wrong.faults.extend(found.faults);
    let url = url?;
    if found.secrets.is_empty() {
        return None;
    }
    Some(WebhookSettings { url, secrets: found.secrets, allow_private, source, tell })
}
