//! Text that must not be shown: webhook addresses, signing keys, tokens.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What App Service puts into a setting whose Key Vault reference it could not resolve: the reference itself
/// (Microsoft, "Use Key Vault references as app settings").
const UNRESOLVED: &str = "@Microsoft.KeyVault(";

/// A text that is only handed out by [`Secret::expose`]. Shown, it is `***` and a fingerprint of six hex digits, by
/// which two people can tell whether they talk about the same secret.
#[derive(Clone)]
pub struct Secret(String);

/// Why a setting's value is no usable secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// The platform did not resolve the Key Vault reference.
    #[error(
        "the setting `{0}` holds an unresolved Key Vault reference (`{UNRESOLVED}…`): the app's identity could not \
         read that secret. Open the app's environment variables in the portal to see why, and do not keep \
         Keymend's own secrets in a vault that it repairs"
    )]
    Unresolved(String),
    /// Nothing, or only blanks.
    #[error("the setting `{0}` is empty")]
    Empty(String),
}

impl Secret {
    /// Wraps a text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads the value of the setting called `setting`; surrounding blanks are dropped.
    ///
    /// # Errors
    /// [`InvalidSecret`], naming the setting and never the value.
    pub fn from_setting(setting: &str, value: &str) -> Result<Self, InvalidSecret> {
        let value = value.trim();
        let begins_unresolved =
            value.get(..UNRESOLVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(UNRESOLVED));
        if value.is_empty() {
            Err(InvalidSecret::Empty(setting.to_owned()))
        } else if begins_unresolved {
            Err(InvalidSecret::Unresolved(setting.to_owned()))
        } else {
            Ok(Self(value.to_owned()))
        }
    }

    /// The text itself. Whoever calls this keeps it out of logs and errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first six hex digits of the text's SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes())).chars().take(6).collect()
    }

    /// Whether `offered` is this secret, in a time that does not tell how much of it was right.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        let hash = |text: &str| Sha256::digest(text.as_bytes());
        bool::from(hash(&self.0).ct_eq(&hash(offered)))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*** ({})", self.fingerprint())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_only_a_fingerprint() {
        let secret = Secret::new("https://flow.example/?sig=abc");
        for shown in [format!("{secret}"), format!("{secret:?}"), format!("{:#?}", Some(&secret))] {
            assert!(!shown.contains("flow") && !shown.contains("abc"), "{shown}");
            assert!(shown.contains("***") && shown.contains(&secret.fingerprint()), "{shown}");
        }
        assert_eq!(secret.fingerprint().len(), 6);
        assert_ne!(secret.fingerprint(), Secret::new("other").fingerprint());
    }

    #[test]
    fn refuses_an_unresolved_reference_and_names_the_setting() {
        for value in ["@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/n/)", " @microsoft.keyvault(x)"]
        {
            let error = Secret::from_setting("TEAMS_URL", value).err();
            assert_eq!(error, Some(InvalidSecret::Unresolved("TEAMS_URL".to_owned())));
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("TEAMS_URL") && !text.contains("secrets/n"), "{text}");
        }
        assert_eq!(Secret::from_setting("X", "  ").err(), Some(InvalidSecret::Empty("X".to_owned())));
        assert!(Secret::from_setting("X", " abc ").is_ok_and(|secret| secret.matches("abc") && !secret.matches("abd")));
    }
}
