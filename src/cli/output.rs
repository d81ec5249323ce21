//! What goes to standard output and standard error. A reader that has gone away is no error.

use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code of a command line or settings that were not understood.
pub const USAGE: u8 = 2;

/// Prints a text and ends the line. Answers whether anybody still reads.
pub fn say(text: &str) -> bool {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Prints an error.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keymend: {text}");
}

/// Prints an error, and fails.
#[must_use]
pub fn fail(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}

/// Prints an error about the command line or the settings.
#[must_use]
pub fn misused(text: &str) -> ExitCode {
    complain(text);
    ExitCode::from(USAGE)
}

/// Text that somebody else wrote, fit for a terminal: on one line, and without characters that could move the cursor, change
/// colours, or turn the direction of writing around.
#[must_use]
pub fn plain(text: &str) -> String {
    if text.bytes().all(|c| (b' '..=b'~').contains(&c)) {
        return text.to_owned();
    }
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d\u{7}é"), "a [31mb c d é");
    }
}
