//! A bearer token for a scope: from a managed identity, a workload identity, a client secret, a developer's tools, or (for
//! a simulated cloud on this machine only) a fixed text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};

use crate::azure::clouds::{Cloud, ConfigError, Endpoints};
use crate::azure::error::AzureError;
use crate::clock::add;

/// A token is renewed this long before it ends.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

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
    /// Entra workload identity; `AZURE_CLIENT_ID`, `AZURE_TENANT_ID` and `AZURE_FEDERATED_TOKEN_FILE` are in the environment.
    WorkloadIdentity,
    /// An application's client secret.
    ClientSecret {
        /// Tenant.
        tenant_id: String,
        /// Application (client) id.
        client_id: String,
        /// The secret.
        secret: Secret,
    },
    /// Whoever is signed in with `az` or `azd`.
    DeveloperTools,
}

impl CredentialConfig {
    /// The name used in `keymend.toml`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static_token",
            Self::ManagedIdentity { .. } => "managed_identity",
            Self::WorkloadIdentity => "workload_identity",
            Self::ClientSecret { .. } => "client_secret",
            Self::DeveloperTools => "developer_tools",
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
}

/// A cheaply cloned handle to a source of tokens, with a cache. Nothing is asked before the first request needs it.
#[derive(Clone)]
pub struct Credential(Arc<Inner>);

struct Inner {
    source: Arc<dyn TokenSource>,
    loopback_only: bool,
    cache: Mutex<HashMap<String, Token>>,
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
        let source = Identity { config: config.clone(), endpoints: endpoints.clone(), made: OnceCell::new() };
        Ok(Self::from_source(Arc::new(source)))
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
        Self(Arc::new(Inner { source, loopback_only, cache: Mutex::new(HashMap::new()) }))
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
        let mut cache = self.0.cache.lock().await;
        let held = cache.get(scope).cloned();
        if let Some(token) = &held
            && token.expires.is_none_or(|end| add(now, EARLY) < end)
        {
            return Ok(token.secret.clone());
        }
        match self.0.source.token(scope).await {
            Ok(token) => {
                let secret = token.secret.clone();
                cache.insert(scope.to_owned(), token);
                Ok(secret)
            }
            Err(error) => match held {
                Some(token) if token.expires.is_some_and(|end| now < end) => Ok(token.secret),
                _ => Err(error),
            },
        }
    }

    /// Forgets the token for `scope`: Azure did not accept it.
    pub(crate) async fn forget(&self, scope: &str) {
        self.0.cache.lock().await.remove(scope);
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

/// A credential of the official crate, made when first needed.
struct Identity {
    config: CredentialConfig,
    endpoints: Endpoints,
    made: OnceCell<Arc<dyn TokenCredential>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.config.name())
    }
}

impl Identity {
    fn make(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        use azure_identity as id;
        Ok(match &self.config {
            CredentialConfig::Static(_) => {
                return Err(azure_core::Error::with_message(
                    azure_core::error::ErrorKind::Credential,
                    "a static token is no identity",
                ));
            }
            CredentialConfig::ManagedIdentity { client_id } => {
                let user_assigned_id = client_id.clone().map(id::UserAssignedId::ClientId);
                let options = id::ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
                id::ManagedIdentityCredential::new(Some(options))?
            }
            CredentialConfig::WorkloadIdentity => {
                let credential_options = id::ClientAssertionCredentialOptions { client_options: self.client_options() };
                let options = id::WorkloadIdentityCredentialOptions { credential_options, ..Default::default() };
                id::WorkloadIdentityCredential::new(Some(options))?
            }
            CredentialConfig::ClientSecret { tenant_id, client_id, secret } => {
                let options = id::ClientSecretCredentialOptions { client_options: self.client_options() };
                let secret = azure_core::credentials::Secret::new(secret.expose().to_owned());
                id::ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options))?
            }
            CredentialConfig::DeveloperTools => id::DeveloperToolsCredential::new(None)?,
        })
    }

    fn client_options(&self) -> azure_core::http::ClientOptions {
        use azure_core::cloud::CloudConfiguration;
        let cloud = match self.endpoints.cloud() {
            Cloud::Public => CloudConfiguration::AzurePublic,
            Cloud::UsGovernment => CloudConfiguration::AzureGovernment,
            Cloud::China => CloudConfiguration::AzureChina,
        };
        azure_core::http::ClientOptions { cloud: Some(Arc::new(cloud)), ..Default::default() }
    }
}

