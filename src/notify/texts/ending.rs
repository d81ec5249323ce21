//! The last messages: resolved, and recovered without us.

use crate::domain::incident::{Attempt, AttemptOutcome, EntryKind};
use crate::domain::notice::Notice;
use crate::notify::texts::by_hand::prevention;
use crate::notify::texts::changes::done_sentence;
use crate::notify::texts::clocks::clock;
use crate::notify::texts::mending::{approved, lost};
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::opening::{cause, reason};
use crate::notify::texts::phases::is_no_longer_ours;
use crate::notify::texts::restoring::settings;
use crate::notify::texts::words::{Line, count};

fn fixes(notice: &Notice) -> Vec<Part> {
    const SHOWN: usize = 4;
    let made = |attempt: &&Attempt| matches!(attempt.outcome, Some(AttemptOutcome::Made { .. }));
    let made: Vec<&Attempt> = notice.attempts.iter().filter(made).collect();
    let fix = |attempt: &&Attempt| {
        let at = match attempt.outcome {
            Some(AttemptOutcome::Made { at }) => at,
            _ => attempt.intended_at,
        };
        let line = Line::of("Keymend ").join(done_sentence(&attempt.change));
        Part::Fact("Fix", line.say(format!(" at {}", clock(at, notice.at))))
    };
    let mut parts: Vec<Part> = made.iter().take(SHOWN).map(fix).collect();
    if made.len() > SHOWN {
        parts.push(Part::Fact("Fix", Line::of(count(made.len() - SHOWN, "more change", "more changes of this kind"))));
    }
    parts
}

fn confirmed(notice: &Notice) -> Part {
    let last = notice.timeline.iter().rev().find(|entry| entry.kind == EntryKind::Verified);
    Part::Fact(
        "Confirmed by",
        match last {
            Some(entry) => Line::default().quote(&entry.text).say(format!(" ({})", clock(entry.at, notice.at))),
            None => Line::of("reading the whole chain and the status of every database again"),
        },
    )
}

fn ended(notice: &Notice, middle: Vec<Part>) -> Vec<Section> {
    let mut facts = cause(notice);
    facts.extend(middle);
    if !is_no_longer_ours(notice) {
        facts.push(confirmed(notice));
    }
    let mut sections = vec![Section::untitled(facts)];
    if let Some(restoration) = &notice.restoration {
        sections.extend(settings(restoration, notice));
    } else if !notice.lost_settings.is_empty() {
        sections.push(Section::titled("To set up again", lost(&notice.lost_settings)));
    }
    let advice = notice.cause.map_or("", prevention);
    if !advice.is_empty() {
        sections.push(Section::titled("So that it does not happen again", vec![Part::Text(Line::of(advice))]));
    }
    sections
}

pub(super) fn resolved(notice: &Notice) -> (Vec<Section>, Line) {
    let mut middle = fixes(notice);
    middle.extend(approved(notice));
    middle.extend(reason("Note", notice));
    (ended(notice, middle), Line::default())
}

pub(super) fn recovered(notice: &Notice) -> (Vec<Section>, Line) {
    if is_no_longer_ours(notice) {
        return (ended(notice, Vec::new()), Line::default());
    }
    let mut middle = vec![Part::Fact("Fix", Line::of("made by somebody else, or by Azure itself"))];
    middle.extend(reason("Note", notice));
    (ended(notice, middle), Line::default())
}
