//! A vault: network, permissions, denials, and how it was deleted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fact;
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;

/// One key vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultEvidence {
    /// Its host, as the protectors name it.
    pub host: VaultHost,
    /// Its resource id, from Azure or (deleted) from the list of deleted vaults.
    pub id: Option<ResourceId>,
    /// The vault itself. `Absent`: neither Resource Graph nor ARM knows it in any subscription we may read.
    pub vault: Fact<Vault>,
    /// Its soft-deleted remains.
    pub deleted: Fact<DeletedVault>,
    /// Role assignments that reach the keys (RBAC vaults only).
    pub grants: Fact<Vec<Grant>>,
    /// Deny assignments at its scope.
    pub denials: Fact<Vec<Denial>>,
    /// Whether `https://{vault}/healthstatus` answers the responder. Only our own view of the network.
    pub reachable: Fact<bool>,
}

/// What matters of a vault's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    /// Its id.
    pub id: ResourceId,
    /// Azure region.
    pub location: String,
    /// The tenant whose principals may use it.
    pub tenant_id: String,
    /// `Succeeded`, `RegisteringDns`.
    pub provisioning_state: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// True: role assignments count. False: access policies count.
    pub rbac: bool,
    /// Access policies.
    pub access_policies: Vec<AccessPolicy>,
    /// Purge protection is on.
    pub purge_protection: bool,
    /// Days that deleted things can be recovered, if it says so.
    #[serde(default)]
    pub soft_delete_days: Option<u32>,
    /// The firewall.
    pub network: VaultNetwork,
    /// `(name, status)` of private endpoint connections that are not approved.
    pub pending_private_endpoints: Vec<(String, String)>,
}

/// A vault's firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultNetwork {
    /// `Enabled`, `Disabled`, `SecuredByPerimeter`.
    pub public_access: String,
    /// `networkAcls.bypass` is `AzureServices` (also when there are no network ACLs).
    pub trusted_services_bypass: bool,
    /// `networkAcls.defaultAction` is `Deny`.
    pub default_deny: bool,
    /// The complete `networkAcls` object as read, to be sent back whole; `null` if there is none.
    pub acls: serde_json::Value,
}

impl VaultNetwork {
    /// Whether trusted services such as Azure SQL are kept out, other than by a perimeter.
    #[must_use]
    pub fn shuts_out_sql(&self) -> bool {
        !self.in_perimeter()
            && !self.trusted_services_bypass
            && (self.default_deny || self.public_access.eq_ignore_ascii_case("Disabled"))
    }

    /// Whether a network security perimeter decides (and overrides the bypass).
    #[must_use]
    pub fn in_perimeter(&self) -> bool {
        self.public_access.eq_ignore_ascii_case("SecuredByPerimeter")
    }
}

/// One entry of a vault's access policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicy {
    /// Whose.
    pub object_id: String,
    /// Only for this application on behalf of the principal: such an entry does not help SQL.
    pub application_id: Option<String>,
    /// Tenant of the principal.
    pub tenant_id: String,
    /// Key permissions in lower case.
    pub keys: Vec<String>,
}

/// A soft-deleted vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedVault {
    /// What it was.
    pub vault_id: ResourceId,
    /// Its region.
    pub location: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it is gone for good.
    pub purge_at: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The key permissions that SQL needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRights {
    /// `get` / `keys/read`.
    pub get: bool,
    /// `wrapKey` / `keys/wrap/action`.
    pub wrap: bool,
    /// `unwrapKey` / `keys/unwrap/action`.
    pub unwrap: bool,
}

impl KeyRights {
    /// All three.
    #[must_use]
    pub const fn complete(self) -> bool {
        self.get && self.wrap && self.unwrap
    }

    /// Either's rights.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { get: self.get || other.get, wrap: self.wrap || other.wrap, unwrap: self.unwrap || other.unwrap }
    }

    /// The names of those that are missing.
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        let all = [(self.get, "get"), (self.wrap, "wrapKey"), (self.unwrap, "unwrapKey")];
        all.into_iter().filter_map(|(has, name)| (!has).then_some(name)).collect()
    }
}

/// A role assignment that reaches a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The assignment's own id.
    pub id: String,
    /// Where it was made: a management group, subscription, resource group, vault or key.
    pub scope: String,
    /// To whom.
    pub principal_id: String,
    /// `ServicePrincipal`, `Group`, `User` …
    pub principal_type: String,
    /// The role's name or id.
    pub role: String,
    /// What it gives on keys.
    pub rights: KeyRights,
    /// It has a condition that we do not evaluate.
    pub conditional: bool,
    /// Found by asking for one principal's assignments, groups included: it counts for that principal whoever is named.
    pub found_for: Option<String>,
}

/// A deny assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Its display name or id.
    pub name: String,
    /// Object ids it hits; "everyone" is `00000000-0000-0000-0000-000000000000`.
    pub principals: Vec<String>,
    /// Object ids excepted.
    pub excluded: Vec<String>,
    /// It takes key rights away (as opposed to, say, only role management).
    pub denies_keys: bool,
}

impl Denial {
    /// Whether it keeps `principal` from using keys.
    #[must_use]
    pub fn hits(&self, principal: &str) -> bool {
        const EVERYONE: &str = "00000000-0000-0000-0000-000000000000";
        let names = |list: &[String]| list.iter().any(|id| id.eq_ignore_ascii_case(principal));
        let everyone = self.principals.iter().any(|id| id == EVERYONE);
        self.denies_keys && !names(&self.excluded) && (everyone || names(&self.principals))
    }
}
