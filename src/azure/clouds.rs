//! The Azure clouds: which hosts belong to the configured one, and which never get a request or a token.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::domain::key_uri::VaultHost;

/// The scope of Azure Storage, the same in every cloud (Microsoft, "authorize access to blobs using Microsoft Entra ID").
pub const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// An Azure cloud (endpoints: Microsoft, "compare Azure clouds"; Key Vault "about keys, secrets and certificates").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// Azure for everybody.
    #[default]
    Public,
    /// Azure Government of the United States.
    UsGovernment,
    /// Azure in China, run by 21Vianet.
    China,
}

/// What the settings say about the cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudConfig {
    /// Which cloud's names are used.
    pub cloud: Cloud,
    /// Another Resource Manager address. Plain http only on a loopback address.
    pub arm: Option<String>,
    /// Another address for every key vault, loopback only; the vault's own name goes into the `Host` header. When `arm`
    /// is a loopback address and this is not given, it is the same address.
    pub vault: Option<String>,
}

/// The addresses of one cloud, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub(crate) arm: Url,
    pub(crate) arm_scope: String,
    pub(crate) vault_scope: String,
    pub(crate) vault_suffix: &'static str,
    pub(crate) hsm_suffix: &'static str,
    pub(crate) vault_override: Option<Url>,
    cloud: Cloud,
}

/// Why the settings of the cloud or the credential can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an absolute http(s) URL without path, query, user or password.
    #[error("[azure] {setting} = {value:?} is not an address such as https://management.azure.com")]
    NotAnAddress {
        /// The setting's name.
        setting: &'static str,
        /// What it was set to.
        value: String,
    },
    /// Plain http off the machine.
    #[error(
        "[azure] {setting} = {value:?} is plain http, which is allowed only on a loopback address such as 127.0.0.1; use https"
    )]
    PlainHttp {
        /// The setting's name.
        setting: &'static str,
        /// What it was set to.
        value: String,
    },
    /// A vault override that is not on this machine.
    #[error(
        "[azure] vault = {0:?} is not a loopback address; it replaces every key vault and exists for a simulated cloud only"
    )]
    VaultOffMachine(String),
    /// A static token with a cloud that is not on this machine.
    #[error(
        "a static token is allowed only when the cloud is on a loopback address, and [azure] arm is {0:?}; choose another credential"
    )]
    StaticTokenOffMachine(String),
    /// Something a credential needs is absent.
    #[error("the {credential} credential needs {missing}")]
    CredentialSetting {
        /// Which credential.
        credential: &'static str,
        /// What it needs.
        missing: &'static str,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built: {0}")]
    Client(String),
}

impl Endpoints {
    /// The addresses of `cloud` itself.
    ///
    /// # Errors
    /// Never in practice: the addresses are constants.
    pub fn of(cloud: Cloud) -> Result<Self, ConfigError> {
        let (arm, vault_suffix, hsm_suffix) = match cloud {
            Cloud::Public => ("https://management.azure.com/", ".vault.azure.net", ".managedhsm.azure.net"),
            Cloud::UsGovernment => {
                ("https://management.usgovcloudapi.net/", ".vault.usgovcloudapi.net", ".managedhsm.usgovcloudapi.net")
            }
            Cloud::China => ("https://management.chinacloudapi.cn/", ".vault.azure.cn", ".managedhsm.azure.cn"),
        };
        Ok(Self {
            arm_scope: format!("{arm}.default"),
            vault_scope: format!("https://{}/.default", vault_suffix.trim_start_matches('.')),
            arm: address("arm", arm)?,
            vault_suffix,
            hsm_suffix,
            vault_override: None,
            cloud,
        })
    }

    /// The addresses that the settings ask for.
    ///
    /// # Errors
    /// [`ConfigError`] for an address that could carry a token where it must not go.
    pub fn from_config(config: &CloudConfig) -> Result<Self, ConfigError> {
        let mut endpoints = Self::of(config.cloud)?;
        if let Some(arm) = &config.arm {
            endpoints.arm = address("arm", arm)?;
            if !is_loopback(&endpoints.arm) {
                // A token for one cloud's Resource Manager must never go to another host: ask for one of that host.
                endpoints.arm_scope = format!("{}.default", endpoints.arm);
            } else if config.vault.is_none() {
                endpoints.vault_override = Some(endpoints.arm.clone());
            }
        }
        if let Some(vault) = &config.vault {
            let url = address("vault", vault)?;
            if !is_loopback(&url) {
                return Err(ConfigError::VaultOffMachine(vault.clone()));
            }
            endpoints.vault_override = Some(url);
        }
        Ok(endpoints)
    }

    /// Endpoints of a simulated cloud that answers everything at one loopback address, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`ConfigError`] if the address is not a loopback address.
    pub fn simulated(address: &str) -> Result<Self, ConfigError> {
        let text = address.to_owned();
        Self::from_config(&CloudConfig { cloud: Cloud::Public, arm: Some(text.clone()), vault: Some(text) })
    }

