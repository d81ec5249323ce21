//! What must hold for any bytes whatever. `fuzz_targets` give them bytes of libFuzzer's, `tests/settings.rs` those of the corpus.
//!
//! | file | bytes are |
//! |---|---|
//! | `alerts` | the body of a request to the door |
//! | `envelopes` | what the Functions host sends |
//! | `tokens` | a token of Entra, a principal of App Service, a signed link |
//! | `ids` | a resource id, a key's address |
//! | `answers` | an answer of Resource Manager or Key Vault |
//! | `settings` | `keymend.toml` |

mod alerts;
mod answers;
mod envelopes;
mod ids;
mod settings;
mod tokens;

pub use alerts::alerts;
pub use answers::answers;
pub use envelopes::envelopes;
pub use ids::ids;
pub use settings::settings;
pub use tokens::tokens;

/// Reads bytes that anybody may have written, and panics where a property does not hold.
pub type Target = fn(&[u8]);

/// The names of all, each with what it does.
pub const ALL: [(&str, Target); 6] = [
    ("alerts", alerts),
    ("envelopes", envelopes),
    ("tokens", tokens),
    ("ids", ids),
    ("answers", answers),
    ("settings", settings),
];

/// A line for people: not endless, and nothing in it that steers a terminal.
fn is_for_people(text: &str, longest: usize) {
    assert!(!text.is_empty() && text.chars().count() <= longest, "{} characters: {text:?}", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
