//! What is wrong with the settings, in words that say what to write instead.

use std::fmt;

use crate::domain::remedy::Remedy;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting: `policy.preset`, or the name of an environment variable.
    pub setting: String,
    /// What it was set to, unless that is a secret or nothing.
    pub value: Option<String>,
    /// Why that cannot be used.
    pub why: String,
    /// What to write instead.
    pub instead: String,
}

impl Problem {
    pub(super) fn new(setting: impl Into<String>, why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { setting: setting.into(), value: None, why: why.into(), instead: instead.into() }
    }

    pub(super) fn with(mut self, value: impl fmt::Display) -> Self {
        // Enough to be recognised; the file itself is at hand.
        let shown: String = value.to_string().chars().take(120).collect();
        self.value = Some(shown);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, why, instead } = self;
        match value {
            Some(value) => write!(f, "{setting} = {value}: {why}. {instead}"),
            None => write!(f, "{setting}: {why}. {instead}"),
        }
    }
}

/// Everything that is wrong, found in one go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file, or what stands for it.
    pub source_name: String,
    /// At least one.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let (verb, noun) = if count == 1 { ("is", "thing") } else { ("are", "things") };
        write!(f, "the settings cannot be used; there {verb} {count} {noun} to correct ({}):", self.source_name)?;
        self.list.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// `; did you mean "…"?` if one of the candidates is close enough to have been meant.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let closest = candidates.into_iter().map(|known| (distance(&word, &plain(known)), known)).min();
    match closest {
        Some((far, known)) if far <= (known.len() / 3).max(2) && far < known.len() => {
            format!("; did you mean {known:?}?")
        }
        _ => ".".to_owned(),
    }
}

/// Edits (insert, remove, replace a character) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The names of all remedies.
pub(super) fn remedy_names() -> Vec<&'static str> {
    Remedy::ALL.iter().map(|remedy| remedy.name()).collect()
}

/// `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        assert_eq!(did_you_mean("recover-valt", remedy_names()), "; did you mean \"recover_vault\"?");
        assert_eq!(did_you_mean("Gaurded", ["observe", "guarded", "auto"]), "; did you mean \"guarded\"?");
        assert_eq!(did_you_mean("xyz", ["observe", "guarded", "auto"]), ".");
        assert_eq!(did_you_mean("ulr", ["url", "url_env"]), "; did you mean \"url\"?");
        assert_eq!(did_you_mean("", ["a"]), ".");
    }
}
