//! `keymend doctor`: whether everything is there that Keymend needs, and what to run where it is not.

pub(in crate::cli) mod patient;
mod send_test;
mod table;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::environment;
use crate::cli::output::{fail, misused, say};
use crate::cli::serve::clock_of;
use crate::clock::Clock;
use crate::doctor::examine;
use crate::settings::{Settings, StoreChoice};

/// Check settings, rights, store, channels, vaults and alert rules, and say what to run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads Azure and changes nothing there; the store keeps one fact. Nothing is sent to a channel but with --send-test, which
does nothing else. Takes less than a minute.
Exit codes: 0 all that is needed is there (warnings may remain), or every test message was taken; 1 something is missing or
could not be found out, or a message was not taken; 2 the settings are not understood.")]
pub struct DoctorArgs {
    /// The settings [default: keymend.toml in this folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The store, over the settings: sqlite:PATH or azure
    #[arg(long, value_name = "STORE")]
    pub store: Option<StoreChoice>,
    /// Send a marked test message through every channel, and say what came back. It calls nobody, and tickets and alerts that
    /// it opens are closed again
    #[arg(long)]
    pub send_test: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub async fn run(args: DoctorArgs) -> ExitCode {
    let mut settings = match Settings::load(args.config.as_deref(), &environment) {
        Ok(settings) => settings,
        Err(problems) => return misused(&problems.to_string()),
    };
    match args.store.map(|store| store.locate(&environment)) {
        Some(Ok(store)) => settings.store = store,
        Some(Err(problems)) => return misused(&problems.to_string()),
        None => {}
    }
    if args.send_test {
        let clock = clock_of(&settings).await.unwrap_or_else(|_| Clock::system());
        return send_test::run(&settings, &clock, args.json).await;
    }
    let patient = match patient::admit(&settings).await {
        Ok(patient) => patient,
        Err(error) => return fail(&format!("{error:#}")),
    };
    let report = examine(&patient, &progress).await;
    wipe();
    if args.json {
        say(&format!("{:#}", report.to_json()));
    } else {
        say(table::render(&report).trim_end());
    }
    if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line that tells a person who waits what is being looked at; nothing where nobody watches.
fn progress(what: &str) {
    let mut out = std::io::stderr().lock();
    if std::io::stderr().is_terminal() {
        let _ = write!(out, "\r\x1b[Klooking at {what} …").and_then(|()| out.flush());
    }
}

fn wipe() {
    let mut out = std::io::stderr().lock();
    if std::io::stderr().is_terminal() {
        let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
    }
}
