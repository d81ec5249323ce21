//! Secrets: in a variable of the environment, in a file, or (not advised) in the settings themselves.

use super::problem::Problem;
use super::section::{Named, Section};
use crate::notify::secret::{InvalidSecret, Secret};

/// Where one kind of secret is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The setting that holds the secret itself, if that is allowed. `_env` and `_file` are added for the others.
    pub literal: Option<&'static str>,
    /// The setting's name without an ending.
    pub name: &'static str,
    /// The variable that is looked at when no setting names one.
    pub variable: Option<&'static str>,
}

/// What was found. A secret that is set up and cannot be had is a fault of the place where we run, not of the file:
/// the rest of the house goes on without it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub secrets: Vec<Secret>,
    pub faults: Vec<Problem>,
}

impl Found {
    /// Whether somebody set it up, well or not.
    pub fn is_set_up(&self) -> bool {
        !self.secrets.is_empty() || !self.faults.is_empty()
    }

    fn take(&mut self, setting: &str, from: &str, value: &str) {
        // Several secrets are divided by blanks or line ends: then each is accepted, and one can be replaced in peace.
        if let Err(error) = Secret::from_setting(from, value) {
            let instead = match error {
                InvalidSecret::Empty(_) => format!("Put the secret into {from}, or remove {setting}"),
                InvalidSecret::Unresolved(_) => {
                    "Give the app's identity the right to read that secret (a vault that Keymend does not repair is the place for it), then restart".to_owned()
                }
            };
            self.faults.push(Problem::new(setting, error.to_string(), instead));
            return;
        }
        self.secrets.extend(value.split_whitespace().map(Secret::new));
    }
}

/// Looks in all places.
pub(super) fn secrets(section: &mut Section<'_>, places: Places) -> Found {
    let Places { literal, name, variable } = places;
    let mut found = Found::default();
    if let Some(key) = literal
        && let Some(Named { setting, value }) = section.text(key, None, "Write the secret, or better name its variable")
    {
        found.take(&setting, &setting, &value);
    }
    let (by_env, by_file) = (format!("{name}_env"), format!("{name}_file"));
    let named = section.names(&by_env, "Write the name of a variable of the environment");
    let setting = section.full_name(&by_env);
    for variable_named in &named {
        match (section.sources().env)(variable_named) {
            Some(value) => found.take(&setting, variable_named, &value),
            None => {
                let why = format!("the variable {variable_named} is not set");
                let instead = format!("Set {variable_named}, or remove {setting}");
                found.faults.push(Problem::new(setting.clone(), why, instead));
            }
        }
    }
    let setting = section.full_name(&by_file);
    for file in section.names(&by_file, "Write the path of a file that holds nothing but the secret") {
        let path = section.path(&file);
        match std::fs::read_to_string(&path) {
            Ok(value) => found.take(&setting, &path.display().to_string(), &value),
            Err(error) => {
                let why = format!("{} cannot be read: {error}", path.display());
                let instead = format!("Put the secret there, or remove {setting}");
                found.faults.push(Problem::new(setting.clone(), why, instead));
            }
        }
    }
    if !named.iter().any(|name| Some(name.as_str()) == variable)
        && let Some(variable) = variable
        && let Some(value) = (section.sources().env)(variable).filter(|value| !value.trim().is_empty())
    {
        found.take(variable, variable, &value);
    }
    found
}
