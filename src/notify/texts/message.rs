//! A message as it is laid out, whatever shows it: banner, facts, sections, details, links.

use jiff::Timestamp;

use crate::domain::incident::IncidentId;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::words::Line;

/// How something that was checked or tried went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Right, or done.
    Ok,
    /// Wrong, or failed.
    Fail,
    /// Not known.
    Unknown,
    /// Not done, because it was not needed.
    Skip,
}

impl Mark {
    /// The mark in letters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Fail => "FAIL",
            Self::Unknown => "?",
            Self::Skip => "SKIP",
        }
    }
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A label of ours and what is to be said to it.
    Fact(&'static str, Line),
    /// Something that was checked or tried.
    Marked(Mark, Line),
    /// A step, numbered from 1.
    Step(usize, Line),
    /// Running text.
    Text(Line),
    /// Something to be copied.
    Command(Line),
}

/// A few lines under a heading of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading; the facts at the top have none.
    pub title: Option<&'static str>,
    /// The lines.
    pub parts: Vec<Part>,
}

impl Section {
    /// Lines without a heading.
    #[must_use]
    pub const fn untitled(parts: Vec<Part>) -> Self {
        Self { title: None, parts }
    }

    /// Lines under a heading.
    #[must_use]
    pub const fn titled(title: &'static str, parts: Vec<Part>) -> Self {
        Self { title: Some(title), parts }
    }
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The page of one database.
    Database(ResourceId),
    /// The page of one server.
    Server(ResourceId),
    /// The page of the key vault.
    Vault(ResourceId),
    /// The team's own instructions.
    Runbook,
    /// The incident's own page.
    Incident {
        /// Which.
        id: IncidentId,
        /// When the link was made.
        at: Timestamp,
    },
    /// The same page, where the question is answered.
    Decide {
        /// Which incident.
        id: IncidentId,
        /// The hash of the plan that is asked about.
        plan_hash: String,
        /// Until when an answer counts.
        until: Timestamp,
    },
}

impl Link {
    /// The button's words: short, since phones cut what is longer.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Database(_) => "Database",
            Self::Server(_) => "Server",
            Self::Vault(_) => "Vault",
            Self::Runbook => "Runbook",
            Self::Incident { .. } => "Incident",
            Self::Decide { .. } => "Review and decide",
        }
    }
}

/// How urgent a message looks. Never the only carrier of its meaning: the phase is in words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something is down, or a person must act.
    Attention,
    /// Something is wrong and being dealt with, or a decision is due.
    Warning,
    /// For information.
    Accent,
    /// It is over.
    Good,
}

/// A message, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How urgent it looks.
    pub tone: Tone,
    /// The phase in words. Our own text.
    pub banner: String,
    /// The headline.
    pub headline: Line,
    /// What it means, in a sentence or two.
    pub meaning: Line,
    /// The sections, the most important first.
    pub sections: Vec<Section>,
    /// The names of the databases, where they are only counted above.
    pub databases: Option<Line>,
    /// What happens next and when the next message comes.
    pub next: Line,
    /// Ids, proof, timeline: hidden until asked for.
    pub details: Vec<Section>,
    /// Links, the most important first.
    pub links: Vec<Link>,
    /// The incident and the number of this message.
    pub footer: Line,
}

impl Message {
    /// The message as plain text, with `details` if wanted. Lines are not wrapped.
    #[must_use]
    pub fn to_text(&self, details: bool) -> String {
        let mut out = vec![self.banner.clone(), self.headline.to_string(), self.meaning.to_string()];
        let mut section = |section: &Section| {
            out.push(String::new());
            out.extend(section.title.map(str::to_owned));
            out.extend(section.parts.iter().map(|part| match part {
                Part::Fact(label, line) => format!("  {label}: {line}"),
                Part::Marked(mark, line) => format!("  {:<4} {line}", mark.word()),
                Part::Step(number, line) => format!("  {number}. {line}"),
                Part::Text(line) => format!("  {line}"),
                Part::Command(line) => format!("     {line}"),
            }));
        };
        self.sections.iter().for_each(&mut section);
        if let Some(names) = &self.databases {
            section(&Section::untitled(vec![Part::Fact("Databases", names.clone())]));
        }
        if !self.next.is_empty() {
            section(&Section::titled("What happens next", vec![Part::Text(self.next.clone())]));
        }
        if details {
            self.details.iter().for_each(&mut section);
        }
        out.push(String::new());
        out.push(self.footer.to_string());
        out.join("\n")
    }
}
