//! Which right and which role a write or a read needs: the roles that Keymend's documentation offers, else Azure's own.

use crate::domain::remedy::Change;

/// The action that a change needs.
pub(super) const fn missing_for(change: &Change) -> &'static str {
    match change {
        Change::AssignIdentity { .. } => "Microsoft.Sql/servers/write",
        Change::AddAccessPolicy { .. } => "Microsoft.KeyVault/vaults/accessPolicies/write",
        Change::AssignRole { .. } => "Microsoft.Authorization/roleAssignments/write",
        Change::RecoverVault { .. } | Change::TrustedServicesBypass { .. } => "Microsoft.KeyVault/vaults/write",
        Change::RecoverKey { .. } => "Microsoft.KeyVault/vaults/keys/recover/action",
        Change::EnableKey { .. } | Change::ExtendExpiry { .. } => "Microsoft.KeyVault/vaults/keys/update/action",
        Change::Revalidate { .. } => "Microsoft.Sql/servers/encryptionProtector/revalidate/action",
    }
}

/// The role that gives an action, in words.
pub(super) fn role_for(action: &str) -> &'static str {
    let action = action.to_ascii_lowercase();
    match action.as_str() {
        _ if action.ends_with("revalidate/action") => "the custom role KV-SQL Responder Revalidate on the server",
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
