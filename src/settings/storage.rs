//! The storage account, as the Functions host knows it: the settings `AzureWebJobsStorage` and `AzureWebJobsStorage__…` of
//! the environment (Microsoft, "App settings reference" and "Connecting to host storage with an identity").

use super::problem::Problem;
use crate::azure::{CredentialConfig, Secret};
use crate::notify::secret::{InvalidSecret, Secret as Checked};
use crate::store::AzureStorageSettings;
use crate::store::azure::{
    InvalidConnectionString, StorageAccess, StorageAccount, endpoint, is_account_name, parse_connection_string,
};

/// The connection string.
const CONNECTION: &str = "AzureWebJobsStorage";
/// Our container, our queue, and what they are called when nobody says.
const CONTAINER: (&str, &str) = ("KEYMEND_CONTAINER", "keymend");
const QUEUE: (&str, &str) = ("KEYMEND_JOBS_QUEUE", "keymend-jobs");
/// Names of containers and queues have at most so many characters; a queue's needs room for `-poison`.
const LONGEST_NAME: usize = 63;
const POISON: usize = "-poison".len();
/// By these the platform says that there is a managed identity, or a federated token.
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const FEDERATED_TOKEN: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// Reads all of it.
///
/// # Errors
/// Everything that is wrong. No value is shown: each could be a secret, or hold one.
pub(super) fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<AzureStorageSettings, Vec<Problem>> {
    let env = Environment(env);
    let mut problems = Vec::new();
    let account = env.account().map_err(|found| problems.extend(found)).ok();
    let container = env.name(CONTAINER, LONGEST_NAME).map_err(|found| problems.push(found)).ok();
    let queue = env.name(QUEUE, LONGEST_NAME - POISON).map_err(|found| problems.push(found)).ok();
    match (account, container, queue) {
        (Some(account), Some(container), Some(queue)) => Ok(AzureStorageSettings { account, container, queue }),
        _ => Err(problems),
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// A value that is set and not blank.
    fn value(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn part(&self, name: &str) -> Option<String> {
        self.value(&format!("{CONNECTION}__{name}"))
    }

    fn account(&self) -> Result<StorageAccount, Vec<Problem>> {
        let Some(text) = self.value(CONNECTION) else { return self.account_by_identity() };
        if let Err(InvalidSecret::Unresolved(_)) = Checked::from_setting(CONNECTION, &text) {
            let why = "it holds a Key Vault reference that the platform did not resolve";
            let instead = "Give the app's identity the right to read that secret (in a vault that Keymend does not repair), or better set AzureWebJobsStorage__accountName instead";
            return Err(vec![Problem::new(CONNECTION, why, instead)]);
        }
        parse_connection_string(&text).map_err(|InvalidConnectionString(why)| {
            let instead = "Copy it from the account's page \"Access keys\" (or write UseDevelopmentStorage=true for Azurite), or better set AzureWebJobsStorage__accountName and use an identity";
            vec![Problem::new(CONNECTION, why, instead)]
        })
    }

    fn account_by_identity(&self) -> Result<StorageAccount, Vec<Problem>> {
        let name = self.part("accountName");
        let mut problems = Vec::new();
        if let Some(name) = name.as_ref().filter(|name| !is_account_name(name)) {
            let why = "this is no name of a storage account";
            let instead = "Write its name alone: 3 to 24 small letters and digits";
            problems
                .push(Problem::new(format!("{CONNECTION}__accountName"), why, instead).with(format_args!("{name:?}")));
        }
        let mut service = |part: &str, service: &str| {
            let setting = format!("{CONNECTION}__{part}");
            let made = || name.as_ref().map(|name| format!("https://{name}.{service}.core.windows.net"));
            let Some(address) = self.part(part).or_else(made) else {
                let why = "the store is in Azure Storage, and no account is named";
                let instead = format!(
                    "Set {CONNECTION}__accountName (in other clouds {setting}), or {CONNECTION} to a connection string"
                );
                problems.push(Problem::new(setting, why, instead));
                return None;
            };
            match endpoint(&setting, &address) {
                Ok(url) if url.scheme() == "https" => Some(url),
                _ => {
                    let why = "this is no address of a storage service";
                    let instead = format!("Write https://ACCOUNT.{service}.core.windows.net, or your cloud's address");
                    problems.push(Problem::new(setting, why, instead));
                    None
                }
            }
        };
        let (blob, queue) = (service("blobServiceUri", "blob"), service("queueServiceUri", "queue"));
        match (blob, queue) {
            (Some(blob), Some(queue)) if problems.is_empty() => {
                Ok(StorageAccount { blob, queue, access: StorageAccess::Identity(self.identity()) })
            }
            _ => Err(problems),
        }
    }

    /// The identity that the host itself would take for its storage.
    fn identity(&self) -> CredentialConfig {
        let client_id = self.part("clientId");
        let managed = self.part("credential").is_some_and(|kind| kind.eq_ignore_ascii_case("managedidentity"));
        let (tenant, secret) = (self.part("tenantId"), self.part("clientSecret"));
        match (client_id, tenant, secret) {
            (Some(client_id), Some(tenant_id), Some(secret)) if !managed => {
                CredentialConfig::ClientSecret { tenant_id, client_id, secret: Secret::new(secret) }
            }
            (client_id, ..) if managed || self.value(IDENTITY_ENDPOINT).is_some() => {
                CredentialConfig::ManagedIdentity { client_id }
            }
            (client_id, tenant_id, _) if self.value(FEDERATED_TOKEN).is_some() => {
                CredentialConfig::WorkloadIdentity { tenant_id, client_id }
            }
            (_, tenant_id, _) => CredentialConfig::DeveloperTools { tenant_id },
        }
    }

    /// A name of a container or queue (Microsoft, "Naming and Referencing Containers"; queues have the same rules).
    fn name(&self, (setting, usual): (&str, &str), longest: usize) -> Result<String, Problem> {
        let name = self.value(setting).unwrap_or_else(|| usual.to_owned());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (3..=longest).contains(&name.len())
            && name.bytes().all(plain)
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !name.contains("--");
        if good {
            return Ok(name);
        }
        let instead = format!("Write 3 to {longest} small letters, digits and single hyphens, such as {usual}");
        Err(Problem::new(setting, "Azure Storage takes no such name", instead).with(format_args!("{name:?}")))
    }
}
