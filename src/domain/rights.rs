//! Which of Azure's rights Keymend needs: to look, and for each remedy; and which of the custom roles in `infra/roles`
//! gives each. The one table of it: what a refusal names, what `keymend doctor` checks and what the roles hold are held
//! against it by tests.

use crate::domain::remedy::Remedy;

/// Where a right must be held to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On the whole subscription: what is asked for has no resource group.
    Subscription,
    /// On the server.
    Server,
    /// On the key vault.
    Vault,
    /// On the user-assigned identities of the servers.
    Identity,
}

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// Its name, such as `Microsoft.Sql/servers/write`, as the role holds it.
    pub name: &'static str,
    /// What Azure asks for in fact, where the name has a wildcard: holding all of these is as good.
    pub in_fact: &'static [&'static str],
    /// Whether it is a data action (of a vault with Azure RBAC).
    pub data: bool,
    /// Where it must be held.
    pub place: Place,
    /// The custom role that gives it.
    pub role: CustomRole,
}

/// A custom role that Keymend comes with, one for each kind of repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustomRole {
    /// Reads what a diagnosis needs.
    Probe,
    /// Re-validates a protector.
    Revalidate,
    /// Writes a server's identity.
    Identity,
    /// Adds access policies.
    AccessPolicy,
    /// Writes and recovers vaults.
    VaultWrite,
    /// Recovers and updates keys, in vaults with Azure RBAC.
    KeyRepair,
    /// Assigns roles; to be given with its condition alone.
    Grant,
    /// Puts back settings of databases.
    RestoreSettings,
}

