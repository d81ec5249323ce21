//! What is said first: the phase in words, the headline, what it means, and what happens next.

use crate::domain::incident::{Incident, Phase};
use crate::domain::notice::{Notice, Situation};
use crate::notify::texts::affected::subject;
use crate::notify::texts::message::Tone;
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::words::{Line, clean};
use crate::notify::texts::{self, Message};

/// The first words of an incident.
#[derive(Debug, Clone)]
pub struct Face {
    /// How urgent it looks, as a class of the style sheet.
    pub tone: &'static str,
    /// The phase in words.
    pub banner: String,
    /// Whom it is about, and what is.
    pub headline: Line,
    /// What it means.
    pub meaning: Line,
    /// What the message of this situation says beside.
    pub sections: Vec<Section>,
    /// What happens next.
    pub next: Line,
}

impl Face {
    /// The first words, as the message that would be sent now has them.
    #[must_use]
    pub fn of(incident: &Incident, notice: &Notice) -> Self {
        if incident.phase == Phase::Closed {
            return closed(incident, notice);
        }
        let Message { tone, banner, headline, meaning, sections, next, .. } = texts::message(notice);
        let tone = match tone {
            Tone::Attention => "attention",
            Tone::Warning => "warning",
            Tone::Accent => "accent",
            Tone::Good => "good",
        };
        Self { tone, banner, headline, meaning, sections, next }
    }

    /// The sentence of a list: what happens next, without commands.
    #[must_use]
    pub fn what_next(&self) -> Line {
        let plain = self.next.to_string();
        let first: String = plain.split_inclusive(". ").take(1).collect();
        Line::of(first.trim())
    }
}

/// An incident that was closed is not said to be mended: it may have been closed by a person.
fn closed(incident: &Incident, notice: &Notice) -> Face {
    let end = incident.end.clone().unwrap_or_default();
    let kept = |section: &Section| section.title.is_some_and(|title| title.contains("set up again"));
    let sections = texts::message(notice).sections.into_iter().filter(kept).collect();
    Face {
        tone: "good",
        banner: incident.phase.words().to_uppercase(),
        headline: subject(notice).line.say(": closed"),
        meaning: Line::default().quote(end).say("."),
        sections,
        next: Line::default(),
    }
}

/// The longest reason.
const LONGEST_REASON: usize = 1500;

/// Facts that the page shows elsewhere, by their labels in the messages.
const ELSEWHERE: [&str; 8] = [
    "Cause",
    "Also found",
    "Changed by",
    "Key access lost",
    "Restore key access before",
    "Azure SQL bears it until",
    "The key expires at",
    "Self-heal window",
];

/// The sections without what the page shows elsewhere.
#[must_use]
pub fn own_sections(face: &Face, notice: &Notice) -> Vec<Section> {
    let situation = notice.situation;
    // Where the reason names the gates, they are not named again.
    let reason = notice.reason.as_deref().unwrap_or_default();
    let named = situation == Situation::Escalated && notice.gates.iter().all(|hit| reason.contains(&hit.why));
    let elsewhere = |part: &Part| matches!(part, Part::Fact(label, _) if ELSEWHERE.contains(label));
    let mut sections = Vec::new();
    for section in &face.sections {
        let repeated = matches!(section.title, Some("Checked" | "What was done" | "Tried"))
            || (named && section.title == Some("In the way"));
        // The text of the end of a healed incident is its meaning, too.
        let said = |part: &Part| situation == Situation::Resolved && matches!(part, Part::Fact("Note", _));
        let kept = section.parts.iter().filter(|part| !elsewhere(part) && !said(part));
        let parts: Vec<Part> = kept.map(|part| in_full(part, reason)).collect();
        if !parts.is_empty() && !repeated {
            sections.push(Section { title: section.title, parts });
        }
    }
    sections
}

/// The reason why a person is called whole, where a message has to cut it; what to do by hand stands above it.
fn in_full(part: &Part, reason: &str) -> Part {
    match part {
        Part::Fact(label @ "Why automation stopped", _) => {
            let (why, _) = reason.split_once(" By hand: ").unwrap_or((reason, ""));
            Part::Fact(label, Line::of(clean(why, LONGEST_REASON)))
        }
        other => other.clone(),
    }
}
