//! Key URIs: which vault, key and version a TDE protector names.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Host suffixes of key vaults in the Azure clouds (reference: Key Vault "about keys, secrets and certificates").
pub const VAULT_SUFFIXES: [&str; 3] = [".vault.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn"];
/// Host suffixes of managed HSMs in the Azure clouds.
pub const HSM_SUFFIXES: [&str; 3] = [".managedhsm.azure.net", ".managedhsm.usgovcloudapi.net", ".managedhsm.azure.cn"];

/// The host of a key vault or managed HSM, in lower case, known to belong to an Azure cloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct VaultHost(String);

impl VaultHost {
    /// Reads a host name; anything that is not directly below an Azure key vault or managed HSM domain is refused, so
    /// that no token can be sent elsewhere.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        let host = host.trim().to_ascii_lowercase();
        let name = VAULT_SUFFIXES.iter().chain(&HSM_SUFFIXES).find_map(|suffix| host.strip_suffix(suffix))?;
        // Azure allows no two hyphens together (naming rules of Microsoft.KeyVault), which also keeps out punycode (`xn--`).
        let plain = !name.contains("--") && !name.starts_with('-') && !name.ends_with('-');
        let fits =
            (3..=24).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && plain;
        fits.then_some(Self(host))
    }

    /// The host name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The vault's name: the host's first label.
    #[must_use]
    pub fn vault_name(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Whether it is a managed HSM.
    #[must_use]
    pub fn is_managed_hsm(&self) -> bool {
        HSM_SUFFIXES.iter().any(|suffix| self.0.ends_with(suffix))
    }
}

impl fmt::Display for VaultHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for VaultHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a key vault's host")))
    }
}

/// A key in a vault, with or without a version: `https://{vault}.vault.azure.net/keys/{key}/{version}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUri {
    /// Where the key lives.
    pub vault: VaultHost,
    /// The key's name, as written (Key Vault compares it without case).
    pub key: String,
    /// 32 hex digits; `None` for a versionless protector.
    pub version: Option<String>,
}

impl KeyUri {
    /// Reads a key URI; a `:443` (ARM adds one) and a trailing slash are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("https://").or_else(|| text.trim().strip_prefix("HTTPS://"))?;
        let (host, path) = rest.split_once('/')?;
        let vault = VaultHost::parse(host.strip_suffix(":443").unwrap_or(host))?;
        let mut parts = path.trim_end_matches('/').split('/');
        if !parts.next()?.eq_ignore_ascii_case("keys") {
            return None;
        }
        let key = parts.next().filter(|key| is_key_name(key))?.to_owned();
        let version = match parts.next() {
            None => None,
            Some(version) if version.len() == 32 && version.chars().all(|c| c.is_ascii_hexdigit()) => {
                Some(version.to_ascii_lowercase())
            }
            Some(_) => return None,
        };
        parts.next().is_none().then_some(Self { vault, key, version })
    }

    /// The same key without its version.
    #[must_use]
    pub fn versionless(&self) -> Self {
        Self { version: None, ..self.clone() }
    }

    /// Whether both name the same key, whatever the version.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.vault == other.vault && self.key.eq_ignore_ascii_case(&other.key)
    }
}

fn is_key_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/keys/{}", self.vault, self.key)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "/{version}"))
    }
}

impl Serialize for KeyUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for KeyUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a key URI")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let versioned =
            KeyUri::parse("https://Contoso-KV.vault.azure.net:443/keys/tde-key/ee059b2bb5bc48398a53b168c6cdcb10");
        assert_eq!(
            versioned.as_ref().map(ToString::to_string).as_deref(),
            Some("https://contoso-kv.vault.azure.net/keys/tde-key/ee059b2bb5bc48398a53b168c6cdcb10")
        );
        assert_eq!(versioned.map(|key| key.vault.vault_name().to_owned()).as_deref(), Some("contoso-kv"));
        assert!(
            KeyUri::parse("https://contoso-kv.vault.azure.net/keys/tde-key").is_some_and(|key| key.version.is_none())
        );
    }

    #[test]
    fn refuses_hosts_off_azure() {
        for text in [
            "https://evil.example/keys/k",
            "https://a.vault.azure.net.evil.example/keys/k",
            "http://abc.vault.azure.net/keys/k",
            "https://x.abc.vault.azure.net/keys/k",
            "https://abc.vault.azure.net@evil.example/keys/k",
            "https://abc.vault.azure.net/secrets/k",
            "https://abc.vault.azure.net/keys/k/../x",
        ] {
            assert_eq!(KeyUri::parse(text), None, "{text}");
        }
    }
}
