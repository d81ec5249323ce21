//! `[store]`: where we remember.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::SignedDuration;
use toml::Table;

use super::problem::{Problem, Problems};
use super::section::{Named, Section, Sources};
use super::storage;
use crate::store::AzureStorageSettings;

const INSTEAD: &str = "Write sqlite: and a path, such as sqlite:keymend.db, or azure";

/// Where we remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A container and a queue in Azure Storage.
    Azure(Box<AzureStorageSettings>),
}

impl Default for StoreLocation {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("keymend.db"))
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Azure(settings) => {
                write!(f, "the container {} of the storage account {}", settings.container, settings.account.name())
            }
        }
    }
}

/// What `location` or `--store` says: which kind of store, and for a file where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `azure`: the settings `AzureWebJobsStorage…` of the environment say which account.
    Azure,
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("azure") {
            return Ok(Self::Azure);
        }
        let path = text.trim().strip_prefix("sqlite:").ok_or_else(|| {
            format!(
                "{text:?} names no store that there is: write sqlite: and a path, such as sqlite:keymend.db, or azure"
            )
        })?;
        // sqlite:///var/lib/keymend.db is how URLs of this kind are often written.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') {
            return Err(format!(
                "{text:?} names no file, and memory alone would forget: write a path, such as sqlite:keymend.db"
            ));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl StoreChoice {
    /// The store itself, with what the environment says of it.
    ///
    /// # Errors
    /// [`Problems`] of the settings `AzureWebJobsStorage…`.
    pub fn locate(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<StoreLocation, Problems> {
        match self {
            Self::Sqlite(path) => Ok(StoreLocation::Sqlite(path.clone())),
            Self::Azure => storage::read(env)
                .map(|settings| StoreLocation::Azure(Box::new(settings)))
                .map_err(|list| Problems { source_name: "the environment".to_owned(), list }),
        }
    }
}

/// Whoever has this variable was started by the Functions host, which has a storage account and keeps no files.
const HOSTED: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

/// For how many days incidents may be kept.
const KEPT_DAYS: (u32, u32) = (0, 36_500);
/// For how many they are kept where nothing else is said: longer than auditors look back.
const USUALLY_KEPT_DAYS: u32 = 730;

/// What `[store]` says.
pub(super) struct Remembering {
    pub location: StoreLocation,
    /// `None`: for ever.
    pub keep_incidents: Option<SignedDuration>,
}

/// Reads `[store]`. Under the Functions host the usual place is the host's own storage account.
pub(super) fn store(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Remembering {
    let mut section = Section::open(file, "store", sources, problems);
    let named = section.text("location", Some("KEYMEND_STORE"), INSTEAD);
    let hosted = (sources.env)(HOSTED).is_some_and(|port| !port.trim().is_empty());
    let named = named.map(|Named { setting, value }| (setting.contains('.'), value.parse::<StoreChoice>(), setting));
    let chosen = match named {
        Some((true, Ok(StoreChoice::Sqlite(path)), _)) => Some(StoreChoice::Sqlite(beside(sources.folder, path))),
        Some((_, Ok(choice), _)) => Some(choice),
        Some((_, Err(why), setting)) => {
            section.report(Problem::new(setting, why, INSTEAD));
            None
        }
        None => hosted.then_some(StoreChoice::Azure),
    };
    let located = chosen.map(|choice| choice.locate(sources.env));
    let location = located.unwrap_or_else(|| Ok(StoreLocation::default())).unwrap_or_else(|wrong| {
        wrong.list.into_iter().for_each(|problem| section.report(problem));
        StoreLocation::default()
    });
    let days =
        section.number("keep_incidents_days", Some("KEYMEND_KEEP_INCIDENTS_DAYS"), KEPT_DAYS, "days (0: for ever)");
    section.close();
    let keep_incidents = match days.unwrap_or(USUALLY_KEPT_DAYS) {
        0 => None,
        days => Some(SignedDuration::from_hours(24 * i64::from(days))),
    };
    Remembering { location, keep_incidents }
}

fn beside(folder: &Path, path: PathBuf) -> PathBuf {
    if folder.as_os_str().is_empty() { path } else { folder.join(path) }
}
