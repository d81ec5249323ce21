//! Vaults and keys in the description of a [`World`](super::world::World).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One key vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultSpec {
    /// Its name, the first label of its host.
    pub name: String,
    /// Its resource group.
    pub resource_group: String,
    /// The subscription of another tenant that it is in, where the responder sees nothing.
    pub foreign_subscription: Option<String>,
    /// Whether it is a managed HSM: rights of its own, and nothing of it in the Resource Manager.
    pub managed_hsm: bool,
    /// Its region.
    pub location: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How rights on its keys are given.
    pub model: PermissionModel,
    /// Where a server's role assignment is made, in a vault with Azure RBAC.
    pub grant_at: GrantScope,
    /// Its keys.
    pub keys: Vec<KeySpec>,
    /// Its firewall.
    pub network: NetworkSpec,
    /// Days that deleted things can be recovered.
    pub soft_delete_days: u32,
    /// Whether nothing can be purged earlier.
    pub purge_protection: bool,
    /// Key permissions of the responder in a vault with access policies.
    pub responder_may: Vec<String>,
}

/// A vault's permission model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionModel {
    /// Azure RBAC.
    Rbac,
    /// Access policies in the vault.
    Policy,
}

/// Where a role is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantScope {
    /// On the key.
    Key,
    /// On the vault.
    Vault,
    /// On the vault's resource group (survives the vault).
    ResourceGroup,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySpec {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<VersionSpec>,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionSpec {
    /// 32 hex digits; drawn from the seed if absent.
    pub id: Option<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Days from the beginning of the story until it expires; negative = it has.
    pub expires_in_days: Option<f64>,
    /// Days from the beginning of the story until it may be used.
    pub valid_in_days: Option<f64>,
    /// How many days before the story it was made.
    pub age_days: u32,
    /// `RSA`, `RSA-HSM`.
    pub kty: String,
    /// Bits.
    pub size: u32,
    /// What it may do.
    pub operations: Vec<String>,
}

/// A vault's firewall. The names are Azure's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// `Enabled`, `Disabled` or `SecuredByPerimeter`.
    pub public_network_access: String,
    /// `AzureServices` or `None`.
    pub bypass: String,
    /// `Allow` or `Deny`.
    pub default_action: String,
    /// Addresses (or CIDR ranges) let in.
    pub ip_rules: Vec<String>,
    /// Subnets let in.
    pub virtual_network_rules: Vec<String>,
}
