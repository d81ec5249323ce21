//! Role definitions: the built-in ones that matter for keys, and the responder's own.

use super::world::RoleGrant;

/// The built-in role that SQL identities need: Key Vault Crypto Service Encryption User.
pub const CRYPTO_SERVICE_ENCRYPTION_USER: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";

/// A role that Azure brings along.
pub(crate) struct BuiltIn {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) actions: &'static [&'static str],
    pub(crate) data_actions: &'static [&'static str],
}

/// Built-in roles (Microsoft, "Azure built-in roles": ids and data actions).
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        id: CRYPTO_SERVICE_ENCRYPTION_USER,
        name: "Key Vault Crypto Service Encryption User",
        actions: &[
            "Microsoft.EventGrid/eventSubscriptions/write",
            "Microsoft.EventGrid/eventSubscriptions/read",
            "Microsoft.EventGrid/eventSubscriptions/delete",
        ],
        data_actions: &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
        ],
    },
    BuiltIn {
        id: "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        name: "Key Vault Administrator",
        actions: &["Microsoft.Authorization/*/read", "Microsoft.KeyVault/vaults/*/read"],
        data_actions: &["Microsoft.KeyVault/vaults/*"],
    },
    BuiltIn {
        id: "21090545-7ca7-4776-b22c-e363652d74d2",
        name: "Key Vault Reader",
        actions: &["Microsoft.Authorization/*/read", "Microsoft.KeyVault/vaults/*/read"],
        data_actions: &["Microsoft.KeyVault/vaults/*/read"],
    },
    BuiltIn {
        id: "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        name: "Key Vault Crypto Officer",
        actions: &["Microsoft.Authorization/*/read", "Microsoft.KeyVault/vaults/*/read"],
        data_actions: &["Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"],
    },
    BuiltIn {
        id: "12338af0-0e69-4776-bea7-57ae8d297424",
        name: "Key Vault Crypto User",
        actions: &[],
        data_actions: &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/update/action",
            "Microsoft.KeyVault/vaults/keys/backup/action",
            "Microsoft.KeyVault/vaults/keys/encrypt/action",
            "Microsoft.KeyVault/vaults/keys/decrypt/action",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
            "Microsoft.KeyVault/vaults/keys/sign/action",
            "Microsoft.KeyVault/vaults/keys/verify/action",
        ],
    },
    BuiltIn { id: "acdd72a7-3385-48ef-bd42-f606fba81ae7", name: "Reader", actions: &["*/read"], data_actions: &[] },
];

fn role(name: &str, actions: &[&str], data_actions: &[&str]) -> RoleGrant {
    let owned = |list: &[&str]| list.iter().map(|action| (*action).to_owned()).collect();
    RoleGrant {
        name: name.to_owned(),
        actions: owned(actions),
        data_actions: owned(data_actions),
        ..RoleGrant::default()
    }
}

/// Every role that the responder may be given, one a kind of repair, each assigned at the subscription.
pub(crate) fn responder() -> Vec<RoleGrant> {
    vec![
        role(
            "Keymend Probe",
            &[
                "Microsoft.Sql/servers/read",
                "Microsoft.Sql/servers/databases/read",
                "Microsoft.Sql/servers/inaccessibleDatabases/read",
                "Microsoft.Sql/servers/databases/operations/read",
                "Microsoft.Sql/servers/encryptionProtector/read",
                "Microsoft.Sql/servers/keys/read",
                "Microsoft.Sql/servers/replicationLinks/read",
                "Microsoft.Sql/servers/databases/replicationLinks/read",
                "Microsoft.Sql/servers/failoverGroups/read",
                "Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies/read",
                "Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies/read",
                "Microsoft.Sql/managedInstances/read",
                "Microsoft.Sql/managedInstances/databases/read",
                "Microsoft.Sql/managedInstances/inaccessibleManagedDatabases/read",
                "Microsoft.Sql/managedInstances/encryptionProtector/read",
                "Microsoft.Sql/managedInstances/keys/read",
                "Microsoft.KeyVault/vaults/read",
                "Microsoft.KeyVault/vaults/keys/read",
                "Microsoft.KeyVault/vaults/keys/versions/read",
                "Microsoft.KeyVault/vaults/privateEndpointConnections/read",
                "Microsoft.KeyVault/vaults/networkSecurityPerimeterConfigurations/read",
                "Microsoft.KeyVault/deletedVaults/read",
                "Microsoft.KeyVault/locations/deletedVaults/read",
                "Microsoft.KeyVault/managedHSMs/read",
                "Microsoft.KeyVault/managedHSMs/keys/read",
                "Microsoft.KeyVault/managedHSMs/keys/versions/read",
                "Microsoft.KeyVault/locations/deletedManagedHsms/read",
                "Microsoft.KeyVault/deletedManagedHsms/read",
                "Microsoft.Authorization/roleAssignments/read",
                "Microsoft.Authorization/roleDefinitions/read",
                "Microsoft.Authorization/denyAssignments/read",
                "Microsoft.Authorization/locks/read",
                "Microsoft.ManagedIdentity/userAssignedIdentities/read",
                "Microsoft.ManagedIdentity/identities/read",
                "Microsoft.Insights/eventtypes/values/read",
                "Microsoft.ResourceHealth/availabilityStatuses/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Microsoft.Resources/subscriptions/resources/read",
            ],
            &[],
        ),
        role(
            "Keymend Revalidate",
            &[
                "Microsoft.Sql/servers/encryptionProtector/revalidate/action",
                "Microsoft.Sql/servers/databases/encryptionProtector/revalidate/action",
                "Microsoft.Sql/managedInstances/encryptionProtector/revalidate/action",
                "Microsoft.Sql/managedInstances/reevaluateInaccessibleDatabaseState/action",
                "Microsoft.Sql/managedInstances/databases/reevaluateInaccessibleDatabaseState/action",
                "Microsoft.Sql/managedInstances/validateAzureKeyVaultEncryptionKey/action",
                "Microsoft.Sql/locations/*/read",
            ],
            &[],
        ),
        role(
            "Keymend Identity",
            &[
                "Microsoft.Sql/servers/read",
                "Microsoft.Sql/servers/write",
                "Microsoft.Sql/managedInstances/read",
                "Microsoft.Sql/managedInstances/write",
                "Microsoft.ManagedIdentity/userAssignedIdentities/read",
                "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
                "Microsoft.Sql/locations/*/read",
            ],
            &[],
        ),
        role(
            "Keymend Access Policy",
            &["Microsoft.KeyVault/vaults/read", "Microsoft.KeyVault/vaults/accessPolicies/write"],
            &[],
        ),
        role(
            "Keymend Vault Write",
            &[
                "Microsoft.KeyVault/vaults/read",
                "Microsoft.KeyVault/vaults/write",
                "Microsoft.KeyVault/locations/deletedVaults/read",
                "Microsoft.KeyVault/deletedVaults/read",
                "Microsoft.KeyVault/locations/operationResults/read",
            ],
            &[],
        ),
        role(
            "Keymend Key Repair",
            &[],
            &[
                "Microsoft.KeyVault/vaults/keys/read",
                "Microsoft.KeyVault/vaults/keys/recover/action",
                "Microsoft.KeyVault/vaults/keys/update/action",
            ],
        ),
        role(
            "Keymend RBAC Grant",
            &[
                "Microsoft.Authorization/roleAssignments/read",
                "Microsoft.Authorization/roleAssignments/write",
                "Microsoft.Authorization/roleDefinitions/read",
            ],
            &[],
        ),
    ]
}
