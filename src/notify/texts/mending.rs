//! The messages about what was done: a change made, and re-validation after the window.

use crate::domain::incident::{Attempt, AttemptOutcome, Phase};
use crate::domain::notice::Notice;
use crate::domain::remedy::Remedy;
use crate::domain::restoration::LostSetting;
use crate::notify::texts::changes::{change_sentence, done_sentence};
use crate::notify::texts::clocks::{clock, next_message, restore_before, since};
use crate::notify::texts::message::{Mark, Part, Section};
use crate::notify::texts::opening::{cause, deadline, reason};
use crate::notify::texts::phases::last_attempts;
use crate::notify::texts::words::Line;

/// Up to so many changes are told one by one; of more, half as many.
const SHOWN: usize = 4;

/// How one change went, and what became of what.
#[must_use]
pub fn attempt(attempt: &Attempt, notice: &Notice) -> Vec<Part> {
    let done = done_sentence(&attempt.change).capital();
    let wanted = change_sentence(&attempt.change);
    let (mark, line) = match &attempt.outcome {
        Some(AttemptOutcome::Made { at }) => (Mark::Ok, done.say(format!(" at {}", clock(*at, notice.at)))),
        Some(AttemptOutcome::AlreadyThere { at }) => {
            (Mark::Ok, wanted.say(format!(": was so already at {}, nothing was sent", clock(*at, notice.at))))
        }
        Some(AttemptOutcome::NotApplicable { why, .. }) => (Mark::Skip, wanted.say(": ").quote(why)),
        Some(AttemptOutcome::Failed { at, code, why }) => {
            (Mark::Fail, wanted.say(format!(" at {}: ", clock(*at, notice.at))).code(code).say(" ").quote(why))
        }
        None => {
            let at = clock(attempt.intended_at, notice.at);
            (Mark::Unknown, wanted.say(format!(": sent at {at}, the outcome is not known yet")))
        }
    };
    let mut parts = vec![Part::Marked(mark, line)];
    for (property, before, after) in attempt.before_after.iter().take(3) {
        let line = Line::default().name(property).say(": ").code(before).say(" → ").code(after);
        parts.push(Part::Text(line));
    }
    parts
}

/// How changes went: the failed ones first, then the first few others.
pub(super) fn attempts(which: &[&Attempt], notice: &Notice) -> Vec<Part> {
    let mut ordered = which.to_vec();
    ordered.sort_by_key(|attempt| !matches!(attempt.outcome, Some(AttemptOutcome::Failed { .. })));
    let shown = if ordered.len() > SHOWN { SHOWN / 2 } else { SHOWN };
    let mut parts: Vec<Part> = ordered.iter().take(shown).flat_map(|it| attempt(it, notice)).collect();
    if ordered.len() > shown {
        parts.push(Part::Text(Line::of(format!("and {} more changes", ordered.len() - shown))));
    }
    parts
}

/// Who let it be done.
pub(super) fn approved(notice: &Notice) -> Option<Part> {
    let decision = notice.approved.as_ref()?;
    let line = Line::default().name(&decision.by).say(format!(" at {}", clock(decision.at, notice.at)));
    Some(Part::Fact("Approved by", line))
}

pub(super) fn change_made(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts: Vec<Part> = approved(notice).into_iter().collect();
    facts.extend(cause(notice));
    facts.extend(deadline(notice).filter(|_| !notice.is_ahead()));
    facts.extend(reason("Note", notice));
    let next = if notice.is_ahead() {
        "Keymend reads the whole chain again and watches until Azure SQL has looked at the key. "
    } else if notice.window_over {
        "When the key can be used again, Keymend re-validates it on every server and checks that the databases are back. "
    } else {
        "When the key can be used again, Azure brings the databases back by itself, usually within an hour. Keymend \
         checks that. "
    };
    let sections =
        vec![Section::titled("What was done", attempts(&last_attempts(notice), notice)), Section::untitled(facts)];
    (sections, Line::of(next).join(next_message(notice)))
}

/// Settings to put back, with the values they had.
pub(super) fn lost(settings: &[LostSetting]) -> Vec<Part> {
    const SHOWN: usize = 12;
    let line = |lost: &LostSetting| {
        Line::default()
            .strong(format!("{} of {} on {}", lost.setting, lost.database.name, lost.database.server.name()))
            .say(": was ")
            .code(&lost.before)
            .say(", is ")
            .code(if lost.now.is_empty() { "none" } else { &lost.now })
    };
    let mut parts: Vec<Part> =
        settings.iter().take(SHOWN).enumerate().map(|(place, it)| Part::Step(place + 1, line(it))).collect();
    if settings.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more settings", settings.len() - SHOWN))));
    }
    parts
}

pub(super) fn window_over(notice: &Notice) -> (Vec<Section>, Line) {
    let begun = notice.attempts.iter().filter(|attempt| attempt.change.remedy() == Remedy::Revalidate);
    let mut facts =
        vec![Part::Fact("Key access lost", since(notice)), Part::Fact("Self-heal window", restore_before(notice))];
    facts.extend(cause(notice));
    facts.extend(
        begun
            .map(|attempt| attempt.intended_at)
            .min()
            .map(|at| Part::Fact("Re-validation started", Line::of(clock(at, notice.at)))),
    );
    facts.push(Part::Fact(
        "How long it takes",
        Line::of("depends on the size of each database; Azure gives no estimate"),
    ));
    facts.extend(reason("Note", notice));
    let parts = if notice.lost_settings.is_empty() {
        vec![Part::Text(Line::of(
            "Membership in failover groups and elastic pools, tags, read scale-out, auto-pause and long-term retention \
             may be lost; point-in-time restore begins anew. Keymend compares with what it saw before and reports.",
        ))]
    } else {
        lost(&notice.lost_settings)
    };
    let sections = vec![Section::untitled(facts), Section::titled("To set up again afterwards", parts)];
    let next = if matches!(notice.phase, Phase::Revalidating | Phase::Verifying) {
        "The key can be used again and Keymend re-validates it on every server, then checks that the databases are back. "
    } else {
        "The key cannot be used yet: the repair comes first, then Keymend re-validates. "
    };
    (sections, Line::of(next).join(next_message(notice)))
}
