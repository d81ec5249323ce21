//! `tell`, `at_least`, `page_on`: which channel is told of what.

use std::collections::BTreeSet;

use crate::domain::notice::Situation;
use crate::notify::route::{ALL, ENDINGS, NEEDS_PERSON, Urgency};
use crate::settings::problem::{Problem, did_you_mean};
use crate::settings::section::Section;

/// Groups of situations that have a name.
const GROUPS: [&str; 3] = ["all", "needs_person", "endings"];

/// A situation's name, as it is in events.
const fn name(situation: Situation) -> &'static str {
    match situation {
        Situation::FirstNotice => "first_notice",
        Situation::Diagnosed => "diagnosed",
        Situation::ApprovalAsked => "approval_asked",
        Situation::ApprovalReminder => "approval_reminder",
        Situation::ChangeMade => "change_made",
        Situation::DeadlineNear => "deadline_near",
        Situation::WindowOver => "window_over",
        Situation::Resolved => "resolved",
        Situation::Escalated => "escalated",
        Situation::ObservedOnly => "observed_only",
        Situation::RecoveredWithoutUs => "recovered_without_us",
        Situation::SettingsRestored => "settings_restored",
        Situation::KeyExpiresSoon => "key_expires_soon",
    }
}

/// Reads `tell` and `at_least`: all situations, unless they say otherwise.
pub(super) fn route(section: &mut Section<'_>) -> BTreeSet<Situation> {
    let told = situations(section, "tell").unwrap_or_else(|| ALL.into());
    let choices = [("info", Urgency::Info), ("warning", Urgency::Warning), ("critical", Urgency::Critical)];
    let least = section.choice("at_least", None, &choices).unwrap_or(Urgency::Info);
    let left: BTreeSet<Situation> =
        told.iter().copied().filter(|&one| Urgency::of(one) >= least || ENDINGS.contains(&one)).collect();
    if !told.is_empty() && !left.iter().any(|&one| Urgency::of(one) >= least) {
        let setting = section.full_name("at_least");
        let why = "no situation is left that this channel is told of";
        section.report(Problem::new(setting, why, "Write a lower one, or more situations in tell"));
    }
    left
}

/// A list of situations or groups; `None` if it is not given. An empty one would be a channel that is told of nothing.
pub(super) fn situations(section: &mut Section<'_>, key: &'static str) -> Option<BTreeSet<Situation>> {
    if !section.has(key) {
        return None;
    }
    let names = ALL.iter().map(|&one| name(one)).chain(GROUPS);
    let instead = format!("Write names of situations ({}) or groups ({})", ALL.map(name).join(", "), GROUPS.join(", "));
    let mut found = BTreeSet::new();
    let entries = section.list(key, None, &instead);
    if entries.is_empty() {
        let setting = section.full_name(key);
        let why = "it names no situation, so the channel would be told of nothing";
        section.report(Problem::new(setting, why, format!("{instead}, or leave it out")));
    }
    for entry in entries {
        match entry.value.as_str() {
            "all" => found.extend(ALL),
            "needs_person" => found.extend(NEEDS_PERSON),
            "endings" => found.extend(ENDINGS),
            other => match ALL.iter().find(|&&one| name(one) == other) {
                Some(&situation) => {
                    found.insert(situation);
                }
                None => {
                    let instead = format!("{instead}{}", did_you_mean(other, names.clone()));
                    let problem = Problem::new(entry.setting, "there is no such situation", instead);
                    section.report(problem.with(format_args!("{other:?}")));
                }
            },
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn situations_have_the_names_that_events_have() {
        for situation in ALL {
            assert_eq!(serde_json::to_value(situation).unwrap(), name(situation));
        }
    }
}