    /// Which cloud's names are used.
    #[must_use]
    pub const fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The Resource Manager's address.
    #[must_use]
    pub const fn arm(&self) -> &Url {
        &self.arm
    }

    /// Whether every request stays on this machine.
    #[must_use]
    pub fn on_this_machine(&self) -> bool {
        is_loopback(&self.arm) && self.vault_override.as_ref().is_some_and(is_loopback)
    }

    /// Whether the vault or managed HSM belongs to this cloud. Others never get a request.
    #[must_use]
    pub fn owns(&self, host: &VaultHost) -> bool {
        host.as_str().ends_with(self.vault_suffix) || host.as_str().ends_with(self.hsm_suffix)
    }

    /// What follows `ACCOUNT.blob.` and `ACCOUNT.queue.` in the hosts of this cloud's storage accounts.
    #[must_use]
    pub const fn storage_suffix(&self) -> &'static str {
        match self.cloud {
            Cloud::Public => "core.windows.net",
            Cloud::UsGovernment => "core.usgovcloudapi.net",
            Cloud::China => "core.chinacloudapi.cn",
        }
    }

    /// The host of the vault of this name.
    #[must_use]
    pub fn vault_host(&self, name: &str) -> Option<VaultHost> {
        VaultHost::parse(&format!("{name}{}", self.vault_suffix))
    }
}

pub(super) fn address(setting: &'static str, text: &str) -> Result<Url, ConfigError> {
    let wrong = || ConfigError::NotAnAddress { setting, value: text.to_owned() };
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() || url.host().is_none() {
        return Err(wrong());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(ConfigError::PlainHttp { setting, value: text.to_owned() }),
        _ => Err(wrong()),
    }
}

/// Whether the host is a literal loopback address. Names are not: what `localhost` is, a resolver decides.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arm: Option<&str>, vault: Option<&str>) -> CloudConfig {
        CloudConfig { cloud: Cloud::Public, arm: arm.map(str::to_owned), vault: vault.map(str::to_owned) }
    }

    #[test]
    fn every_cloud_has_its_own_hosts_and_scopes() {
        for (cloud, arm, host) in [
            (Cloud::Public, "management.azure.com", "contoso-kv.vault.azure.net"),
            (Cloud::UsGovernment, "management.usgovcloudapi.net", "contoso-kv.vault.usgovcloudapi.net"),
            (Cloud::China, "management.chinacloudapi.cn", "contoso-kv.vault.azure.cn"),
        ] {
            let endpoints = Endpoints::of(cloud).unwrap();
            assert_eq!(endpoints.arm.host_str(), Some(arm));
            assert_eq!(endpoints.arm_scope, format!("https://{arm}/.default"));
            let vault = VaultHost::parse(host).unwrap();
            assert!(endpoints.owns(&vault));
            assert_eq!(endpoints.vault_host("contoso-kv"), Some(vault.clone()));
            let owners = [Cloud::Public, Cloud::UsGovernment, Cloud::China];
            assert_eq!(owners.iter().filter(|cloud| Endpoints::of(**cloud).unwrap().owns(&vault)).count(), 1);
        }
    }

    #[test]
    fn plain_http_only_on_loopback() {
        for ok in ["http://127.0.0.1:8080", "http://[::1]:8080", "https://arm.example"] {
            assert!(Endpoints::from_config(&config(Some(ok), None)).is_ok(), "{ok}");
        }
        for bad in [
            "http://10.0.0.1:8080",
            "http://management.azure.com",
            "http://localhost:8080",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "http://user:pw@127.0.0.1",
            "https://arm.example/path",
            "management.azure.com",
        ] {
            assert!(Endpoints::from_config(&config(Some(bad), None)).is_err(), "{bad}");
        }
        assert!(matches!(
            Endpoints::from_config(&config(None, Some("https://vault.example"))),
            Err(ConfigError::VaultOffMachine(_))
        ));
    }

    #[test]
    fn a_loopback_cloud_keeps_vault_requests_on_the_machine() {
        let endpoints = Endpoints::from_config(&config(Some("http://127.0.0.1:8080"), None)).unwrap();
        assert!(endpoints.on_this_machine());
        assert_eq!(endpoints.vault_override.as_ref().map(Url::as_str), Some("http://127.0.0.1:8080/"));
        assert!(!Endpoints::of(Cloud::Public).unwrap().on_this_machine());
    }

    #[test]
    fn a_foreign_resource_manager_gets_tokens_of_its_own() {
        let endpoints = Endpoints::from_config(&config(Some("https://arm.example"), None)).unwrap();
        assert_eq!(endpoints.arm_scope, "https://arm.example/.default");
    }
}
