//! `[azure]` and `[simulated]`: which cloud, with which credential, by which clock.

use toml::Table;

use super::problem::Problem;
use super::secrets::{Places, secrets};
use super::section::{Named, Section, Sources};
use crate::azure::{Cloud, CloudConfig, ConfigError, Credential, CredentialConfig, Endpoints, Secret};

/// The token that the simulated cloud takes when nothing else is said.
const SIMULATED_TOKEN: &str = "drill-token";

const CLOUDS: [(&str, Cloud); 3] =
    [("public", Cloud::Public), ("us_government", Cloud::UsGovernment), ("china", Cloud::China)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ManagedIdentity,
    WorkloadIdentity,
    ClientSecret,
    DeveloperTools,
    StaticToken,
}

const KINDS: [(&str, Kind); 5] = [
    ("managed_identity", Kind::ManagedIdentity),
    ("workload_identity", Kind::WorkloadIdentity),
    ("client_secret", Kind::ClientSecret),
    ("developer_tools", Kind::DeveloperTools),
    ("static_token", Kind::StaticToken),
];

/// The word for the system-assigned identity where a variable names another.
const SYSTEM: &str = "system";
/// Set by the Functions host (Microsoft, "custom handlers").
const HOSTED: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// Where a user-assigned identity's client id is found when nothing else names one: as the Functions host is told which
/// identity its storage is for, and as Azure's libraries are told everywhere.
const STORAGE_CLIENT_ID: &str = "AzureWebJobsStorage__clientId";
const ANY_CLIENT_ID: &str = "AZURE_CLIENT_ID";

/// The cloud that is looked at and repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureSettings {
    /// As it was written.
    pub cloud: CloudConfig,
    /// Its addresses.
    pub endpoints: Endpoints,
    /// How we sign in.
    pub credential: CredentialConfig,
    /// The directory, where it is set.
    pub tenant_id: Option<String>,
    /// Run on the clock of the simulated cloud at the ARM address, which is on this machine.
    pub follow_clock: bool,
}

