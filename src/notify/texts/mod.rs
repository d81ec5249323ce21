//! All texts that people read, as functions of a notice; one file a topic.
//!
//! [`message()`] lays a whole notice out; the other functions are for those who need a single sentence (the terminal,
//! the command line). Texts from outside (names, callers, Azure's own words) are cleaned in [`words::Line`] and stay
//! untrusted: whoever shows a line must not read it as markup.

pub mod affected;
mod asking;
pub mod by_hand;
pub mod causes;
pub mod changes;
pub mod clocks;
mod details;
mod ending;
mod expiring;
pub mod gates;
mod mending;
pub mod message;
mod opening;
pub mod person;
pub mod phases;
pub mod restoring;
pub mod rights;
mod set_aside;
pub mod trial;
pub mod who;
pub mod words;

pub use causes::{cause_name, cause_sentence};
pub use changes::{change_sentence, done_sentence, plan_sentence};
pub use gates::gate_name;
pub use mending::attempt as attempt_parts;
pub use message::Message;
pub use opening::{cause as cause_parts, deadline, exactly};
pub use phases::{headline, phase_words};

use crate::domain::diagnosis;
use crate::domain::notice::{Notice, Situation};
use crate::domain::plan::NeedsPerson;
use crate::notify::texts::message::Link;
use crate::notify::texts::words::Line;

/// A link of the chain, as people call it.
#[must_use]
pub const fn link_name(link: diagnosis::Link) -> &'static str {
    match link {
        diagnosis::Link::Identity => "Server identity",
        diagnosis::Link::Vault => "Key vault",
        diagnosis::Link::Firewall => "Firewall",
        diagnosis::Link::Key => "Key",
        diagnosis::Link::Permission => "Permission",
        diagnosis::Link::Database => "Databases",
    }
}

/// Lays out the whole message that a notice asks for.
#[must_use]
pub fn message(notice: &Notice) -> Message {
    let (mut sections, next) = match notice.situation {
        Situation::FirstNotice => opening::first_notice(notice),
        Situation::Diagnosed => opening::diagnosed(notice),
        Situation::ApprovalAsked | Situation::ApprovalReminder if restoring::is_asked(notice) => {
            restoring::asked(notice)
        }
        Situation::ApprovalAsked | Situation::ApprovalReminder => asking::approval(notice),
        Situation::SettingsRestored => restoring::restored(notice),
        Situation::ChangeMade => mending::change_made(notice),
        Situation::DeadlineNear => asking::window_ends(notice),
        Situation::WindowOver => mending::window_over(notice),
        Situation::Resolved => ending::resolved(notice),
        Situation::Escalated if notice.needs_person == Some(NeedsPerson::SetAside) => set_aside::set_aside(notice),
        Situation::Escalated => person::escalated(notice),
        Situation::ObservedOnly => opening::observed(notice),
        Situation::RecoveredWithoutUs => ending::recovered(notice),
        Situation::KeyExpiresSoon => expiring::expiring(notice),
    };
    sections.retain(|section| !section.parts.is_empty());
    Message {
        tone: phases::tone(notice),
        banner: phases::banner(notice),
        headline: phases::headline(notice),
        meaning: phases::meaning(notice),
        sections,
        databases: affected::names(notice, 10),
        next,
        details: details::details(notice),
        links: links(notice),
        footer: Line::of("Keymend · incident ").name(&notice.incident.0).say(format!(" · message {}", notice.sequence)),
    }
}

/// Whether a message puts a question, which its first button answers.
const fn asks(situation: Situation) -> bool {
    matches!(situation, Situation::ApprovalAsked | Situation::ApprovalReminder | Situation::DeadlineNear)
}

/// Where to look: the broken thing first while it is broken, the database first when it is back.
fn links(notice: &Notice) -> Vec<Link> {
    let vault = notice.vault_id.iter().map(|id| Link::Vault(id.clone()));
    let data = match (notice.databases.as_slice(), notice.servers.as_slice()) {
        ([one], _) => one.id().map(Link::Database),
        (_, [one]) => Some(Link::Server(one.clone())),
        _ => None,
    };
    let mut links: Vec<Link> = match notice.situation {
        Situation::FirstNotice
        | Situation::WindowOver
        | Situation::Resolved
        | Situation::RecoveredWithoutUs
        | Situation::SettingsRestored => data.into_iter().chain(vault).collect(),
        _ => vault.chain(data).collect(),
    };
    let (id, at) = (notice.incident.clone(), notice.at);
    let asked = notice.approval.as_ref().filter(|asked| asked.decision.is_none() && asks(notice.situation));
    match asked {
        Some(asked) => {
            let (plan_hash, until) = (asked.plan_hash.clone(), asked.answer_by);
            links.insert(0, Link::Decide { id, plan_hash, until });
        }
        // Before the runbook: whoever has both wants to know first.
        None => links.push(Link::Incident { id, at }),
    }
    links.push(Link::Runbook);
    links
}
