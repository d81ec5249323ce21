//! The official crate's credentials, made when first needed.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::CloudConfiguration;
use azure_core::credentials::{TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, HttpClient, RetryOptions, Transport};
use azure_identity as id;
use jiff::Timestamp;

use super::refusal::{Asked, explain};
use super::{CredentialConfig, Secret, Token, TokenSource};
use crate::azure::clouds::Cloud;
use crate::azure::error::AzureError;

/// How long one asking for a token may take, all tries together, in real time. The instance metadata service is told to be
/// tried for 72 s by its documentation; off Azure nothing answers there at all, and a pass must not wait that long to say so.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long one try may take to connect, and altogether.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(20);
/// Tries again on 408, 429, 5xx and lost connections.
const RETRIES: u32 = 4;

/// Where the platform's own identity endpoint is (Microsoft, "managed identities for App Service", REST endpoint reference).
const ENDPOINT_SECRET: &str = "IDENTITY_HEADER";
/// The token file of a workload identity (Microsoft, "workload identity on AKS").
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// A credential of the official crate.
pub(super) struct Identity {
    config: CredentialConfig,
    cloud: Cloud,
    http: Option<Arc<dyn HttpClient>>,
    made: Mutex<Option<Arc<dyn TokenCredential>>>,
    deadline: Duration,
    /// The federated token's file; `None`: the one that the environment names.
    token_file: Option<PathBuf>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.config.name())
    }
}

impl Identity {
    pub(super) fn new(config: CredentialConfig, cloud: Cloud) -> Self {
        Self { config, cloud, http: None, made: Mutex::new(None), deadline: DEADLINE, token_file: None }
    }

    /// The same, sending by `http` and waiting no longer than `deadline`.
    #[cfg(test)]
    pub(super) fn over(config: CredentialConfig, cloud: Cloud, http: Arc<dyn HttpClient>, deadline: Duration) -> Self {
        Self { http: Some(http), deadline, ..Self::new(config, cloud) }
    }

    /// The same, with another file for the federated token.
    #[cfg(test)]
    pub(super) fn reading(self, token_file: PathBuf) -> Self {
        Self { token_file: Some(token_file), ..self }
    }

    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = &*made {
            return Ok(credential.clone());
        }
        let credential = self.make()?;
        *made = Some(credential.clone());
        Ok(credential)
    }

    fn make(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match &self.config {
            CredentialConfig::Static(_) => {
                return Err(Error::with_message(ErrorKind::Credential, "a static token is no identity"));
            }
            CredentialConfig::ManagedIdentity { client_id } => {
                let user_assigned_id = client_id.clone().map(id::UserAssignedId::ClientId);
                let client_options = self.client_options()?;
                id::ManagedIdentityCredential::new(Some(id::ManagedIdentityCredentialOptions {
                    user_assigned_id,
                    client_options,
                }))?
            }
            CredentialConfig::WorkloadIdentity { tenant_id, client_id } => {
                let credential_options =
                    id::ClientAssertionCredentialOptions { client_options: self.client_options()? };
                id::WorkloadIdentityCredential::new(Some(id::WorkloadIdentityCredentialOptions {
                    credential_options,
                    client_id: client_id.clone(),
                    tenant_id: tenant_id.clone(),
                    token_file_path: self.token_file.clone(),
                }))?
            }
            CredentialConfig::ClientSecret { tenant_id, client_id, secret } => {
                let options = id::ClientSecretCredentialOptions { client_options: self.client_options()? };
                let secret = azure_core::credentials::Secret::new(secret.expose().to_owned());
                id::ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options))?
            }
            CredentialConfig::DeveloperTools { tenant_id } => Arc::new(SignedIn::new(tenant_id.as_deref())?),
        })
    }

    fn client_options(&self) -> azure_core::Result<ClientOptions> {
        let cloud = match self.cloud {
            Cloud::Public => CloudConfiguration::AzurePublic,
            Cloud::UsGovernment => CloudConfiguration::AzureGovernment,
            Cloud::China => CloudConfiguration::AzureChina,
        };
        let http: Arc<dyn HttpClient> = match &self.http {
            Some(http) => http.clone(),
            None => Arc::new(self.client()?),
        };
        let retry = ExponentialRetryOptions { max_retries: RETRIES, ..ExponentialRetryOptions::default() };
        Ok(ClientOptions {
            cloud: Some(Arc::new(cloud)),
            transport: Some(Transport::new(http)),
            retry: RetryOptions::exponential(retry),
            ..ClientOptions::default()
        })
    }

    fn client(&self) -> azure_core::Result<reqwest::Client> {
        let mut builder =
            crate::tls::client().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT).timeout(WHOLE);
        if matches!(self.config, CredentialConfig::ManagedIdentity { .. }) {
            // The identity endpoint is beside us: a proxy would get the secret of the endpoint, and the token.
            builder = builder.no_proxy();
        }
        builder
            .build()
            .map_err(|error| Error::with_error(ErrorKind::Other, error, "the HTTP client could not be built"))
    }

    /// What must not be in an error, whatever wrote it.
    fn secrets(&self) -> Vec<Secret> {
        let path = || self.token_file.clone().or_else(|| std::env::var_os(TOKEN_FILE).map(PathBuf::from));
        let file = || path().and_then(|path| std::fs::read_to_string(path).ok());
        let secret = match &self.config {
            CredentialConfig::Static(secret) | CredentialConfig::ClientSecret { secret, .. } => Some(secret.clone()),
            CredentialConfig::ManagedIdentity { .. } => std::env::var(ENDPOINT_SECRET).ok().map(Secret::new),
            CredentialConfig::WorkloadIdentity { .. } => file().map(|text| Secret::new(text.trim())),
            CredentialConfig::DeveloperTools { .. } => None,
        };
        secret.into_iter().collect()
    }
}

