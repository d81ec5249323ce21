//! The banner of a message: the phase in words, the headline, one sentence of impact.

use crate::domain::diagnosis::Cause;
use crate::domain::incident::{Attempt, AttemptOutcome, Phase};
use crate::domain::notice::{Notice, Situation};
use crate::domain::plan::NeedsPerson;
use crate::notify::texts::affected::{Subject, impact, is_about_nothing, subject};
use crate::notify::texts::causes::cause_of;
use crate::notify::texts::changes::{done_in_short, plan_sentence};
use crate::notify::texts::clocks::{clock, left, length};
use crate::notify::texts::expiring;
use crate::notify::texts::gates::{gate_name, person_words};
use crate::notify::texts::message::Tone;
use crate::notify::texts::restoring;
use crate::notify::texts::words::{Line, count};

/// The tone of a message.
#[must_use]
pub const fn tone(notice: &Notice) -> Tone {
    match notice.situation {
        Situation::FirstNotice | Situation::DeadlineNear | Situation::WindowOver | Situation::Escalated => {
            Tone::Attention
        }
        Situation::Diagnosed | Situation::ApprovalAsked | Situation::ApprovalReminder | Situation::KeyExpiresSoon => {
            Tone::Warning
        }
        Situation::ChangeMade | Situation::ObservedOnly => Tone::Accent,
        Situation::Resolved | Situation::RecoveredWithoutUs | Situation::SettingsRestored => Tone::Good,
    }
}

/// A situation in words, as it begins a message.
#[must_use]
pub const fn phase_words(situation: Situation) -> &'static str {
    match situation {
        Situation::FirstNotice => "KEY ACCESS LOST",
        Situation::Diagnosed => "CAUSE FOUND",
        Situation::ApprovalAsked => "APPROVAL NEEDED",
        Situation::ApprovalReminder => "NOBODY HAS DECIDED YET",
        Situation::ChangeMade => "CHANGE MADE, NOT OVER YET",
        Situation::DeadlineNear => "SELF-HEAL WINDOW ENDS SOON",
        Situation::WindowOver => "SELF-HEAL WINDOW OVER",
        Situation::Resolved => "RESOLVED",
        Situation::Escalated => "A PERSON IS NEEDED",
        Situation::ObservedOnly => "OBSERVED ONLY, NOTHING IS CHANGED",
        Situation::RecoveredWithoutUs => "RECOVERED WITHOUT KEYMEND",
        Situation::SettingsRestored => "SETTINGS AFTER THE OUTAGE",
        Situation::KeyExpiresSoon => "KEY EXPIRES SOON",
    }
}

/// The banner's first line: the phase in words, with its deadline if it has one. Holds no text from outside.
#[must_use]
pub fn banner(notice: &Notice) -> String {
    let words = phase_words(notice.situation);
    let one = notice.databases.len().max(notice.down.len()) == 1;
    match notice.situation {
        Situation::FirstNotice if !notice.down.is_empty() => {
            if one { "DATABASE DOWN" } else { "DATABASES DOWN" }.to_owned()
        }
        Situation::FirstNotice if notice.is_ahead() => "KEY EXPIRES SOON, NO DATABASE DOWN".to_owned(),
        Situation::FirstNotice if notice.at_risk || notice.phase == Phase::AtRisk => {
            "KEY ACCESS AT RISK, NO DATABASE DOWN YET".to_owned()
        }
        Situation::Diagnosed if notice.cause == Some(Cause::Undetermined) => "CAUSE NOT CLEAR YET".to_owned(),
        Situation::Diagnosed if notice.cause == Some(Cause::StillInaccessible) => {
            "KEY ACCESS IS BACK, DATABASES NOT YET".to_owned()
        }
        Situation::ApprovalAsked | Situation::ApprovalReminder => match &notice.approval {
            Some(approval) if approval.answer_by > notice.at => {
                let by = if notice.situation == Situation::ApprovalAsked { " by" } else { "; answer by" };
                format!("{words}{by} {}", clock(approval.answer_by, notice.at))
            }
            _ => words.to_owned(),
        },
        Situation::RecoveredWithoutUs if is_no_longer_ours(notice) => "CLOSED".to_owned(),
        Situation::Escalated if notice.needs_person == Some(NeedsPerson::Held) => "ON HOLD, BY A PERSON".to_owned(),
        Situation::DeadlineNear if notice.is_ahead() => {
            format!("KEY EXPIRES SOON: {}", clock(notice.lost_at, notice.at))
        }
        Situation::DeadlineNear => format!("{words}: {}", clock(notice.restore_before, notice.at)),
        _ => words.to_owned(),
    }
}

