//! Rights that Keymend lacks: which role or action, on what.

use crate::domain::dependent::{Kind, revalidation};
use crate::domain::evidence::MissingRight;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::words::Line;

/// A built-in role that holds the action (Microsoft, "Azure built-in roles"); narrower custom roles are better.
#[must_use]
pub fn role_for(action: &str) -> Option<&'static str> {
    let action = action.to_ascii_lowercase();
    match action.as_str() {
        "microsoft.keyvault/vaults/write" | "microsoft.keyvault/vaults/accesspolicies/write" => {
            Some("Key Vault Contributor")
        }
        "microsoft.authorization/roleassignments/write" => Some("Role Based Access Control Administrator"),
        "microsoft.sql/servers/databases/write"
        | "microsoft.sql/servers/failovergroups/write"
        | "microsoft.sql/servers/databases/backupshorttermretentionpolicies/write"
        | "microsoft.sql/servers/databases/backuplongtermretentionpolicies/write" => Some("SQL DB Contributor"),
        "microsoft.sql/servers/write"
        | "microsoft.sql/servers/encryptionprotector/revalidate/action"
        | "microsoft.sql/servers/databases/encryptionprotector/revalidate/action" => Some("SQL Server Contributor"),
        "microsoft.sql/managedinstances/encryptionprotector/revalidate/action" => {
            Some("SQL Managed Instance Contributor")
        }
        "microsoft.managedidentity/userassignedidentities/assign/action" => Some("Managed Identity Operator"),
        "microsoft.keyvault/vaults/keys/recover/action" | "microsoft.keyvault/vaults/keys/update/action" => {
            Some("Key Vault Crypto Officer")
        }
        read if read.starts_with("microsoft.") && read.ends_with("/read") => Some("Reader"),
        _ => None,
    }
}

/// The right that a change needs, at the scope where it should be granted.
#[must_use]
pub fn right_for(change: &Change) -> MissingRight {
    let (action, scope) = match change {
        Change::AssignIdentity { server, .. } => ("Microsoft.Sql/servers/write", server.to_string()),
        Change::AddAccessPolicy { vault, .. } => ("Microsoft.KeyVault/vaults/accessPolicies/write", vault.to_string()),
        Change::AssignRole { vault, .. } => ("Microsoft.Authorization/roleAssignments/write", vault.to_string()),
        // A grant on the vault itself went with the vault: the group above it is the lowest scope that helps.
        Change::RecoverVault { vault, .. } => ("Microsoft.KeyVault/vaults/write", group(vault)),
        Change::TrustedServicesBypass { vault, .. } => ("Microsoft.KeyVault/vaults/write", vault.to_string()),
        Change::RecoverKey { key } => ("Microsoft.KeyVault/vaults/keys/recover/action", key.vault.to_string()),
        Change::EnableKey { key } | Change::ExtendExpiry { key, .. } => {
            ("Microsoft.KeyVault/vaults/keys/update/action", key.vault.to_string())
        }
        Change::Revalidate { server } => {
            (revalidation(Kind::of(server).unwrap_or(Kind::SqlServer)), server.to_string())
        }
        Change::RestoreSetting { database, setting } => (setting.action(), database.to_string()),
    };
    MissingRight { action: action.to_owned(), scope }
}

fn group(id: &ResourceId) -> String {
    id.ancestor("/resourcegroups/").unwrap_or_else(|| id.clone()).to_string()
}

/// A right in words: the action, on what, and a role that holds it.
#[must_use]
pub fn right_sentence(right: &MissingRight) -> Line {
    let line = Line::default().code(&right.action).say(" on ").code(&right.scope);
    match role_for(&right.action) {
        Some(role) => line.say(format!(" (for example the role {role}, or a custom role with only this action)")),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovering_a_vault_needs_a_right_above_it() {
        let vault = "/subscriptions/s/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/kv";
        let change = Change::RecoverVault {
            vault: ResourceId::parse(vault).unwrap(),
            location: "westeurope".to_owned(),
            tenant_id: "t".to_owned(),
        };
        let words = right_sentence(&right_for(&change)).to_string();
        assert!(words.contains("on /subscriptions/s/resourceGroups/rg-keys ("), "{words}");
        assert!(words.contains("Key Vault Contributor"), "{words}");
    }

    #[test]
    fn an_unknown_action_names_no_role() {
        assert_eq!(role_for("keys/recover"), None);
        assert_eq!(role_for("Microsoft.Sql/servers/databases/read"), Some("Reader"));
    }
}
