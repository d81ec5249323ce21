//! Which right and which role a write or a read needs: the roles that Keymend's documentation offers, else Azure's own.

use crate::domain::dependent::{Kind, revalidation};
use crate::domain::remedy::Change;
use crate::domain::rights::needed;

/// The action that a change needs.
pub(super) fn missing_for(change: &Change) -> &'static str {
    match change {
        Change::Revalidate { server } => revalidation(Kind::of(server).unwrap_or(Kind::SqlServer)),
        Change::RestoreSetting { setting, .. } => setting.action(),
        _ => needed(change.remedy()).first().map_or("", |right| right.name),
    }
}

/// The role that gives an action, in words.
pub(super) fn role_for(action: &str) -> &'static str {
    let action = action.to_ascii_lowercase();
    match action.as_str() {
        // Azure refuses a whole role that names an action it does not know, and of this one it has not been seen that it does.
        _ if action.starts_with("microsoft.synapse/") && action.ends_with("/action") => {
            "the role Contributor on the workspace, since no custom role of Keymend's holds it"
        }
        _ if action.ends_with("revalidate/action") => "the custom role KV-SQL Responder Revalidate on the server",
        "microsoft.sql/servers/databases/write"
        | "microsoft.sql/servers/failovergroups/write"
        | "microsoft.sql/servers/databases/backupshorttermretentionpolicies/write"
        | "microsoft.sql/servers/databases/backuplongtermretentionpolicies/write" => {
            "the custom role KV-SQL Responder Restore Settings on the server's resource group"
        }
        "microsoft.sql/servers/write" | "microsoft.managedidentity/userassignedidentities/assign/action" => {
            "the custom role KV-SQL Responder Identity on the server's resource group"
        }
        "microsoft.keyvault/vaults/accesspolicies/write" => {
            "the custom role KV-SQL Responder Access Policy on the vault's resource group"
        }
        "microsoft.keyvault/vaults/write" => {
            "the custom role KV-SQL Responder Vault Write on the vault's resource group"
        }
        "microsoft.authorization/roleassignments/write" => {
            "the custom role KV-SQL Responder RBAC Grant, with its condition, on the vault's resource group"
        }
        _ if action.contains("/keys/") && action.ends_with("/action") => {
            "the custom role KV-SQL Responder Key Repair (on an access-policy vault: the key permissions get, \
             list, update, recover)"
        }
        _ => "the role Reader or the custom role KV-SQL Responder Probe on the subscription",
    }
}
