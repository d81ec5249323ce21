//! A person's word that nothing is to be changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// As long as it stands, Keymend watches and changes nothing, whatever policy allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Why, if it was said.
    pub why: Option<String>,
    /// The person mends it, as opposed to wanting time to think.
    pub taken_over: bool,
}
