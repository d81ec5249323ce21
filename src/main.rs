//! The `keymend` command. See `keymend help`, and the library's front page for the map of the code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    keymend::cli::main()
}
