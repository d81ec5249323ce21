//! Finds secrets, however they are written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Secrets by their settings, and the ways in which each could be written.
pub struct Finder(Vec<(&'static str, Vec<String>)>);

impl Finder {
    pub fn of(secrets: &[(&'static str, String)]) -> Self {
        Self(secrets.iter().map(|(name, secret)| (*name, forms(secret))).collect())
    }

    /// The secrets that are in `bytes`, by their settings.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        let is_there = |forms: &[String]| forms.iter().any(|form| text.contains(&form.to_lowercase()));
        self.0.iter().filter(|(_, forms)| is_there(forms)).map(|(name, _)| *name).collect()
    }
}

/// As it is, escaped, in hex, and in base64 wherever it stands in what was encoded.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        hex::encode(secret),
        serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
    ];
    for lead in 0..3 {
        let padded = format!("{}{secret}", "x".repeat(lead));
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // The characters at both ends also depend on the neighbours.
            let inner = &encoded[[0, 2, 3][lead]..encoded.len() - 2];
            forms.push(inner.to_owned());
        }
    }
    forms
}
