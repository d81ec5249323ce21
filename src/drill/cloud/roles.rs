//! Role definitions: the built-in ones that matter for keys, and the responder's own.

use serde_json::Value;

use super::world::RoleGrant;
use crate::domain::rights::CustomRole;

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

/// Every role that the responder may be given, one a kind of repair, each assigned at the subscription: those that
/// operators are given to create.
pub(crate) fn responder() -> Vec<RoleGrant> {
    CustomRole::ALL.into_iter().map(as_granted).collect()
}

fn as_granted(role: CustomRole) -> RoleGrant {
    let definition: Value = serde_json::from_str(role.definition()).unwrap_or_default();
    let list = |name: &str| {
        let entries = definition[name].as_array().into_iter().flatten();
        entries.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    RoleGrant {
        name: definition["Name"].as_str().unwrap_or_default().to_owned(),
        scope: None,
        actions: list("Actions"),
        not_actions: list("NotActions"),
        data_actions: list("DataActions"),
        not_data_actions: list("NotDataActions"),
        condition: role.condition(),
    }
}
