//! The `keymend` command. See `keymend help`, and the library's front page for the map of the code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use keymend::cli::replay::{self, ReplayArgs};
#[cfg(feature = "drill")]
use keymend::cli::sim::{self, SimArgs};

/// Repairs lost access of Azure SQL to its customer-managed TDE key.
#[derive(Parser)]
#[command(version)]
struct Keymend {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Replay(ReplayArgs),
    /// The simulated cloud alone.
    #[cfg(feature = "drill")]
    Sim(SimArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Keymend::parse().command {
        Command::Replay(args) => replay::run(&args),
        #[cfg(feature = "drill")]
        Command::Sim(args) => sim::run(args).await,
    }
}
