//! `keymend incidents`: see incidents and answer what Keymend asks, on the store that `serve` uses, while it runs or not.

mod jobs;
pub(in crate::cli) mod layout;
mod list;
mod page;
mod remembered;
mod said;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::environment;
use crate::cli::memory::MemoryArgs;
use crate::cli::output::{misused, plain, say};
use crate::responder::answer::{Answer, Said};
use crate::settings::StoreLocation;
use remembered::{Failure, Remembered};

/// See incidents, and answer what Keymend asks
#[derive(Debug, clap::Args)]
#[command(after_help = "\
ID is an incident's id, or the beginning or end of one that only one incident has.
Exit codes: 0 done; 1 refused or not found; 2 command line or settings not understood.")]
pub struct IncidentsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which store, and in what form it is answered.
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List incidents, newest first
    List {
        /// Leave out those that ended
        #[arg(long)]
        open: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show all that is known of one
    Show {
        /// Which
        id: String,
    },
    /// Allow what Keymend asks to do
    Approve {
        /// Which
        id: String,
        /// The plan's code, as shown: refuses if another plan is waiting by now
        #[arg(long)]
        code: Option<String>,
        /// Who decides [default: the user of this machine]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Forbid what Keymend asks to do
    Reject {
        /// Which
        id: String,
        /// The plan's code, as shown: refuses if another plan is waiting by now
        #[arg(long)]
        code: Option<String>,
        /// Who decides [default: the user of this machine]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Have Keymend change nothing in an incident until it is released
    Hold {
        /// Which
        id: String,
        /// You mend it yourself
        #[arg(long)]
        take_over: bool,
        /// Who decides [default: the user of this machine]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Let Keymend go on with an incident that is on hold
    Release {
        /// Which
        id: String,
        /// Who decides [default: the user of this machine]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// List jobs that failed too often and were set aside, or let one be tried again
    Jobs {
        /// Let the job of this key be tried again
        #[arg(long, value_name = "KEY")]
        retry: Option<String>,
    },
    /// End an incident: nothing more is watched or mended
    Close {
        /// Which
        id: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Who decides [default: the user of this machine]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

/// Runs it.
pub async fn run(args: IncidentsArgs) -> ExitCode {
    let location = match args.memory.location() {
        Ok(location) => location,
        Err(problems) => return misused(&problems.to_string()),
    };
    match run_on(&location, &args).await {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(failure) => args.memory.fail(&failure),
    }
}

async fn run_on(location: &StoreLocation, args: &IncidentsArgs) -> Result<String, Failure> {
    let memory = Remembered::open(location).await?;
    let now = memory.clock.now();
    let as_json = args.memory.json;
    match &args.command {
        Command::List { open, limit } => {
            let incidents = memory.store.incidents(*open, *limit).await?;
            Ok(if as_json { list::json(&incidents, now).to_string() } else { list::table(&incidents, now) })
        }
        Command::Show { id } => {
            let (incident, _) = memory.find(id).await?;
            Ok(if as_json { pretty(&page::json(&incident, now)) } else { page::page(&incident, now) })
        }
        Command::Approve { id, code, by } => {
            let answer = Answer::Approve { code: code.clone() };
            memory.answer(id, &answer, &who(by.as_deref())?).await.map(|said| words(&said, as_json))
        }
        Command::Reject { id, code, by, why } => {
            let answer = Answer::Reject { code: code.clone(), why: why.clone() };
            memory.answer(id, &answer, &who(by.as_deref())?).await.map(|said| words(&said, as_json))
        }
        Command::Hold { id, take_over, by, why } => {
            let answer = Answer::Hold { why: why.clone(), taken_over: *take_over };
            memory.answer(id, &answer, &who(by.as_deref())?).await.map(|said| words(&said, as_json))
        }
        Command::Release { id, by, why } => {
            let answer = Answer::Release { why: why.clone() };
            memory.answer(id, &answer, &who(by.as_deref())?).await.map(|said| words(&said, as_json))
        }
        Command::Jobs { retry: None } => {
            let aside = memory.store.poison().await?;
            Ok(if as_json { jobs::json(&aside).to_string() } else { jobs::table(&aside) })
        }
        Command::Jobs { retry: Some(key) } => {
            if !memory.store.poison_retry(key, now).await? {
                return Err(Failure::NoJob(plain(key)));
            }
            Ok(if as_json { json!({ "job": key, "due": now }).to_string() } else { jobs::put_back(key) })
        }
        Command::Close { id, why, by } => {
            let answer = Answer::Close { why: why.clone() };
            memory.answer(id, &answer, &who(by.as_deref())?).await.map(|said| words(&said, as_json))
        }
    }
}

fn words(said: &Said, as_json: bool) -> String {
    if as_json { said::json(said).to_string() } else { said::words(said) }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The longest name that is recorded.
const LONGEST_NAME: usize = 128;

/// Who answers: as given, else the user of this machine.
fn who(given: Option<&str>) -> Result<String, Failure> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => user_of_this_machine().ok_or(Failure::Nobody)?,
    };
    let name: String = plain(&name).trim().chars().take(LONGEST_NAME).collect();
    if name.is_empty() { Err(Failure::Nobody) } else { Ok(name) }
}

fn user_of_this_machine() -> Option<String> {
    let named = |variable: &str| environment(variable).filter(|name| !name.trim().is_empty());
    if let Some(person) = named("SUDO_USER") {
        return Some(person);
    }
    let asked = || {
        let answer = std::process::Command::new("whoami").output().ok()?;
        let name = String::from_utf8(answer.stdout).ok()?;
        (answer.status.success() && !name.trim().is_empty()).then(|| name.trim().to_owned())
    };
    named("USER").or_else(|| named("LOGNAME")).or_else(|| named("USERNAME")).or_else(asked)
}
