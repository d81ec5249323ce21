//! What was found, and what to do about it.

use serde::Serialize;
use serde_json::{Value, json};

/// How a check ended, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is there.
    Ok,
    /// It works, and could be better.
    Warning,
    /// It could not be found out.
    Unknown,
    /// Something that is needed is not there.
    Missing,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Missing => "MISSING",
        }
    }
}

/// A right that is not held, in Azure's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// Such as `Microsoft.KeyVault/vaults/write`, or `keys update` in a vault with access policies.
    pub right: String,
    /// On what: a resource id.
    pub scope: String,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// In words.
    pub what: String,
    /// Commands to copy, in order; none where words must do.
    pub run: Vec<String>,
}

impl Fix {
    /// Words alone.
    pub fn words(what: impl Into<String>) -> Self {
        Self { what: what.into(), run: Vec::new() }
    }

    /// Words and one command.
    pub fn command(what: impl Into<String>, run: impl Into<String>) -> Self {
        Self { what: what.into(), run: vec![run.into()] }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it ended.
    pub state: State,
    /// The proof, or why there is none.
    pub said: String,
    /// The right that is missing, if that is what is wrong.
    pub lacking: Option<Lacking>,
    /// What to do now.
    pub fix: Option<Fix>,
}

impl Check {
    fn new(state: State, name: impl Into<String>, said: impl Into<String>) -> Self {
        Self { name: name.into(), state, said: said.into(), lacking: None, fix: None }
    }

    /// It is there.
    pub fn ok(name: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Ok, name, said)
    }

    /// It works, and could be better.
    pub fn warning(name: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Warning, name, said)
    }

    /// It could not be found out.
    pub fn unknown(name: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Unknown, name, said)
    }

    /// It is needed and not there.
    pub fn missing(name: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Missing, name, said)
    }

    /// With what to do now.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// For want of a right.
    #[must_use]
    pub fn lacking(mut self, right: impl Into<String>, scope: impl Into<String>) -> Self {
        self.lacking = Some(Lacking { right: right.into(), scope: scope.into() });
        self
    }
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What they are about.
    pub name: &'static str,
    /// At least one.
    pub checks: Vec<Check>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they are told.
    pub sections: Vec<Section>,
}

impl Report {
    /// Every check.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.sections.iter().flat_map(|section| &section.checks)
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.checks().filter(|check| check.state == state).count()
    }

    /// Whether all that is needed was seen to be there.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.checks().all(|check| check.state <= State::Warning)
    }

    /// What to do, each thing once, the most needed first, with the names of the checks that it is for.
    #[must_use]
    pub fn to_do(&self) -> Vec<(State, &Fix, Vec<&str>)> {
        let mut list: Vec<(State, &Fix, Vec<&str>)> = Vec::new();
        for check in self.checks() {
            let Some(fix) = &check.fix else { continue };
            match list.iter_mut().find(|(_, known, _)| *known == fix) {
                Some((state, _, names)) => {
                    *state = (*state).max(check.state);
                    if !names.contains(&check.name.as_str()) {
                        names.push(&check.name);
                    }
                }
                None => list.push((check.state, fix, vec![&check.name])),
            }
        }
        list.sort_by_key(|(state, ..)| std::cmp::Reverse(*state));
        list
    }

    /// The whole of it for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let count = |state: State| self.count(state);
        json!({
            "well": self.is_well(),
            "ok": count(State::Ok),
            "warning": count(State::Warning),
            "unknown": count(State::Unknown),
            "missing": count(State::Missing),
            "sections": self.sections,
        })
    }
}
