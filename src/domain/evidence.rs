//! What the probes saw in Azure at one moment: the whole chain from server identity to database, each link with how
//! sure we are of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", content = "value", rename_all = "snake_case")]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// Azure says that it does not exist.
    Absent,
    /// We may not read it: the right that is missing, as Azure named it.
    Denied(MissingRight),
    /// It could not be read, or was not asked for: why.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, if it was read.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Whether Azure said that it does not exist.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self::Unknown("not asked".to_owned())
    }
}

/// A right that Azure says the responder lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MissingRight {
    /// The action, such as `Microsoft.KeyVault/vaults/read`, or the data-plane permission.
    pub action: String,
    /// On what: a resource id or a vault's host.
    pub scope: String,
}

/// Everything seen in one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the observation began.
    pub taken_at: Timestamp,
    /// How many waves of requests it took (never more than three).
    pub waves: u8,
    /// The vault, if any protector named one.
    pub vault: Option<VaultEvidence>,
    /// Every distinct key (and version) of that vault that a server in question depends on.
    pub keys: Vec<KeyEvidence>,
    /// The servers in question.
    pub servers: Vec<ServerEvidence>,
    /// All management locks of the subscriptions in question, at any level.
    pub locks: Fact<Vec<Lock>>,
    /// Changes found in the Activity Log (and resource changes), newest first. Never complete: the log lags 3–20 min.
    pub changes: Vec<Change>,
    /// Whether the logs could be read.
    pub changes_read: Fact<()>,
}

/// One logical SQL server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEvidence {
    /// Which.
    pub id: ResourceId,
    /// The server itself.
    pub server: Fact<Server>,
    /// Its TDE protector.
    pub protector: Fact<Protector>,
    /// Every key linked to it: older ones may still be needed ("latent keys").
    pub linked_keys: Fact<Vec<LinkedKey>>,
    /// All its databases, with their status and settings.
    pub databases: Fact<Vec<Database>>,
}

/// What matters of a server's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Azure region.
    pub location: String,
    /// `Ready`, `Disabled` …
    pub state: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Its identities.
    pub identity: Identity,
    /// Set for cross-tenant keys: the multi-tenant application used in the vault's tenant.
    pub federated_client_id: Option<String>,
}

impl Server {
    /// Whether it is stopped, or about to be: only managed instances can be (`state`, REST reference 2025-01-01).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let state = self.state.as_deref().unwrap_or_default();
        ["stopped", "stopping"].contains(&state.to_ascii_lowercase().as_str())
    }
}

/// A server's identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Object id of the system-assigned identity.
    pub system_principal_id: Option<String>,
    /// The server's tenant, as its identity names it.
    pub tenant_id: Option<String>,
    /// User-assigned identities.
    pub user_assigned: Vec<UserAssignedIdentity>,
    /// The one that SQL uses when any is assigned.
    pub primary: Option<ResourceId>,
}

/// A user-assigned identity in a server's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAssignedIdentity {
    /// The identity's resource.
    pub id: ResourceId,
    /// Its object id.
    pub principal_id: Option<String>,
    /// Whether the resource still exists (its principal id): the server's list keeps deleted ones.
    pub resource: Fact<String>,
}

/// The identity that SQL uses to reach the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EffectiveIdentity {
    /// Entra object id: what access policies and role assignments name.
    pub principal_id: String,
    /// Its resource if it is user-assigned.
    pub user_assigned: Option<ResourceId>,
    /// Its tenant if known.
    pub tenant_id: Option<String>,
}

impl Identity {
    /// The identity SQL uses: the primary user-assigned one if any is assigned, else the system-assigned one
    /// (Microsoft, "managed identities for TDE with BYOK").
    #[must_use]
    pub fn effective(&self) -> Option<EffectiveIdentity> {
        let tenant_id = self.tenant_id.clone();
        if self.user_assigned.is_empty() {
            let principal_id = self.system_principal_id.clone()?;
            return Some(EffectiveIdentity { principal_id, user_assigned: None, tenant_id });
        }
        let primary = match &self.primary {
            Some(primary) => self.user_assigned.iter().find(|identity| identity.id == *primary)?,
            None => self.user_assigned.first()?,
        };
        let principal_id = primary.principal_id.clone()?;
        Some(EffectiveIdentity { principal_id, user_assigned: Some(primary.id.clone()), tenant_id })
    }
}

/// A TDE protector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protector {
    /// Whether the key is the customer's (`AzureKeyVault`); otherwise it is Microsoft's and not our concern.
    pub customer_managed: bool,
    /// Its key.
    pub uri: Option<KeyUri>,
    /// Thumbprint of the key's material.
    pub thumbprint: Option<String>,
    /// Whether new key versions are picked up by themselves.
    pub auto_rotation: bool,
    /// The key version in use where the URI has none (2025-01-01).
    pub key_version: Option<String>,
}

