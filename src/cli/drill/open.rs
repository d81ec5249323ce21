//! The incidents' pages in a browser, while a story is played.

use std::process::{Command, Stdio};

use crate::cli::output::say;
use crate::drill::run::Visit;

/// Shows the pages, and says where they are.
pub(super) const VISIT: Visit = Visit { begins, ends };

fn begins(address: &str) {
    say(&format!("The incidents are at {address}"));
    say("");
    // Without a browser, or without a screen, the address is enough.
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let silent =
        Command::new(opener).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    drop(silent);
}

fn ends(address: &str) {
    say("");
    say(&format!("The story is over. Its incidents stay at {address} until you press Ctrl-C."));
}
