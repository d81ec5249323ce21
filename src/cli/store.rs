//! `keymend store`: looks after the file in which Keymend remembers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::serve::remembered as remembered_clock;
use crate::cli::memory::MemoryArgs;
use crate::cli::output::{misused, plain, say};
use crate::clock::Clock;
use crate::responder::answer::{self, Answer, By, NotKept};
use crate::settings::StoreLocation;
use crate::store::care::{self, Checkup};
use crate::store::{SqliteStore, Store, StoreError};

/// How long a `serve` that was asked to stop may take to end.
const PREDECESSOR_ENDS: Duration = Duration::from_secs(7);
/// The most incidents that a backup may bring back open.
const MOST: usize = 100_000;

/// Back up, check and put back the file in which Keymend remembers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For a store that is a file. One in Azure Storage is kept by the account: see docs/operations.md.
Exit codes: 0 done; 1 refused or damaged; 2 command line or settings not understood.")]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which store, and in what form it is answered.
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the store as it is at this moment, while Keymend runs or not
    Backup {
        /// A new file
        to: PathBuf,
    },
    /// Look whether the store is whole, and what is in it; changes nothing
    Check,
    /// Put a backup in the store's place; Keymend must not run. Incidents that are open in it are put on hold
    Restore {
        /// A file that `backup` made
        from: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(
        "the store is {0}: this is for a store that is a file. In Azure Storage, the account keeps copies: see docs/operations.md"
    )]
    NoFile(StoreLocation),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NotKept(#[from] NotKept),
}

/// Runs it.
pub async fn run(args: StoreArgs) -> ExitCode {
    let location = match args.memory.location() {
        Ok(location) => location,
        Err(problems) => return misused(&problems.to_string()),
    };
    match run_on(&location, &args).await {
        Ok((text, code)) => {
            say(&text);
            code
        }
        Err(failure) => args.memory.fail(&failure),
    }
}

async fn run_on(location: &StoreLocation, args: &StoreArgs) -> Result<(String, ExitCode), Failure> {
    let StoreLocation::Sqlite(file) = location else { return Err(Failure::NoFile(location.clone())) };
    let as_json = args.memory.json;
    match &args.command {
        Command::Backup { to } => {
            let bytes = care::backup(file, to)?;
            let words = format!("{} was copied to {} ({})", file.display(), to.display(), size(bytes));
            let told = json!({ "store": file, "backup": to, "bytes": bytes });
            Ok((one_of(as_json, words, &told), ExitCode::SUCCESS))
        }
        Command::Check => {
            let found = care::check(file)?;
            let code = if found.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            Ok((one_of(as_json, checked(file, &found), &in_json(file, &found)), code))
        }
        Command::Restore { from } => {
            let arriving = care::bring(from, file, PREDECESSOR_ENDS)?;
            // Before it takes the place: killed in between, nothing may go on unseen.
            let held = hold_open_incidents(arriving.path()).await?;
            let kept = arriving.take_place(Clock::system().now())?;
            let told = json!({ "store": file, "backup": from, "kept": kept, "on_hold": held });
            Ok((one_of(as_json, restored(file, from, kept.as_deref(), &held), &told), ExitCode::SUCCESS))
        }
    }
}

/// What was repaired, asked and answered since the backup is not known here: nothing is changed on top of that unseen.
async fn hold_open_incidents(file: &Path) -> Result<Vec<String>, Failure> {
    let store = SqliteStore::open(file)?;
    let clock = remembered_clock(&store).await?;
    let by = By { name: "keymend store restore".to_owned(), way: "on the command line" };
    let why = "a backup was put back: what was done since it was made is not known here".to_owned();
    let hold = Answer::Hold { why: Some(why), taken_over: false };
    let mut held = Vec::new();
    for incident in store.incidents(true, MOST).await? {
        if incident.hold.is_none() {
            answer::keep(&store, &clock, &incident.id, &hold, &by, None, None).await?;
        }
        held.push(incident.id.0);
    }
    Ok(held)
}

fn one_of(as_json: bool, words: String, told: &Value) -> String {
    if as_json { told.to_string() } else { words }
}

fn restored(file: &Path, from: &Path, kept: Option<&Path>, held: &[String]) -> String {
    let mut lines = vec![format!("{} is what {} was", file.display(), from.display())];
    lines.extend(kept.map(|kept| format!("what was there before is kept as {}", kept.display())));
    if !held.is_empty() {
        lines.push(format!("on hold, for what was done since the backup is not known: {}", held.join(", ")));
        lines.push(
            "look at each (keymend incidents show ID), then let Keymend go on: keymend incidents release ID".to_owned(),
        );
    }
    lines.join("\n")
}

fn checked(file: &Path, found: &Checkup) -> String {
    let oldest = found.oldest_incident.map_or_else(String::new, |at| format!(", the oldest of {}", at.strftime("%F")));
    let mut lines = vec![
        format!("{}  schema {}", file.display(), found.schema),
        format!(
            "size       {}, {} of it free; log {}",
            size(found.bytes),
            size(found.free_bytes),
            size(found.log_bytes)
        ),
        format!("incidents  {} open, {} ended{oldest}", found.open_incidents, found.ended_incidents),
        format!("signals    {}, {} of them not taken yet", found.signals, found.untaken_signals),
        format!("jobs       {} waiting, {} set aside", found.jobs, found.jobs_set_aside),
        format!("facts      {}", found.facts),
    ];
    if found.damage.is_empty() {
        lines.push("whole: every page and every reference was looked at".to_owned());
    } else {
        lines.push("DAMAGED: keep a copy of the file, then put back a backup (keymend store restore FILE)".to_owned());
        lines.extend(found.damage.iter().map(|what| format!("  {}", plain(what))));
    }
    lines.join("\n")
}

fn in_json(file: &Path, found: &Checkup) -> Value {
    json!({
        "store": file,
        "schema": found.schema,
        "bytes": found.bytes,
        "free_bytes": found.free_bytes,
        "log_bytes": found.log_bytes,
        "incidents": { "open": found.open_incidents, "ended": found.ended_incidents, "oldest": found.oldest_incident },
        "signals": { "all": found.signals, "untaken": found.untaken_signals },
        "jobs": { "waiting": found.jobs, "set_aside": found.jobs_set_aside },
        "facts": found.facts,
        "damage": found.damage,
    })
}

/// In words, such as `3.4 MB`.
#[allow(clippy::cast_precision_loss, reason = "for people, to a tenth")]
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