#[async_trait]
impl TokenSource for Identity {
    async fn token(&self, scope: &str) -> Result<Token, AzureError> {
        let failed = |error: azure_core::Error| {
            AzureError::Credential(format!("{} gave no token for {scope}: {error}", self.config.name()))
        };
        let credential = self.made.get_or_try_init(|| async { self.make() }).await.map_err(failed)?;
        let token = credential.get_token(&[scope], None).await.map_err(failed)?;
        let expires = Timestamp::from_second(token.expires_on.unix_timestamp()).ok();
        Ok(Token { secret: Secret::new(token.token.secret().to_owned()), expires })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting {
        asked: AtomicU32,
        fail_after: u32,
    }

    #[async_trait]
    impl TokenSource for Counting {
        async fn token(&self, scope: &str) -> Result<Token, AzureError> {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            if n >= self.fail_after {
                return Err(AzureError::Credential("down".to_owned()));
            }
            Ok(Token { secret: Secret::new(format!("{scope}#{n}")), expires: Some(at(3600 * i64::from(n + 1))) })
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn tokens_are_kept_and_renewed_early() {
        let credential = Credential::from_source(Arc::new(Counting { fail_after: 9, ..Counting::default() }));
        let ask = async |second| credential.bearer("a", at(second)).await.unwrap().expose().to_owned();
        assert_eq!(ask(0).await, "a#0");
        assert_eq!(ask(3200).await, "a#0");
        assert_eq!(ask(3300).await, "a#1", "five minutes before the end a new one is fetched");
    }

    #[tokio::test]
    async fn a_failed_renewal_is_no_outage_while_the_token_lives() {
        let credential = Credential::from_source(Arc::new(Counting { fail_after: 1, ..Counting::default() }));
        assert!(credential.bearer("a", at(0)).await.is_ok());
        assert!(credential.bearer("a", at(3590)).await.is_ok());
        assert!(credential.bearer("a", at(3601)).await.is_err());
    }

    #[test]
    fn a_static_token_stays_on_the_machine() {
        let public = Endpoints::of(Cloud::Public).unwrap();
        let config = CredentialConfig::Static(Secret::new("t"));
        assert!(matches!(Credential::new(&config, &public), Err(ConfigError::StaticTokenOffMachine(_))));
        let local = Endpoints::simulated("http://127.0.0.1:1").unwrap();
        assert!(Credential::new(&config, &local).is_ok());
    }

    #[tokio::test]
    async fn nothing_is_made_before_it_is_needed_and_errors_name_no_secret() {
        let public = Endpoints::of(Cloud::Public).unwrap();
        let config = CredentialConfig::ClientSecret {
            tenant_id: "not a tenant".into(),
            client_id: "c".into(),
            secret: Secret::new("hunter2"),
        };
        let credential = Credential::new(&config, &public).unwrap();
        let error = credential.bearer("https://management.azure.com/.default", at(0)).await.unwrap_err().to_string();
        assert!(error.contains("client_secret") && error.contains("tenant"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        let config =
            CredentialConfig::ClientSecret { tenant_id: "t".into(), client_id: "c".into(), secret: secret.clone() };
        let credential = Credential::new(&config, &Endpoints::of(Cloud::Public).unwrap()).unwrap();
        let printed = format!("{secret:?} {config:?} {credential:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