/// Whether it ended because there is nothing left that depends on the key, and not because access came back.
#[must_use]
pub fn is_no_longer_ours(notice: &Notice) -> bool {
    notice.situation == Situation::RecoveredWithoutUs && notice.phase == Phase::Closed
}

/// Whether the loss that lay ahead was kept from happening.
fn is_averted(notice: &Notice) -> bool {
    let over = notice.phase.is_end() || notice.situation == Situation::ChangeMade;
    notice.is_ahead() && over
}

/// The changes of the plan that was begun last.
#[must_use]
pub fn last_attempts(notice: &Notice) -> Vec<&Attempt> {
    let Some(last) = notice.attempts.last() else { return Vec::new() };
    notice.attempts.iter().filter(|attempt| attempt.plan_hash == last.plan_hash).collect()
}

/// The headline: always names whom it is about, in the same words through the whole incident.
#[must_use]
pub fn headline(notice: &Notice) -> Line {
    let it = subject(notice);
    let about = |rest: Line| it.line.clone().say(": ").join(rest);
    match notice.situation {
        Situation::FirstNotice if notice.cause == Some(Cause::GeoPartnerWithoutGrant) => about(cause_of(notice)),
        Situation::FirstNotice if notice.is_ahead() => about(Line::of(format!(
            "the encryption key expires in {}",
            length(notice.lost_at.duration_since(notice.at))
        ))),
        Situation::FirstNotice if notice.at_risk || notice.phase == Phase::AtRisk => {
            let verb = it.pick(" is losing its encryption key", " are losing their encryption key");
            it.line.clone().say(verb)
        }
        Situation::FirstNotice if notice.cause == Some(Cause::OtherReason) => {
            let verb = it.pick(
                " is inaccessible, and not because of its key",
                " are inaccessible, and not because of their key",
            );
            it.line.clone().say(verb)
        }
        Situation::FirstNotice => {
            let verb = it.pick(" has lost its encryption key", " have lost their encryption key");
            it.line.clone().say(verb)
        }
        Situation::Diagnosed | Situation::ObservedOnly => about(cause_of(notice)),
        Situation::ApprovalAsked | Situation::ApprovalReminder if restoring::is_asked(notice) => {
            restoring::question(notice)
        }
        Situation::ApprovalAsked | Situation::ApprovalReminder => match &notice.plan {
            Some(plan) => plan_sentence(plan).say(" for ").join(it.line).say("?"),
            None => about(Line::of("a repair needs your approval")),
        },
        Situation::ChangeMade => about(made(notice)),
        Situation::DeadlineNear if notice.is_ahead() => about(Line::of(format!(
            "the encryption key expires in {}",
            length(notice.lost_at.duration_since(notice.at))
        ))),
        Situation::DeadlineNear => about(match left(notice) {
            Some(left) => Line::of(format!("{} left to heal without losing settings", length(left))),
            None => Line::of("no time left to heal by itself"),
        }),
        Situation::WindowOver => {
            let verb = it.pick(" does not come back by itself any more", " do not come back by themselves any more");
            it.line.clone().say(verb)
        }
        Situation::Resolved => back(notice, &it),
        Situation::RecoveredWithoutUs if is_no_longer_ours(notice) => about(Line::of("nothing is left to repair")),
        Situation::RecoveredWithoutUs => back(notice, &it).say(", and Keymend changed nothing"),
        Situation::SettingsRestored => about(restoring::counted(notice)),
        Situation::Escalated => about(stopped(notice)),
        Situation::KeyExpiresSoon => expiring::headline(notice),
    }
}

/// Why automation stopped; a gate by its name.
fn stopped(notice: &Notice) -> Line {
    let hit = notice.gates.iter().find(|hit| hit.hard).or(notice.gates.first());
    match (notice.needs_person, hit) {
        (Some(NeedsPerson::Gate), Some(hit)) => Line::of(format!("the repair is on hold ({})", gate_name(hit.gate))),
        (Some(reason), _) => Line::of(person_words(reason)),
        (None, _) => Line::of("a person is needed"),
    }
}