/// Reads both sections. `None`: something is wrong and was reported.
pub(super) fn azure(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Option<AzureSettings> {
    let mut section = Section::open(file, "azure", sources, problems);
    let address = "Write an address such as https://management.azure.com";
    let cloud = CloudConfig {
        cloud: section.choice("cloud", Some("KEYMEND_CLOUD"), &CLOUDS).unwrap_or_default(),
        arm: section.text("arm_endpoint", Some("KEYMEND_ARM_ENDPOINT"), address).map(|named| named.value),
        vault: section.text("vault_endpoint", Some("KEYMEND_VAULT_ENDPOINT"), address).map(|named| named.value),
    };
    let endpoints = Endpoints::from_config(&cloud).map_err(|error| section.report(about(error))).ok();
    let simulated = endpoints.as_ref().is_some_and(Endpoints::on_this_machine);
    let tenant = section.text("tenant_id", Some("KEYMEND_TENANT_ID"), "Write a tenant id").map(|named| named.value);
    let credential = credential(&mut section, tenant.clone(), simulated);
    if let (Some(endpoints), Some(credential)) = (&endpoints, &credential)
        && let Err(error) = Credential::new(credential, endpoints)
    {
        section.report(about(error));
    }
    section.close();
    let mut section = Section::open(file, "simulated", sources, problems);
    let follow_clock = section.flag("follow_clock", Some("KEYMEND_FOLLOW_CLOCK")).unwrap_or(false);
    if follow_clock && endpoints.is_some() && !simulated {
        let why = "only the clock of a simulated cloud on this machine can be followed, and azure.arm_endpoint is none";
        let instead = "Set azure.arm_endpoint to the address that `keymend sim` printed, or remove this";
        section.report(Problem::new("simulated.follow_clock", why, instead).with(true));
    }
    section.close();
    Some(AzureSettings { cloud, endpoints: endpoints?, credential: credential?, tenant_id: tenant, follow_clock })
}

fn credential(section: &mut Section<'_>, tenant: Option<String>, simulated: bool) -> Option<CredentialConfig> {
    let token = section.text("static_token", Some("KEYMEND_STATIC_TOKEN"), "Write the simulated cloud's token");
    let client_id = section.text("client_id", Some("KEYMEND_CLIENT_ID"), "Write a client id");
    let client_id = client_id.map(|named| named.value);
    let places = Places { literal: None, name: "client_secret", variable: Some("KEYMEND_CLIENT_SECRET") };
    let secret = secrets(section, places);
    let kind = section.choice("credential", Some("KEYMEND_CREDENTIAL"), &KINDS);
    let kind = kind.unwrap_or(if token.is_some() || simulated { Kind::StaticToken } else { Kind::ManagedIdentity });
    for fault in secret.faults {
        section.report(fault);
    }
    Some(match kind {
        Kind::ManagedIdentity => {
            let client_id = client_id.or_else(|| ambient_client_id(section.sources()));
            let client_id = client_id.filter(|id| !id.eq_ignore_ascii_case(SYSTEM));
            CredentialConfig::ManagedIdentity { client_id }
        }
        Kind::WorkloadIdentity => CredentialConfig::WorkloadIdentity { tenant_id: tenant, client_id },
        Kind::DeveloperTools => CredentialConfig::DeveloperTools { tenant_id: tenant },
        Kind::StaticToken => {
            let token = token.map_or_else(|| SIMULATED_TOKEN.to_owned(), |Named { value, .. }| value);
            CredentialConfig::Static(Secret::new(token))
        }
        Kind::ClientSecret => {
            let secret = secret.secrets.first().map(|secret| secret.expose().to_owned()).unwrap_or_default();
            let (tenant_id, client_id) = (tenant.unwrap_or_default(), client_id.unwrap_or_default());
            CredentialConfig::ClientSecret { tenant_id, client_id, secret: Secret::new(secret) }
        }
    })
}

fn ambient_client_id(sources: Sources<'_>) -> Option<String> {
    let read = |name| (sources.env)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let storage = read(HOSTED).and_then(|_| read(STORAGE_CLIENT_ID));
    storage.or_else(|| read(ANY_CLIENT_ID))
}

/// The wire's own words, with our names of the settings.
fn about(error: ConfigError) -> Problem {
    let full = |setting: &str| match setting {
        "arm" => "azure.arm_endpoint".to_owned(),
        "vault" => "azure.vault_endpoint".to_owned(),
        other => format!("azure.{other}"),
    };
    match error {
        ConfigError::NotAnAddress { setting, value } => {
            let instead = "Write scheme and host alone, such as https://management.azure.com";
            Problem::new(full(setting), "this is no such address", instead).with(format_args!("{value:?}"))
        }
        ConfigError::PlainHttp { setting, value } => {
            let why = "plain http is allowed only on a loopback address such as http://127.0.0.1:8080";
            Problem::new(full(setting), why, "Use https").with(format_args!("{value:?}"))
        }
        ConfigError::VaultOffMachine(value) => {
            let why = "it would replace every key vault, and is not on this machine";
            let instead = "Remove it; it exists for a simulated cloud on a loopback address alone";
            Problem::new("azure.vault_endpoint", why, instead).with(format_args!("{value:?}"))
        }
        ConfigError::StaticTokenOffMachine(arm) => {
            let why = format!("a fixed token is for a simulated cloud on this machine alone, and ARM is at {arm}");
            let instead = "Remove it and set azure.credential to managed_identity, workload_identity, client_secret or developer_tools";
            Problem::new("azure.static_token", why, instead)
        }
        ConfigError::CredentialSetting { credential, missing } => {
            let why = format!("the credential {credential} needs {missing}");
            let instead = "Set azure.tenant_id, azure.client_id and azure.client_secret_env (or _file)";
            Problem::new("azure.credential", why, instead)
        }
        other => Problem::new("azure", other.to_string(), "Correct the section [azure]"),
    }
}