impl CustomRole {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Probe,
        Self::Revalidate,
        Self::Identity,
        Self::AccessPolicy,
        Self::VaultWrite,
        Self::KeyRepair,
        Self::Grant,
        Self::RestoreSettings,
    ];

    /// Its file, from the root of the repository.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Probe => "infra/roles/01-responder-probe.json",
            Self::Revalidate => "infra/roles/02-responder-revalidate.json",
            Self::Identity => "infra/roles/03-responder-identity.json",
            Self::AccessPolicy => "infra/roles/04-responder-accesspolicy.json",
            Self::VaultWrite => "infra/roles/05-responder-vault-network-and-recover.json",
            Self::KeyRepair => "infra/roles/06-responder-key-dataplane.json",
            Self::Grant => "infra/roles/07-responder-rbac-grant.json",
            Self::RestoreSettings => "infra/roles/08-responder-restore-settings.json",
        }
    }

    /// What the file holds: a role definition as `az role definition create` takes it.
    #[must_use]
    pub const fn definition(self) -> &'static str {
        match self {
            Self::Probe => include_str!("../../infra/roles/01-responder-probe.json"),
            Self::Revalidate => include_str!("../../infra/roles/02-responder-revalidate.json"),
            Self::Identity => include_str!("../../infra/roles/03-responder-identity.json"),
            Self::AccessPolicy => include_str!("../../infra/roles/04-responder-accesspolicy.json"),
            Self::VaultWrite => include_str!("../../infra/roles/05-responder-vault-network-and-recover.json"),
            Self::KeyRepair => include_str!("../../infra/roles/06-responder-key-dataplane.json"),
            Self::Grant => include_str!("../../infra/roles/07-responder-rbac-grant.json"),
            Self::RestoreSettings => include_str!("../../infra/roles/08-responder-restore-settings.json"),
        }
    }

    /// Its name in Azure, as the file gives it.
    #[must_use]
    pub fn name(self) -> String {
        let definition: serde_json::Value = serde_json::from_str(self.definition()).unwrap_or_default();
        definition["Name"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a role of Azure's is this one by its name. A deployment adds its own to it: `NAME (prod)`.
    #[must_use]
    pub fn is_called(self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.name());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (") && rest.ends_with(')'))
    }

    /// The condition (version 2.0) that it must be assigned with.
    #[must_use]
    pub fn condition(self) -> Option<String> {
        let text = match self {
            Self::Grant => include_str!("../../infra/roles/07-condition.txt"),
            _ => return None,
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Whether it is meant for whole subscriptions; the others are for the resource groups that need them.
    #[must_use]
    pub const fn on_subscriptions(self) -> bool {
        matches!(self, Self::Probe | Self::Revalidate)
    }
}

const fn right(name: &'static str, place: Place, role: CustomRole) -> Right {
    Right { name, in_fact: &[], data: false, place, role }
}

const fn data(name: &'static str) -> Right {
    Right { name, in_fact: &[], data: true, place: Place::Vault, role: CustomRole::KeyRepair }
}

const fn restores(name: &'static str) -> Right {
    right(name, Place::Server, CustomRole::RestoreSettings)
}

/// What following a long-running operation of SQL's takes.
const FOLLOW: Right = Right {
    in_fact: &[
        "Microsoft.Sql/locations/encryptionProtectorOperationResults/read",
        "Microsoft.Sql/locations/encryptionProtectorAzureAsyncOperation/read",
        "Microsoft.Sql/locations/serverOperationResults/read",
        "Microsoft.Sql/locations/serverAzureAsyncOperation/read",
    ],
    ..right("Microsoft.Sql/locations/*/read", Place::Subscription, CustomRole::Revalidate)
};
/// What following a change of a database or failover group takes. Whoever diagnoses holds it.
const FOLLOW_SETTINGS: Right = Right {
    in_fact: &[
        "Microsoft.Sql/locations/databaseAzureAsyncOperation/read",
        "Microsoft.Sql/locations/failoverGroupAzureAsyncOperation/read",
    ],
    ..right("Microsoft.Sql/locations/*/read", Place::Subscription, CustomRole::Probe)
};
const WRITE_VAULT: Right = right("Microsoft.KeyVault/vaults/write", Place::Vault, CustomRole::VaultWrite);
const READ_KEY: Right = data("Microsoft.KeyVault/vaults/keys/read");
const UPDATE_KEY: Right = data("Microsoft.KeyVault/vaults/keys/update/action");

/// What every diagnosis reads.
pub const DIAGNOSIS: &[Right] = &[
    right("Microsoft.Sql/servers/read", Place::Server, CustomRole::Probe),
    right("Microsoft.Sql/servers/databases/read", Place::Server, CustomRole::Probe),
    right("Microsoft.Sql/servers/inaccessibleDatabases/read", Place::Server, CustomRole::Probe),
    right("Microsoft.Sql/servers/encryptionProtector/read", Place::Server, CustomRole::Probe),
    right("Microsoft.Sql/servers/keys/read", Place::Server, CustomRole::Probe),
    right("Microsoft.KeyVault/vaults/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.KeyVault/vaults/keys/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.KeyVault/vaults/keys/versions/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.KeyVault/deletedVaults/read", Place::Subscription, CustomRole::Probe),
    right("Microsoft.Authorization/roleAssignments/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.Authorization/roleDefinitions/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.Authorization/denyAssignments/read", Place::Vault, CustomRole::Probe),
    right("Microsoft.Authorization/locks/read", Place::Subscription, CustomRole::Probe),
    right("Microsoft.Insights/eventtypes/values/read", Place::Subscription, CustomRole::Probe),
    right("Microsoft.ManagedIdentity/userAssignedIdentities/read", Place::Identity, CustomRole::Probe),
];

/// What it takes to see which alert rules ring for Keymend.
pub const ALERT_RULES: &[Right] = &[
    right("Microsoft.Insights/activityLogAlerts/read", Place::Subscription, CustomRole::Probe),
    right("Microsoft.Insights/actionGroups/read", Place::Subscription, CustomRole::Probe),
];

const ASSIGN_IDENTITY: &[Right] = &[
    right("Microsoft.Sql/servers/write", Place::Server, CustomRole::Identity),
    right("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", Place::Identity, CustomRole::Identity),
    FOLLOW,
];
const ADD_ACCESS_POLICY: &[Right] =
    &[right("Microsoft.KeyVault/vaults/accessPolicies/write", Place::Vault, CustomRole::AccessPolicy)];
const ASSIGN_ROLE: &[Right] =
    &[right("Microsoft.Authorization/roleAssignments/write", Place::Vault, CustomRole::Grant)];
const RECOVER_VAULT: &[Right] = &[WRITE_VAULT];
const RECOVER_KEY: &[Right] = &[data("Microsoft.KeyVault/vaults/keys/recover/action"), READ_KEY];
const CHANGE_KEY: &[Right] = &[UPDATE_KEY, READ_KEY];
const OPEN_FIREWALL: &[Right] = &[WRITE_VAULT];
const REVALIDATE: &[Right] = &[
    right("Microsoft.Sql/servers/encryptionProtector/revalidate/action", Place::Server, CustomRole::Revalidate),
    FOLLOW,
];
const RESTORE_SETTINGS: &[Right] = &[
    restores("Microsoft.Sql/servers/databases/write"),
    restores("Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/read"),
    restores("Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/write"),
    restores("Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/read"),
    restores("Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/write"),
    restores("Microsoft.Sql/servers/failoverGroups/read"),
    restores("Microsoft.Sql/servers/failoverGroups/write"),
    FOLLOW_SETTINGS,
];

/// What a remedy needs besides [`DIAGNOSIS`]; what a refusal of its write names comes first.
#[must_use]
pub const fn needed(remedy: Remedy) -> &'static [Right] {
    match remedy {
        Remedy::AssignIdentity => ASSIGN_IDENTITY,
        Remedy::AddAccessPolicy => ADD_ACCESS_POLICY,
        Remedy::AssignRole => ASSIGN_ROLE,
        Remedy::RecoverVault => RECOVER_VAULT,
        Remedy::RecoverKey => RECOVER_KEY,
        Remedy::EnableKey | Remedy::ExtendExpiry => CHANGE_KEY,
        Remedy::TrustedServicesBypass => OPEN_FIREWALL,
        Remedy::Revalidate => REVALIDATE,
        Remedy::RestoreSettings => RESTORE_SETTINGS,
        Remedy::Wait => &[],
    }
}

/// The key permissions that a remedy needs in a vault with access policies, in Key Vault's words.
#[must_use]
pub const fn key_permissions(remedy: Remedy) -> &'static [&'static str] {
    match remedy {
        Remedy::RecoverKey => &["recover", "get"],
        Remedy::EnableKey | Remedy::ExtendExpiry => &["update", "get"],
        _ => &[],
    }
}

/// Whether a pattern of a role (`*` stands for any text, slashes too) covers an action, in any case.
#[must_use]
pub fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.trim().to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn held(role: CustomRole, list: &str) -> Vec<String> {
        let definition: Value = serde_json::from_str(role.definition()).unwrap();
        let list = definition[list].as_array().unwrap();
        list.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
    }

    fn all() -> impl Iterator<Item = Right> {
        DIAGNOSIS.iter().chain(ALERT_RULES).chain(Remedy::ALL.into_iter().flat_map(needed)).copied()
    }

    #[test]
    fn the_role_that_a_right_names_holds_it_by_that_name() {
        for right in all() {
            let list = held(right.role, if right.data { "DataActions" } else { "Actions" });
            assert!(list.iter().any(|action| action == right.name), "{right:?}");
            assert!(right.in_fact.iter().all(|action| matches(right.name, action)), "{right:?}");
        }
    }

    #[test]
    fn the_roles_for_writing_hold_no_write_that_no_remedy_needs() {
        let needed: BTreeSet<&str> = all().map(|right| right.name).collect();
        for role in CustomRole::ALL {
            let writes = held(role, "Actions").into_iter().chain(held(role, "DataActions"));
            for write in writes.filter(|action| !action.ends_with("/read")) {
                // The same remedy on a managed instance or a single database: `dependent::revalidation`.
                let later =
                    write.contains("managedInstances/") || write.contains("servers/databases/encryptionProtector");
                assert!(later || needed.contains(write.as_str()), "{}: {write}", role.file());
            }
        }
    }

    #[test]
    fn every_role_has_a_name_of_its_own() {
        let names: BTreeSet<String> = CustomRole::ALL.into_iter().map(CustomRole::name).collect();
        assert_eq!(names.len(), CustomRole::ALL.len());
        assert!(!names.contains(""));
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        assert!(matches("Microsoft.Sql/locations/*/read", "microsoft.sql/locations/serverOperationResults/read"));
        assert!(matches("*/read", "Microsoft.KeyVault/vaults/read"));
        assert!(matches("Microsoft.Sql/*", "Microsoft.Sql/locations/*/read"));
        assert!(!matches("*/read", "Microsoft.KeyVault/vaults/write"));
        assert!(!matches("", "Microsoft.KeyVault/vaults/write"));
        assert!(!matches("a*ab", "ab"));
    }

    proptest! {
        #[test]
        fn a_pattern_covers_itself_and_nothing_breaks(pattern in "\\PC{0,40}", action in "\\PC{0,40}") {
            let plain = pattern.replace('*', "").trim().to_owned();
            prop_assert!(matches(&plain, &plain));
            prop_assert!(matches("*", &action));
            let _ = matches(&pattern, &action);
        }
    }
}
