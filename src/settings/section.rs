//! Reads one table of the file, value by value, and notes what is wrong instead of stopping at it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::{Table, Value};

use super::problem::{Problem, did_you_mean, one_of};
use crate::notify::secret::{InvalidSecret, Secret};

/// Sections in which a text may be a secret.
const HOLD_SECRETS: [&str; 9] =
    ["azure", "server", "teams", "webhook", "slack", "servicenow", "pagerduty", "jsm", "jira"];

/// Where values come from: the environment wins over the file.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Paths in the file are relative to its folder.
    pub folder: &'a Path,
}

/// A value and the name by which its setting is known.
#[derive(Debug, Clone)]
pub(super) struct Named<T> {
    pub setting: String,
    pub value: T,
}

/// One table.
pub(super) struct Section<'a> {
    name: &'static str,
    table: Table,
    known: Vec<String>,
    sources: Sources<'a>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Section<'a> {
    /// Takes the table called `name` out of the file.
    pub fn open(file: &mut Table, name: &'static str, sources: Sources<'a>, problems: &'a mut Vec<Problem>) -> Self {
        let table = match file.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                let instead = format!("Write a section: a line [{name}], and the settings below it");
                problems.push(Problem::new(name, "this is no section", instead).with(other));
                Table::new()
            }
        };
        Self { name, table, known: Vec::new(), sources, problems }
    }

    /// The full name of a setting of this section.
    pub fn full_name(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub fn sources(&self) -> Sources<'a> {
        self.sources
    }

    /// How much was wrong up to now.
    pub fn problems(&self) -> usize {
        self.problems.len()
    }

    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether the file sets it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A value of the file as it is.
    pub fn raw(&mut self, key: &str) -> Option<Value> {
        self.known.push(key.to_owned());
        self.table.remove(key)
    }

    /// The keys that were not asked for yet.
    pub fn others(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    fn environment(&mut self, variable: Option<&str>) -> Option<Named<String>> {
        let variable = variable?;
        let value = (self.sources.env)(variable)?.trim().to_owned();
        match Secret::from_setting(variable, &value) {
            Ok(_) => Some(Named { setting: variable.to_owned(), value }),
            Err(InvalidSecret::Empty(_)) => None,
            Err(InvalidSecret::Unresolved(_)) => {
                let why = "it holds a Key Vault reference that the platform did not resolve";
                self.report(Problem::new(variable, why, "This is no secret: write the value itself"));
                None
            }
        }
    }

    /// A text.
    pub fn text(&mut self, key: &str, variable: Option<&str>, instead: &str) -> Option<Named<String>> {
        let raw = self.raw(key);
        let env = self.environment(variable);
        if env.is_some() {
            return env;
        }
        match raw? {
            Value::String(text) if !text.trim().is_empty() => {
                Some(Named { setting: self.full_name(key), value: text.trim().to_owned() })
            }
            other => {
                let why = if other.is_str() { "it is empty" } else { "it is no text in quotes" };
                let problem = Problem::new(self.full_name(key), why, instead).with(other);
                self.report(problem);
                None
            }
        }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &str, variable: Option<&str>, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let instead = format!("Write {}", one_of(&words));
        let Named { setting, value } = self.text(key, variable, &instead)?;
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&value)).map(|(_, choice)| *choice);
        if found.is_none() {
            let instead = format!("{instead}{}", did_you_mean(&value, words));
            self.report(Problem::new(setting, "there is no such choice", instead).with(format_args!("{value:?}")));
        }
        found
    }

    /// A whole number in a range.
    pub fn number(&mut self, key: &str, variable: Option<&str>, range: (u32, u32), what: &str) -> Option<u32> {
        let raw = self.raw(key);
        let (setting, value) = match self.environment(variable) {
            Some(Named { setting, value }) => {
                let number = i64::from_str(&value).map_or(Value::String(value), Value::Integer);
                (setting, number)
            }
            None => (self.full_name(key), raw?),
        };
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        let fits = number.filter(|number| (range.0..=range.1).contains(number));
        if fits.is_none() {
            let instead = format!("Write {what}, from {} to {}", range.0, range.1);
            self.report(Problem::new(setting, "it does not fit", instead).with(value));
        }
        fits
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &str, variable: Option<&str>) -> Option<bool> {
        let raw = self.raw(key);
        let (setting, value) = match self.environment(variable) {
            Some(Named { setting, value }) => {
                let flag = match value.to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" => Value::Boolean(true),
                    "false" | "0" | "no" => Value::Boolean(false),
                    _ => Value::String(value),
                };
                (setting, flag)
            }
            None => (self.full_name(key), raw?),
        };
        if value.as_bool().is_none() {
            self.report(Problem::new(setting, "it is neither", "Write true or false").with(&value));
        }
        value.as_bool()
    }

    /// Several texts. In the environment they are divided by commas or blanks.
    pub fn list(&mut self, key: &str, variable: Option<&str>, instead: &str) -> Vec<Named<String>> {
        let raw = self.raw(key);
        if let Some(Named { setting, value }) = self.environment(variable) {
            let parts = value.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
            return parts.map(|part| Named { setting: setting.clone(), value: part.to_owned() }).collect();
        }
        let setting = self.full_name(key);
        let entries = match raw {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                let instead = format!("{instead}, in square brackets: {key} = [\"…\"]");
                self.report(Problem::new(setting, "it is no list", instead).with(other));
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for entry in entries {
            match entry {
                Value::String(text) if !text.trim().is_empty() => {
                    texts.push(Named { setting: setting.clone(), value: text.trim().to_owned() });
                }
                other => {
                    let why = "an entry is no text, or empty";
                    self.report(Problem::new(setting.clone(), why, instead).with(other));
                }
            }
        }
        texts
    }

    /// One text or several, of the file alone.
    pub fn names(&mut self, key: &str, instead: &str) -> Vec<String> {
        if self.table.get(key).is_some_and(Value::is_array) {
            return self.list(key, None, instead).into_iter().map(|named| named.value).collect();
        }
        self.text(key, None, instead).into_iter().map(|named| named.value).collect()
    }

    /// A path, relative to the file's folder.
    pub fn path(&self, text: &str) -> PathBuf {
        self.sources.folder.join(text)
    }

    /// Complains about the keys that nobody asked for.
    pub fn close(self) {
        for (key, value) in &self.table {
            let known = self.known.iter().map(String::as_str);
            let why = format!("[{}] has no such setting", self.name);
            let instead = format!("Remove it{}", did_you_mean(key, known));
            // The value may be a secret that was meant for a setting of nearly this name.
            let may_be_secret = value.is_str() && HOLD_SECRETS.contains(&self.name);
            let shown = if may_be_secret { "\"…\"".to_owned() } else { value.to_string() };
            self.problems.push(Problem::new(format!("{}.{key}", self.name), why, instead).with(shown));
        }
    }
}