fn back(notice: &Notice, it: &Subject) -> Line {
    if is_averted(notice) {
        return it.line.clone().say(it.pick(" keeps its encryption key", " keep their encryption key"));
    }
    let verb = if notice.databases.is_empty() && notice.down.is_empty() {
        it.pick(" can use its encryption key again", " can use their encryption key again")
    } else {
        it.pick(" is online again", " are online again")
    };
    it.line.clone().say(verb)
}

/// What the last plan did.
fn made(notice: &Notice) -> Line {
    let took = |attempt: &&&Attempt| matches!(attempt.outcome, Some(AttemptOutcome::Made { .. }));
    let last = last_attempts(notice);
    let made: Vec<&&Attempt> = last.iter().filter(took).collect();
    made.first().map_or_else(|| Line::of("a change was made"), |first| done_in_short(&first.change, made.len()))
}

/// One sentence on what it means.
#[must_use]
pub fn meaning(notice: &Notice) -> Line {
    let broken = !matches!(notice.cause, Some(Cause::StillInaccessible | Cause::Healthy));
    let window = left(notice).filter(|_| broken && !is_about_nothing(notice) && !notice.is_ahead());
    let window = window.map(|left| format!(" {} of the self-heal window are left.", length(left)));
    match notice.situation {
        Situation::FirstNotice | Situation::Diagnosed | Situation::ObservedOnly => impact(notice),
        Situation::ApprovalAsked | Situation::ApprovalReminder if restoring::is_asked(notice) => {
            restoring::asked_meaning()
        }
        Situation::SettingsRestored => restoring::meaning(notice),
        Situation::ApprovalAsked | Situation::ApprovalReminder => {
            impact(notice).say(" It stays like this until somebody decides.").say(window.unwrap_or_default())
        }
        Situation::ChangeMade if is_averted(notice) => {
            Line::of("No database went down. Rotate the key before the new date: Keymend cannot do that for you.")
        }
        Situation::DeadlineNear if notice.is_ahead() => impact(notice).say(" Nobody has decided yet."),
        Situation::ChangeMade => Line::of("Azure takes up to 10 minutes to let a change work. ").join(impact(notice)),
        Situation::DeadlineNear => Line::of(
            "Afterwards only re-validation brings databases back, and Azure drops settings: failover group, elastic \
             pool, tags, read scale-out, auto-pause, restore history, long-term retention.",
        ),
        Situation::WindowOver => {
            Line::of("Only re-validating the key brings databases back now, and Azure drops some of their settings. ")
                .join(impact(notice))
        }
        Situation::RecoveredWithoutUs if is_no_longer_ours(notice) => {
            notice.reason.as_ref().map_or_else(Line::default, |why| Line::of(format!("{why}.")))
        }
        Situation::Resolved | Situation::RecoveredWithoutUs => ended(notice),
        Situation::KeyExpiresSoon => expiring::meaning(notice),
        Situation::Escalated => impact(notice).say(window.unwrap_or_default()),
    }
}

fn ended(notice: &Notice) -> Line {
    if is_averted(notice) {
        let before = length(notice.lost_at.duration_since(notice.at));
        return Line::of(format!("{before} before the key would have expired. No database went down."));
    }
    let span = length(notice.at.duration_since(notice.lost_at));
    let about = if notice.lost_at_is_known { "" } else { "about " };
    let from = clock(notice.lost_at, notice.at);
    let line =
        Line::of(format!("{about}{span} after key access was lost ({from} to {}), ", clock(notice.at, notice.at)));
    let line = line.capital().say(if notice.window_over {
        "after the self-heal window."
    } else {
        "inside the self-heal window."
    });
    line.say(match (notice.lost_settings.len(), notice.databases.is_empty(), notice.window_over) {
        (_, true, _) => " No database went down.".to_owned(),
        (0, _, false) => " No settings were lost.".to_owned(),
        (0, _, true) => " No lost setting was found; check failover group and retention yourself.".to_owned(),
        (n, ..) => format!(" {} lost.", count(n, "setting was", "settings were")),
    })
}
