//! The `keymend` command. See `keymend help`, and the library's front page for the map of the code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The C library's allocator is slow where the deployed binary has it (musl), and here it costs an eighth of a storm.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keymend::cli::main()
}
