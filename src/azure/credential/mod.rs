//! A bearer token for a scope: from a managed identity, a workload identity, a client secret, a developer's tools, or (for
//! a simulated cloud on this machine only) a fixed text.
//!
//! | file | job |
//! |---|---|
//! | `cache` | one token a scope, renewed early, never asked for twice at once |
//! | `identity` | the official crate's credentials, made when first needed |
//! | `refusal` | why there is no token, in words that say what to do |
//! | `sdk` | our credential as the official storage crates take it |

mod cache;
mod identity;
mod refusal;
mod sdk;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use jiff::Timestamp;
use serde::Deserialize;

use crate::azure::clouds::{ConfigError, Endpoints};
use crate::azure::error::AzureError;
use crate::clock::Clock;
use cache::Cache;
use identity::Identity;

/// A text that never shows up in a log, an error or a debug print.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: only for the header or body it is meant for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which credential the settings ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialConfig {
    /// A fixed token; only where the whole cloud is on a loopback address.
    Static(Secret),
    /// The managed identity of the Functions app, VM or container: the user-assigned one with this client id, else the
    /// system-assigned one.
    ManagedIdentity {
        /// Client id of a user-assigned identity.
        client_id: Option<String>,
    },
    /// Entra workload identity: the token file that `AZURE_FEDERATED_TOKEN_FILE` names is exchanged for a token.
    WorkloadIdentity {
        /// Tenant; else `AZURE_TENANT_ID` of the environment.
        tenant_id: Option<String>,
        /// Application (client) id; else `AZURE_CLIENT_ID` of the environment.
        client_id: Option<String>,
    },
    /// An application's client secret.
    ClientSecret {
        /// Tenant.
        tenant_id: String,
        /// Application (client) id.
        client_id: String,
        /// The secret.
        secret: Secret,
    },
    /// Whoever is signed in with `az`, else with `azd`.
    DeveloperTools {
        /// Tenant; else the one that the tool is signed in to.
        tenant_id: Option<String>,
    },
}

impl CredentialConfig {
    /// The name used in `keymend.toml`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static_token",
            Self::ManagedIdentity { .. } => "managed_identity",
            Self::WorkloadIdentity { .. } => "workload_identity",
            Self::ClientSecret { .. } => "client_secret",
            Self::DeveloperTools { .. } => "developer_tools",
        }
    }
}

/// Which identity that is, for people to read: kinds and ids, never a secret.
impl fmt::Display for CredentialConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(_) => f.write_str("the fixed token of a simulated cloud"),
            Self::ManagedIdentity { client_id: None } => f.write_str("the system-assigned managed identity"),
            Self::ManagedIdentity { client_id: Some(id) } => {
                write!(f, "the user-assigned managed identity with client id {id}")
            }
            Self::WorkloadIdentity { client_id: None, .. } => f.write_str("the workload identity of the environment"),
            Self::WorkloadIdentity { client_id: Some(id), .. } => {
                write!(f, "the workload identity of application {id}")
            }
            Self::ClientSecret { tenant_id, client_id, .. } => {
                write!(f, "the client secret of application {client_id} in tenant {tenant_id}")
            }
            Self::DeveloperTools { tenant_id: None } => f.write_str("whoever is signed in with az or azd"),
            Self::DeveloperTools { tenant_id: Some(id) } => {
                write!(f, "whoever is signed in to tenant {id} with az or azd")
            }
        }
    }
}

/// A token and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What goes into the `Authorization` header.
    pub secret: Secret,
    /// When it ends; `None`: never.
    pub expires: Option<Timestamp>,
}

/// Where tokens come from. Implementations need not cache.
#[async_trait]
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// A token for `scope`, such as `https://management.azure.com/.default`.
    async fn token(&self, scope: &str) -> Result<Token, AzureError>;

    /// Azure did not accept a token of this source: one that it may hold is not to be given again.
    fn forget(&self) {}
}

/// A cheaply cloned handle to a source of tokens, with a cache. Nothing is asked before the first request needs it.
#[derive(Clone)]
pub struct Credential(Arc<Inner>);

struct Inner {
    source: Arc<dyn TokenSource>,
    loopback_only: bool,
    cache: Cache,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?})", self.0.source)
    }
}

impl Credential {
    /// The credential that the settings ask for, for this cloud.
    ///
    /// # Errors
    /// [`ConfigError`] if it needs something that is not there, or a fixed token would leave the machine.
    pub fn new(config: &CredentialConfig, endpoints: &Endpoints) -> Result<Self, ConfigError> {
        if let CredentialConfig::Static(secret) = config {
            return Self::static_token(secret.clone(), endpoints);
        }
        if let CredentialConfig::ClientSecret { tenant_id, client_id, secret } = config {
            let parts =
                [(tenant_id.as_str(), "a tenant id"), (client_id, "a client id"), (secret.expose(), "a secret")];
            if let Some((_, missing)) = parts.into_iter().find(|(value, _)| value.trim().is_empty()) {
                return Err(ConfigError::CredentialSetting { credential: config.name(), missing });
            }
        }
        Ok(Self::from_source(Arc::new(Identity::new(config.clone(), endpoints.cloud()))))
    }

    /// A fixed token for a simulated cloud.
    ///
    /// # Errors
    /// [`ConfigError::StaticTokenOffMachine`] unless everything is on a loopback address.
    pub fn static_token(token: Secret, endpoints: &Endpoints) -> Result<Self, ConfigError> {
        if !endpoints.on_this_machine() {
            return Err(ConfigError::StaticTokenOffMachine(endpoints.arm().to_string()));
        }
        Ok(Self::build(Arc::new(Fixed(token)), true))
    }

    /// Tokens from elsewhere.
    #[must_use]
    pub fn from_source(source: Arc<dyn TokenSource>) -> Self {
        Self::build(source, false)
    }

    fn build(source: Arc<dyn TokenSource>, loopback_only: bool) -> Self {
        Self(Arc::new(Inner { source, loopback_only, cache: Cache::default() }))
    }

    /// Whether it must not be used with a cloud off this machine.
    pub(crate) fn loopback_only(&self) -> bool {
        self.0.loopback_only
    }

    /// A token for `scope` that is good for a while yet. While a renewal fails, a token that has not ended is used on.
    ///
    /// # Errors
    /// [`AzureError::Credential`] if there is none.
    pub async fn bearer(&self, scope: &str, now: Timestamp) -> Result<Secret, AzureError> {
        Ok(self.token(scope, now).await?.secret)
    }

    /// The same with the token's end.
    pub(crate) async fn token(&self, scope: &str, now: Timestamp) -> Result<Token, AzureError> {
        self.0.cache.token(&*self.0.source, scope, now).await
    }

    /// Forgets the token for `scope` that a request sent at `sent` carried: Azure did not accept it. A token that was
    /// fetched since stays.
    pub(crate) fn forget(&self, scope: &str, sent: Timestamp) {
        if self.0.cache.forget(scope, sent) {
            self.0.source.forget();
        }
    }

    /// The same credential as the official storage crates take it: it gives tokens for Azure Storage and nothing else.
    #[must_use]
    pub fn token_credential(&self, clock: Clock) -> Arc<dyn TokenCredential> {
        Arc::new(sdk::StorageCredential::new(self.clone(), clock))
    }
}

#[derive(Debug)]
struct Fixed(Secret);

#[async_trait]
impl TokenSource for Fixed {
    async fn token(&self, _scope: &str) -> Result<Token, AzureError> {
        Ok(Token { secret: self.0.clone(), expires: None })
    }
}
