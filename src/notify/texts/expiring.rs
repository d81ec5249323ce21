//! The warning that a key expires soon: nothing is lost yet.

use jiff::SignedDuration;

use crate::domain::expiry::{AHEAD, Expiring};
use crate::domain::notice::Notice;
use crate::notify::texts::affected;
use crate::notify::texts::by_hand::quoted;
use crate::notify::texts::clocks::{date_and_clock, length};
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::words::{Line, count};

/// How far the command that moves the date moves it.
const LATER: SignedDuration = SignedDuration::from_hours(90 * 24);

fn key(expiring: &Expiring) -> Line {
    Line::of("key ").name(&expiring.key.key).say(" in key vault ").name(expiring.key.vault.vault_name())
}

pub(super) fn headline(notice: &Notice) -> Line {
    let Some(expiring) = &notice.expiring else { return Line::of("a key expires soon") };
    let left = length(expiring.expires.duration_since(notice.at));
    let servers = count(notice.servers.len(), "server depends on it", "servers depend on it");
    key(expiring).capital().say(format!(" expires in {left}; {servers}"))
}

pub(super) fn meaning(notice: &Notice) -> Line {
    let databases = count(notice.databases.len(), "database", "databases");
    let at = notice.expiring.as_ref().map(|expiring| date_and_clock(expiring.expires)).unwrap_or_default();
    Line::of(format!(
        "No database is down. When the key expires at {at}, Azure SQL refuses connections to {databases} within about 10 minutes."
    ))
}

pub(super) fn expiring(notice: &Notice) -> (Vec<Section>, Line) {
    let Some(expiring) = &notice.expiring else { return (Vec::new(), Line::default()) };
    let mut facts = vec![
        Part::Fact("Key", key(expiring)),
        Part::Fact("Version", Line::default().name(expiring.key.version.as_deref().unwrap_or("the newest"))),
        Part::Fact("Expires", Line::of(date_and_clock(expiring.expires))),
        Part::Fact("Servers", affected::servers(&notice.servers)),
        Part::Fact("Databases", affected::databases(&notice.databases).line),
    ];
    if notice.databases.is_empty() {
        facts.pop();
    }
    let sections = vec![Section::untitled(facts), Section::titled("Do this", todo(expiring))];
    let later = AHEAD.iter().find(|days| **days < expiring.ahead);
    let next = match later {
        Some(1) => "Keymend warns again 1 day ahead, unless the date is moved or the key is replaced.".to_owned(),
        Some(days) => {
            format!("Keymend warns again {days} days ahead, unless the date is moved or the key is replaced.")
        }
        None => "This is the last warning before the key expires.".to_owned(),
    };
    (sections, Line::of(next))
}

fn todo(expiring: &Expiring) -> Vec<Part> {
    let (vault, name) = (quoted(expiring.key.vault.vault_name()), quoted(&expiring.key.key));
    let version = expiring.key.version.as_ref().map(|id| format!(" --version {}", quoted(id))).unwrap_or_default();
    let later = crate::clock::add(expiring.expires, LATER).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let rotate = format!("az keyvault key rotate --vault-name {vault} --name {name}");
    let extend =
        format!("az keyvault key set-attributes --vault-name {vault} --name {name}{version} --expires {later}");
    vec![
        Part::Text(Line::of(
            "Rotate it, then set the new version as the protector of each server that does not rotate by itself. Keep the \
             old version enabled: older data needs it.",
        )),
        Part::Command(Line::default().code(rotate)),
        Part::Text(Line::of("Or, where your rules let you, move the date:")),
        Part::Command(Line::default().code(extend)),
    ]
}
