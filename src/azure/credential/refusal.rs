//! Why there is no token: which identity, for what, why, and what to do; without secrets.

use std::error::Error as _;

use azure_core::error::{Error, ErrorKind};

use super::{CredentialConfig, Secret};
use crate::azure::clouds::Cloud;

/// Longest part of somebody else's words that is shown, in characters.
const LONGEST: usize = 400;

/// What was asked for.
pub(super) struct Asked<'a> {
    pub config: &'a CredentialConfig,
    pub cloud: Cloud,
    pub scope: &'a str,
}

/// One line, or two where there is something to do.
pub(super) fn explain(asked: &Asked<'_>, error: &Error, secrets: &[Secret]) -> String {
    let why = without_secrets(&reason(error), secrets);
    let resource = asked.scope.trim_end_matches("/.default");
    let mut text = format!("{}: {} got no token for {resource}: {why}", asked.config.name(), asked.config);
    if let Some(advice) = advice(asked, error, &why) {
        text.push_str(". ");
        text.push_str(&advice);
    }
    text
}

/// The outermost words, and the innermost if they say more; on one line.
fn reason(error: &Error) -> String {
    let status = status(error).map(|status| format!("HTTP {status}: ")).unwrap_or_default();
    let outer = plain(&error.to_string());
    let mut innermost = None;
    let mut source = error.source();
    while let Some(cause) = source {
        innermost = Some(plain(&cause.to_string()));
        source = cause.source();
    }
    let inner = innermost.filter(|inner| !inner.is_empty() && !outer.contains(inner.as_str()));
    let text = inner.map_or_else(|| outer.clone(), |inner| format!("{outer} ({inner})"));
    let shown: String = text.chars().take(LONGEST).collect();
    let cut = if text.chars().count() > LONGEST { "…" } else { "" };
    format!("{status}{shown}{cut}")
}

/// One line without what the crate and Entra put around it: whose credential it was, trace ids, a link. Ours is the better
/// advice.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.split_once(" authentication failed.").map_or(line.as_str(), |(_, rest)| rest);
    let end = [" Trace ID:", " To troubleshoot, visit"].iter().filter_map(|mark| line.find(mark)).min();
    line[..end.unwrap_or(line.len())].trim().trim_end_matches('.').to_owned()
}

/// The HTTP status somewhere in the chain.
fn status(error: &Error) -> Option<u16> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(ErrorKind::HttpResponse { status, .. }) = at.downcast_ref::<Error>().map(Error::kind) {
            return Some(u16::from(*status));
        }
        cause = at.source();
    }
    None
}

fn without_secrets(text: &str, secrets: &[Secret]) -> String {
    let long = secrets.iter().filter(|secret| secret.expose().len() > 3);
    let text = long.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "…"));
    // Whatever looks like a token (three parts in base64, the first an object), whoever wrote it.
    text.split(' ').map(|word| if word.contains("eyJ") { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

fn advice(asked: &Asked<'_>, error: &Error, why: &str) -> Option<String> {
    match asked.config {
        CredentialConfig::Static(_) => None,
        CredentialConfig::ManagedIdentity { client_id } => managed(client_id.as_deref(), status(error)),
        CredentialConfig::DeveloperTools { .. } => Some(developer(asked.cloud, why)),
        CredentialConfig::WorkloadIdentity { .. } | CredentialConfig::ClientSecret { .. } => {
            Some(entra(asked, why)?.to_owned())
        }
    }
}

fn managed(client_id: Option<&str>, status: Option<u16>) -> Option<String> {
    match (status, client_id) {
        (Some(429 | 500..), _) => Some("It is asked again with the next request".to_owned()),
        (Some(_), Some(id)) => Some(format!(
            "Check that {id} is the client id (not the object id) of an identity that is assigned to this app: az functionapp identity assign --identities <its resource id>"
        )),
        (Some(_), None) => Some(
            "Switch on the app's system-assigned identity (az functionapp identity assign), or set KEYMEND_CLIENT_ID to the client id of a user-assigned one".to_owned(),
        ),
        (None, _) => Some(
            "A managed identity exists only in Azure (Functions, Container Apps, a VM …); elsewhere set azure.credential to developer_tools and run az login".to_owned(),
        ),
    }
}

fn developer(cloud: Cloud, why: &str) -> String {
    if why.contains("not found on PATH") {
        return "Install the Azure CLI (https://aka.ms/azcli) and run az login, or choose another azure.credential"
            .to_owned();
    }
    let name = match cloud {
        Cloud::Public => return "Run az login, then try again".to_owned(),
        Cloud::UsGovernment => "AzureUSGovernment",
        Cloud::China => "AzureChinaCloud",
    };
    format!("Run az cloud set --name {name} and az login, then try again")
}

/// By Entra's error code (Microsoft, "Microsoft Entra authentication and authorization error codes").
fn entra(asked: &Asked<'_>, why: &str) -> Option<&'static str> {
    const BY_CODE: [(&str, &str); 12] = [
        ("AADSTS7000215", "Check that azure.client_secret_env names the secret's value, not its id"),
        (
            "AADSTS7000222",
            "Make a new secret (az ad app credential reset --id <client id> --append) and put it where the old one was",
        ),
        ("AADSTS700016", "Check azure.client_id and azure.tenant_id: the application is not in that tenant"),
        ("AADSTS90002", "Check azure.tenant_id, and azure.cloud: there is no such tenant in this cloud"),
        ("AADSTS900023", "Check azure.tenant_id: it is neither an id nor a domain"),
        ("AADSTS500011", "Check azure.cloud: the tenant does not know that resource"),
        ("AADSTS7002138", "Check the federated credential of the application"),
        ("AADSTS700211", "Add a federated credential with this issuer to the application or identity"),
        ("AADSTS700212", "Add a federated credential with this audience to the application or identity"),
        (
            "AADSTS700213",
            "Add a federated credential with this subject (system:serviceaccount:NAMESPACE:NAME) to the application or identity",
        ),
        (
            "AADSTS70021",
            "Add a federated credential with this issuer, subject and audience to the application or identity",
        ),
        ("AADSTS700024", "The token file is old, or this machine's clock is wrong: check both"),
    ];
    // The longer code first: some begin with another.
    let found = BY_CODE.iter().filter(|(code, _)| why.contains(code)).max_by_key(|(code, _)| code.len());
    if let Some((_, advice)) = found {
        return Some(advice);
    }
    let workload = matches!(asked.config, CredentialConfig::WorkloadIdentity { .. });
    let unset = ["no tenant ID", "no token file", "no client id", "environment variable", "federated token"];
    (workload && unset.iter().any(|mark| why.contains(mark))).then_some(
        "AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE must be in the environment: label the pod azure.workload.identity/use=true and annotate its service account",
    )
}
