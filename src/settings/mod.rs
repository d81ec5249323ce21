//! `keymend.toml` and the environment, read into checked [`Settings`]. Everything that is wrong is said at once.
//!
//! | file | job |
//! |---|---|
//! | `problem` | what is wrong, and what to write instead |
//! | `section` | one table: its values, the environment's, and unknown keys |
//! | `secrets` | where secrets are found |
//! | `policy`, `azure`, `server`, `callers`, `store`, `pages` | the sections |
//! | `channels/` | who is told, one file a channel |
//! | `storage` | the storage account, as the Functions host knows it |

mod azure;
mod callers;
mod channels;
mod pages;
mod patrol;
mod policy;
mod problem;
mod secrets;
mod section;
mod server;
mod storage;
mod store;

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use toml::{Table, Value};

pub use azure::AzureSettings;
pub use callers::{Application, CallersSettings, TokenSettings};
pub use channels::{
    ChannelSettings, JiraSettings, JsmSettings, NotifySettings, PagerDutySettings, ServiceNowSettings, SlackSettings,
    TeamsAuth, TeamsMode, TeamsSettings, WebhookSettings,
};
pub use pages::{PageAccess, PagesSettings};
pub use problem::{Problem, Problems};
pub use server::{ServerSettings, listen_address};
use store::Remembering;
pub use store::{StoreChoice, StoreLocation};

use crate::domain::policy::Policy;
use crate::patrol::PatrolSettings;
use problem::did_you_mean;
use section::Sources;

/// The file that is read when none is named.
const USUAL_FILE: &str = "keymend.toml";

const SECTIONS: [&str; 11] =
    ["scope", "policy", "remedies", "gates", "patrol", "azure", "simulated", "server", "callers", "store", "pages"];

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is allowed.
    pub policy: Policy,
    /// How often we look by ourselves.
    pub patrol: PatrolSettings,
    /// The cloud.
    pub azure: AzureSettings,
    /// Where alerts come in.
    pub server: ServerSettings,
    /// Who may send alerts by a token.
    pub callers: CallersSettings,
    /// Where we remember.
    pub store: StoreLocation,
    /// For how long incidents are kept after they ended; `None`: for ever.
    pub keep_incidents: Option<SignedDuration>,
    /// Who may see the pages.
    pub pages: PagesSettings,
    /// Who is told.
    pub channels: ChannelSettings,
    /// Secrets that are set up and cannot be had. What needs them is off; the rest works.
    pub faults: Vec<Problem>,
}

impl Settings {
    /// Reads the file (`path`, else `KEYMEND_CONFIG`, else `keymend.toml` in the working directory if there is one) and
    /// the environment, which wins.
    ///
    /// # Errors
    /// [`Problems`]: all of them.
    pub fn load(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let file = File::read(path, env)?;
        file.settings(env)
    }

    /// The same from a text that is called `name`, as if it lay in the working directory.
    ///
    /// # Errors
    /// [`Problems`]: all of them.
    pub fn from_text(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        File::of_text(name.to_owned(), PathBuf::new(), text)?.settings(env)
    }

    /// Only where the store is, for commands that need nothing else: other settings may be absent or wrong.
    ///
    /// # Errors
    /// [`Problems`] of the file or of `[store]`.
    pub fn store_location(
        path: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<StoreLocation, Problems> {
        let File { name, folder, mut table } = File::read(path, env)?;
        let mut problems = Vec::new();
        let location = store::store(&mut table, Sources { env, folder: &folder }, &mut problems).location;
        if problems.is_empty() { Ok(location) } else { Err(Problems { source_name: name, list: problems }) }
    }
}

fn wrong(name: &str, why: String, instead: &str) -> Problems {
    Problems { source_name: name.to_owned(), list: vec![Problem::new(name, why, instead)] }
}

struct File {
    name: String,
    folder: PathBuf,
    table: Table,
}

impl File {
    fn read(path: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let named = path.map(Path::to_path_buf).or_else(|| env("KEYMEND_CONFIG").map(PathBuf::from));
        let Some(path) = named.clone().or_else(|| Some(PathBuf::from(USUAL_FILE)).filter(|path| path.exists())) else {
            let name = format!("no {USUAL_FILE} here, so the environment alone");
            return Ok(Self { name, folder: PathBuf::new(), table: Table::new() });
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            wrong(&name, format!("the file cannot be read: {error}"), "Name another one with --config FILE")
        })?;
        Self::of_text(name, path.parent().map(Path::to_path_buf).unwrap_or_default(), &text)
    }

    fn of_text(name: String, folder: PathBuf, text: &str) -> Result<Self, Problems> {
        let table = text.parse::<Table>().map_err(|error| {
            let place = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = place.map_or_else(String::new, |line| format!("line {line}: "));
            wrong(&name, format!("{place}{}", error.message()), "Write it as TOML, see keymend.example.toml")
        })?;
        Ok(Self { name, folder, table })
    }

    fn settings(self, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Problems> {
        let Self { name, folder, table: mut file } = self;
        let sources = Sources { env, folder: &folder };
        let (mut problems, mut faults) = (Vec::new(), Vec::new());
        let policy = policy::policy(&mut file, sources, &mut problems);
        let patrol = patrol::patrol(&mut file, sources, &mut problems);
        let azure = azure::azure(&mut file, sources, &mut problems);
        let server = server::server(&mut file, sources, &mut problems, &mut faults);
        let callers = callers::callers(&mut file, sources, azure.as_ref(), &mut problems);
        let Remembering { location: store, keep_incidents } = store::store(&mut file, sources, &mut problems);
        let pages = pages::pages(&mut file, sources, &mut problems, &mut faults);
        let mut wrong = channels::Wrong { problems: &mut problems, faults: &mut faults };
        let channels = channels::channels(&mut file, sources, &mut wrong);
        problems.extend(file.iter().map(|(key, value)| unknown(key, value)));
        match azure {
            Some(azure) if problems.is_empty() => {
                Ok(Settings { policy, patrol, azure, server, callers, store, keep_incidents, pages, channels, faults })
            }
            _ => Err(Problems { source_name: name, list: problems }),
        }
    }
}

fn unknown(key: &str, value: &Value) -> Problem {
    let sections = SECTIONS.iter().copied().chain(channels::SECTIONS);
    if value.is_table() {
        let instead = format!("Remove it{}", did_you_mean(key, sections));
        return Problem::new(format!("[{key}]"), "there is no such section", instead);
    }
    Problem::new(key, "this setting is outside of every section", "Move it below the section it belongs to")
}
