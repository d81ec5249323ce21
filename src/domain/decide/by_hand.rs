//! The commands by which a person makes a change that we do not.

use jiff::Timestamp;

use crate::domain::dependent::Kind;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// The most commands that are spelled out.
const MOST: usize = 3;

/// Commands for the Azure CLI that do what the changes do.
pub(super) fn commands(changes: &[Change]) -> String {
    let all: Vec<String> = changes.iter().flat_map(one).collect();
    let more = all.len().saturating_sub(MOST);
    let mut text = all.into_iter().take(MOST).map(|command| format!("`{command}`")).collect::<Vec<_>>().join(" ");
    if more > 0 {
        text.push_str(&format!(" and {more} more of the same"));
    }
    text
}

fn one(change: &Change) -> Vec<String> {
    match change {
        Change::AssignIdentity { server, .. } => {
            vec![format!("az sql server update {} --assign_identity", of_server(server, "--name"))]
        }
        Change::Revalidate { server } => vec![revalidate(server)],
        Change::AddAccessPolicy { vault, grants, .. } => grants
            .iter()
            .map(|grant| {
                format!(
                    "az keyvault set-policy {} --object-id {} --key-permissions get wrapKey unwrapKey",
                    of_vault(vault),
                    grant.principal_id
                )
            })
            .collect(),
        Change::AssignRole { vault, key, grant, .. } => vec![format!(
            "az role assignment create --assignee-object-id {} --assignee-principal-type ServicePrincipal \
             --role \"Key Vault Crypto Service Encryption User\" --scope {vault}/keys/{key}",
            grant.principal_id
        )],
        Change::RecoverVault { vault, .. } => vec![format!("az keyvault recover {}", of_vault(vault))],
        Change::TrustedServicesBypass { vault, .. } => {
            vec![format!("az keyvault update {} --bypass AzureServices", of_vault(vault))]
        }
        Change::RecoverKey { key } => {
            vec![format!("az keyvault key recover --vault-name {} --name {}", key.vault.vault_name(), key.key)]
        }
        Change::EnableKey { key } => vec![set_attributes(key, "--enabled true")],
        Change::ExtendExpiry { key, to, .. } => vec![extend(key, *to)],
        // Their message lists each setting with its value; no command does them all.
        Change::RestoreSetting { .. } => Vec::new(),
    }
}

/// The command that re-validates what depends on a key.
pub(super) fn revalidate(server: &ResourceId) -> String {
    match Kind::of(server) {
        Some(Kind::Database) => {
            let host = server.sql_server().map_or_else(String::new, |host| of_server(&host, "--server"));
            format!("az sql db tde key revalidate {host} --name {}", server.name())
        }
        // The Azure CLI has no command of its own for these.
        Some(kind @ (Kind::ManagedInstance | Kind::SynapseWorkspace)) => format!(
            "az rest --method post --url '{server}/encryptionProtector/current/revalidate?api-version={}'",
            kind.api_version()
        ),
        Some(Kind::SqlServer) | None => {
            format!("az sql server tde-key revalidate {}", of_server(server, "--server"))
        }
    }
}

/// The command that moves a key version's expiry.
pub(super) fn extend(key: &KeyUri, to: Timestamp) -> String {
    set_attributes(key, &format!("--expires {to}"))
}

fn set_attributes(key: &KeyUri, what: &str) -> String {
    let version = key.version.as_ref().map(|version| format!(" --version {version}")).unwrap_or_default();
    format!("az keyvault key set-attributes --vault-name {} --name {}{version} {what}", key.vault.vault_name(), key.key)
}

fn of_server(server: &ResourceId, name: &str) -> String {
    let group = server.resource_group().map(|group| format!("--resource-group {group} ")).unwrap_or_default();
    format!("{group}{name} {} --subscription {}", server.name(), server.subscription())
}

fn of_vault(vault: &ResourceId) -> String {
    format!("--name {} --subscription {}", vault.name(), vault.subscription())
}
