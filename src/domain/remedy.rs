//! What Keymend can do about a cause: the kinds of remedy, and the exact changes that a plan is made of.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::Setting;

/// The built-in role "Key Vault Crypto Service Encryption User": what SQL needs on the key of an RBAC vault
/// (Microsoft, Azure built-in roles).
pub const CRYPTO_SERVICE_ENCRYPTION_USER: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";

/// A kind of remedy. The names are the ones used in `keymend.toml` under `[remedies]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Give the server a system-assigned identity.
    AssignIdentity,
    /// Add Get, Wrap Key and Unwrap Key for the server's identity to the vault's access policies.
    AddAccessPolicy,
    /// Assign the role "Key Vault Crypto Service Encryption User" on the key.
    AssignRole,
    /// Recover a soft-deleted vault.
    RecoverVault,
    /// Recover a soft-deleted key.
    RecoverKey,
    /// Enable a key version.
    EnableKey,
    /// Extend the expiry of a key version.
    ExtendExpiry,
    /// Let trusted Microsoft services through the vault's firewall.
    TrustedServicesBypass,
    /// Re-validate the server's TDE protector.
    Revalidate,
    /// Put a database's setting back that Azure dropped.
    RestoreSettings,
    /// Wait for Azure to heal by itself.
    Wait,
}

impl Remedy {
    /// Every kind, in the order of the settings file.
    pub const ALL: [Self; 11] = [
        Self::AssignIdentity,
        Self::AddAccessPolicy,
        Self::AssignRole,
        Self::RecoverVault,
        Self::RecoverKey,
        Self::EnableKey,
        Self::ExtendExpiry,
        Self::TrustedServicesBypass,
        Self::Revalidate,
        Self::RestoreSettings,
        Self::Wait,
    ];

    /// The name in settings and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AssignIdentity => "assign_identity",
            Self::AddAccessPolicy => "add_access_policy",
            Self::AssignRole => "assign_role",
            Self::RecoverVault => "recover_vault",
            Self::RecoverKey => "recover_key",
            Self::EnableKey => "enable_key",
            Self::ExtendExpiry => "extend_expiry",
            Self::TrustedServicesBypass => "trusted_services_bypass",
            Self::Revalidate => "revalidate",
            Self::RestoreSettings => "restore_settings",
            Self::Wait => "wait",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One change of one resource, with no choices left for the moment of execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// PATCH the server's identity, keeping user-assigned ones.
    AssignIdentity {
        /// Which server.
        server: ResourceId,
        /// User-assigned identities it has and keeps.
        keep: Vec<ResourceId>,
    },
    /// PUT `accessPolicies/add`: merges, takes nothing away.
    AddAccessPolicy {
        /// Which vault.
        vault: ResourceId,
        /// The vault's tenant.
        tenant_id: String,
        /// Who gets Get, Wrap Key and Unwrap Key.
        grants: Vec<GrantTo>,
    },
    /// PUT a role assignment under a deterministic name.
    AssignRole {
        /// The vault that the key is in.
        vault: ResourceId,
        /// The key's name: the assignment is made on the key alone.
        key: String,
        /// To whom.
        grant: GrantTo,
        /// The role definition's GUID.
        role: String,
    },
    /// PUT the vault with `createMode: recover`.
    RecoverVault {
        /// What it was.
        vault: ResourceId,
        /// Its region.
        location: String,
        /// Its tenant (the server's, where the remains do not tell).
        tenant_id: String,
    },
    /// POST `/deletedkeys/{key}/recover`.
    RecoverKey {
        /// The key, without a version.
        key: KeyUri,
    },
    /// PATCH `enabled: true`.
    EnableKey {
        /// The key version.
        key: KeyUri,
    },
    /// PATCH `exp`.
    ExtendExpiry {
        /// The key version.
        key: KeyUri,
        /// What it is.
        from: Option<Timestamp>,
        /// What it becomes.
        to: Timestamp,
    },
    /// PATCH the vault with its complete `networkAcls`, only `bypass` changed.
    TrustedServicesBypass {
        /// Which vault.
        vault: ResourceId,
        /// The `networkAcls` as diagnosed (`null` if there were none).
        acls: Value,
    },
    /// POST `encryptionProtector/current/revalidate`.
    Revalidate {
        /// Which server.
        server: ResourceId,
    },
    /// PATCH the database, PUT its retention policy, or PATCH its failover group: one setting, as it was before.
    RestoreSetting {
        /// Which database.
        database: ResourceId,
        /// What it gets back.
        setting: Setting,
    },
}

/// Who is granted the use of the key, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTo {
    /// Entra object id of the server's effective identity.
    pub principal_id: String,
    /// The server it belongs to.
    pub server: ResourceId,
    /// What it lacks: names out of `get`, `wrapKey`, `unwrapKey`.
    pub missing: Vec<String>,
}

impl Change {
    /// Its kind.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::AssignIdentity { .. } => Remedy::AssignIdentity,
            Self::AddAccessPolicy { .. } => Remedy::AddAccessPolicy,
            Self::AssignRole { .. } => Remedy::AssignRole,
            Self::RecoverVault { .. } => Remedy::RecoverVault,
            Self::RecoverKey { .. } => Remedy::RecoverKey,
            Self::EnableKey { .. } => Remedy::EnableKey,
            Self::ExtendExpiry { .. } => Remedy::ExtendExpiry,
            Self::TrustedServicesBypass { .. } => Remedy::TrustedServicesBypass,
            Self::Revalidate { .. } => Remedy::Revalidate,
            Self::RestoreSetting { .. } => Remedy::RestoreSettings,
        }
    }

    /// What it is done to, one entry for each principal or resource: the same repair made again has the same
    /// subject, whatever else differs. Used to notice that somebody undid it.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        let kind = self.remedy().name();
        match self {
            Self::AssignIdentity { server, .. } | Self::Revalidate { server } => {
                vec![format!("{kind}|{}", server.key())]
            }
            Self::AddAccessPolicy { vault, grants, .. } => grants
                .iter()
                .map(|grant| format!("{kind}|{}|{}", vault.key(), grant.principal_id.to_lowercase()))
                .collect(),
            Self::AssignRole { vault, key, grant, role } => vec![format!(
                "{kind}|{}|{}|{}|{role}",
                vault.key(),
                key.to_lowercase(),
                grant.principal_id.to_lowercase()
            )],
            Self::RecoverVault { vault, .. } | Self::TrustedServicesBypass { vault, .. } => {
                vec![format!("{kind}|{}", vault.key())]
            }
            Self::RecoverKey { key } | Self::EnableKey { key } | Self::ExtendExpiry { key, .. } => {
                vec![format!("{kind}|{}", key.to_string().to_lowercase())]
            }
            Self::RestoreSetting { database, setting } => vec![format!("{kind}|{}|{}", database.key(), setting.name())],
        }
    }

    /// The ARM resource or key that a person would open to see it.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::AssignIdentity { server, .. } | Self::Revalidate { server } => server.to_string(),
            Self::AddAccessPolicy { vault, .. }
            | Self::RecoverVault { vault, .. }
            | Self::TrustedServicesBypass { vault, .. } => vault.to_string(),
            Self::AssignRole { vault, key, .. } => format!("{vault}/keys/{key}"),
            Self::RecoverKey { key } | Self::EnableKey { key } | Self::ExtendExpiry { key, .. } => key.to_string(),
            Self::RestoreSetting { database, .. } => database.to_string(),
        }
    }
}

/// The state of a resource in words, before and after a change, for people: property → value.
pub type InWords = BTreeMap<String, String>;
