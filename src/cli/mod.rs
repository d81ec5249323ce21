//! The command line: one file a command.
//!
//! Exit codes: 0 it was done; 1 it was refused, not found or failed; 2 it was not understood (the command line or the settings).

pub mod audit;
mod channels;
pub mod diagnose;
pub mod doctor;
#[cfg(feature = "drill")]
pub mod drill;
pub mod handler;
pub mod incidents;
pub mod memory;
pub mod output;
pub mod replay;
pub mod serve;
#[cfg(feature = "drill")]
pub mod sim;
pub mod store;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Repairs lost access of Azure SQL to its customer-managed TDE key, and tells the on-call team all the way.
#[derive(Debug, Parser)]
#[command(name = "keymend", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 refused, not found or failed; 2 command line or settings not understood.
Settings: keymend.toml, see keymend.example.toml and docs/configuration.md.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take alerts and mend: runs until it is stopped
    Serve(serve::ServeArgs),
    /// Answer the Azure Functions host: how a function app runs Keymend
    Handler(handler::HandlerArgs),
    /// See incidents, and answer what Keymend asks
    Incidents(incidents::IncidentsArgs),
    /// Read saved alert bodies and say what they are; touches nothing
    Replay(replay::ReplayArgs),
    /// Look at everything in scope and say what may break it, worst first; changes nothing
    Audit(audit::AuditArgs),
    /// Look at the whole chain of one server, database or vault, and say what is broken; changes nothing
    Diagnose(diagnose::DiagnoseArgs),
    /// Back up, check and put back the file in which Keymend remembers
    Store(store::StoreArgs),
    /// Check that everything is there that Keymend needs, and say what to run where it is not
    Doctor(doctor::DoctorArgs),
    /// Watch Keymend repair a simulated cloud; the exit code tells whether every story ended as declared
    #[cfg(feature = "drill")]
    Drill(drill::DrillArgs),
    /// Run the simulated cloud alone, for a responder in another process
    #[cfg(feature = "drill")]
    Sim(sim::SimArgs),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 && handler::is_hosted() {
        return handler::run(handler::HandlerArgs::default());
    }
    match Cli::parse().command {
        Command::Handler(args) => handler::run(args),
        Command::Serve(args) => wait_for(serve::run(args)),
        Command::Incidents(args) => wait_for(incidents::run(args)),
        Command::Replay(args) => replay::run(&args),
        Command::Audit(args) => wait_for(audit::run(args)),
        Command::Diagnose(args) => wait_for(diagnose::run(args)),
        Command::Store(args) => wait_for(store::run(args)),
        Command::Doctor(args) => wait_for(doctor::run(args)),
        #[cfg(feature = "drill")]
        Command::Drill(args) => wait_for(drill::run(args)),
        #[cfg(feature = "drill")]
        Command::Sim(args) => wait_for(sim::run(args)),
    }
}

fn wait_for(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // Whatever still blocks a thread must not keep the process alive.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            output::complain(&format!("the runtime could not be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What is read from the process's environment, for [`crate::settings::Settings::load`].
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
