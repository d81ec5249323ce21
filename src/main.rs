//! The `keymend` command. See `keymend help`, and the library's front page for the map of the code.
#![forbid(unsafe_code)]
fn main() {}