/// A key linked to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedKey {
    /// `{vault}_{key}_{version}`.
    pub name: String,
    /// Its key.
    pub uri: Option<KeyUri>,
    /// When it was linked.
    pub created: Option<Timestamp>,
    /// Thumbprint of the material that was linked.
    pub thumbprint: Option<String>,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// `Online`, `Inaccessible` …
    pub status: String,
    /// Its own key if it has database-level encryption.
    pub own_protector: Option<KeyUri>,
    /// What Azure drops after the self-heal window, as name → value in words.
    pub settings: BTreeMap<String, String>,
    /// Why it is inaccessible, where Azure says (managed instances alone).
    #[serde(default)]
    pub reason: Option<Inaccessibility>,
}

/// Why a database is inaccessible, in Azure's own words: `extendedAccessibilityInfo` of a managed instance's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inaccessibility {
    /// `TransparentDataEncryption`, `DatabaseReplication`, `Unknown`.
    pub kind: String,
    /// Azure's error code.
    pub code: String,
    /// The cause and what to do, in Azure's words.
    pub description: String,
    /// The key, if the cause is one.
    pub key: Option<KeyUri>,
}

impl Inaccessibility {
    /// Whether Azure blames the key.
    #[must_use]
    pub fn is_of_the_key(&self) -> bool {
        self.kind.eq_ignore_ascii_case("TransparentDataEncryption")
    }
}

/// The setting that says a database is a secondary, and of which kind: `Geo`, `Standby` or `Named`
/// (`secondaryType`, REST reference 2025-01-01). A primary and a database that stands alone have none.
pub const SECONDARY_TYPE: &str = "secondary type";

impl Database {
    /// Whether Azure SQL calls it inaccessible.
    #[must_use]
    pub fn is_inaccessible(&self) -> bool {
        self.status.eq_ignore_ascii_case("Inaccessible")
    }

    /// Whether Azure says that it is inaccessible for another reason than its key.
    #[must_use]
    pub fn is_down_for_another_reason(&self) -> bool {
        self.is_inaccessible() && self.reason.as_ref().is_some_and(|reason| !reason.is_of_the_key())
    }

    /// Whether it is back in service: online, or deliberately paused.
    #[must_use]
    pub fn is_in_service(&self) -> bool {
        ["online", "paused", "pausing", "resuming", "scaling", "autoclosed"]
            .contains(&self.status.to_ascii_lowercase().as_str())
    }
}

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

/// One key that a server depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvidence {
    /// The key, with the version if the protector or link names one.
    pub uri: KeyUri,
    /// The version in question (for a versionless URI: the version in use or the newest).
    pub version: Fact<KeyVersion>,
    /// Whether the key exists under any version.
    pub exists: Fact<bool>,
    /// Every version's id and creation time, where read.
    pub versions: Vec<(String, Option<Timestamp>)>,
    /// Its soft-deleted remains.
    pub deleted: Fact<DeletedKey>,
}

/// A key version's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersion {
    /// 32 hex digits.
    pub version: String,
    /// Enabled.
    pub enabled: bool,
    /// Not before.
    pub not_before: Option<Timestamp>,
    /// Expires at.
    pub expires: Option<Timestamp>,
    /// When made.
    pub created: Option<Timestamp>,
    /// When last changed.
    pub updated: Option<Timestamp>,
    /// `RSA`, `RSA-HSM` …
    pub kind: Option<String>,
    /// Bits.
    pub size: Option<u32>,
    /// Allowed operations in lower case; empty means not said.
    pub operations: Vec<String>,
    /// Its tags: from the Resource Manager, and for a version that is disabled or not valid now also from the vault itself.
    pub tags: BTreeMap<String, String>,
}

/// A soft-deleted key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedKey {
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it is gone for good.
    pub purge_at: Option<Timestamp>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A management lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// The resource, resource group or subscription it is on.
    pub scope: ResourceId,
    /// `ReadOnly` (stops our writes) as opposed to `CanNotDelete` (does not).
    pub read_only: bool,
}

/// Who made a change, as far as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// A person signed in (UPN, or user claims).
    Person,
    /// A service principal or managed identity.
    Application,
    /// Azure itself, or not told.
    Unknown,
}

/// One change in the Activity Log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was made.
    pub at: Timestamp,
    /// UPN, object id or name.
    pub caller: Option<String>,
    /// The caller's other ids (object id, application id, UPN), for lists that name those.
    pub caller_ids: Vec<String>,
    /// What kind of caller.
    pub caller_kind: CallerKind,
    /// The operation in lower case, such as `microsoft.keyvault/vaults/delete`.
    pub operation: String,
    /// What was changed.
    pub target: String,
    /// Azure's correlation id.
    pub correlation_id: Option<String>,
}