#[async_trait]
impl TokenSource for Identity {
    async fn token(&self, scope: &str) -> Result<Token, AzureError> {
        let asked = Asked { config: &self.config, cloud: self.cloud, scope };
        let failed = |error: &Error| AzureError::Credential(explain(&asked, error, &self.secrets()));
        let credential = self.credential().map_err(|error| failed(&error))?;
        let token = match tokio::time::timeout(self.deadline, credential.get_token(&[scope], None)).await {
            Ok(answer) => answer.map_err(|error| failed(&error))?,
            Err(_) => {
                let why = format!("no answer within {} s", self.deadline.as_secs());
                return Err(failed(&Error::with_message(ErrorKind::Connection, why)));
            }
        };
        let expires = Timestamp::from_second(token.expires_on.unix_timestamp()).ok();
        Ok(Token { secret: Secret::new(token.token.secret().to_owned()), expires })
    }

    /// The official credentials have caches of their own: only new ones ask again.
    fn forget(&self) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whoever is signed in with `az`, else with `azd`: as the crate's chain of developer tools, but for one tenant.
#[derive(Debug)]
struct SignedIn {
    az: Arc<id::AzureCliCredential>,
    azd: Arc<id::AzureDeveloperCliCredential>,
}

impl SignedIn {
    fn new(tenant_id: Option<&str>) -> azure_core::Result<Self> {
        let tenant_id = tenant_id.map(str::to_owned);
        let az = id::AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
        let azd = id::AzureDeveloperCliCredentialOptions { tenant_id, ..Default::default() };
        Ok(Self { az: id::AzureCliCredential::new(Some(az))?, azd: id::AzureDeveloperCliCredential::new(Some(azd))? })
    }
}

#[async_trait]
impl TokenCredential for SignedIn {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<azure_core::credentials::AccessToken> {
        let first = match self.az.get_token(scopes, options.clone()).await {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        self.azd.get_token(scopes, options).await.map_err(|second| {
            // The tool that is there has more to say than the one that is not.
            let absent = |error: &Error| error.to_string().contains("not found on PATH");
            if absent(&second) || !absent(&first) { first } else { second }
        })
    }
}
