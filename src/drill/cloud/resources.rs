//! The things that are in the cloud: servers, databases, vaults, keys, identities, grants.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::world::{DatabaseSpec, NetworkSpec, PermissionModel};
use crate::domain::resource_id::ResourceId;

/// A logical SQL server, or a managed instance.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: ResourceId,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) system_identity: Option<String>,
    /// Ids of user-assigned identities with the principal and client ids that the server remembers.
    pub(crate) user_identities: Vec<(ResourceId, String, String)>,
    pub(crate) primary: Option<ResourceId>,
    pub(crate) federated_client: Option<String>,
    pub(crate) protector: Option<Protector>,
    pub(crate) databases: Vec<Database>,
    pub(crate) failover_groups: Vec<String>,
    /// When it first looks at its key after the story's beginning.
    pub(crate) first_check: Timestamp,
    /// Whether a look is queued.
    pub(crate) watching: bool,
    pub(crate) created: Timestamp,
}

/// A server's TDE protector under a customer-managed key.
#[derive(Debug, Clone)]
pub(crate) struct Protector {
    pub(crate) vault: String,
    /// Whether that is a managed HSM.
    pub(crate) hsm: bool,
    pub(crate) key: String,
    /// `None` for a versionless protector.
    pub(crate) version: Option<String>,
    pub(crate) auto_rotation: bool,
    /// Every version that is linked to the server and needed, with its material's thumbprint and when it was linked.
    pub(crate) linked: Vec<LinkedKey>,
}

/// A key version linked to a server.
#[derive(Debug, Clone)]
pub(crate) struct LinkedKey {
    pub(crate) version: String,
    pub(crate) thumbprint: String,
    pub(crate) created: Timestamp,
}

/// A database, with the settings it has now.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) id: ResourceId,
    pub(crate) settings: DatabaseSpec,
    /// Its own key and the identity (id, principal, client) by which it reaches it.
    pub(crate) own: Option<(Protector, (ResourceId, String, String))>,
    pub(crate) access: Access,
    pub(crate) epoch: u64,
    /// The correlation id of the loss it is in.
    pub(crate) correlation: String,
    /// Whether it is down because replicating it has failed: no matter of any key.
    pub(crate) replication_failed: bool,
    pub(crate) created: Timestamp,
}

/// Where a database stands with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Online,
    /// The server cannot use the key; within the window (or the buffer, if the vault cannot be reached).
    Losing {
        since: Timestamp,
        unreachable: bool,
    },
    /// The key can be used again, within the window: the service will bring it back.
    Healing {
        since: Timestamp,
        unreachable: bool,
    },
    /// It is being brought back. If that fails, it is `lost` again or not.
    ComingBack {
        since: Timestamp,
        lost: bool,
    },
    /// The window is over: only re-validation helps.
    Lost {
        since: Timestamp,
    },
}

/// A key vault, live or soft-deleted.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    pub(crate) id: ResourceId,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) model: PermissionModel,
    pub(crate) policies: Vec<Policy>,
    pub(crate) network: NetworkSpec,
    pub(crate) soft_delete_days: u32,
    pub(crate) purge_protection: bool,
    pub(crate) keys: Vec<Key>,
    pub(crate) deleted: Option<Deleted>,
    /// The host does not resolve until then (after a recovery).
    pub(crate) resolves_at: Timestamp,
    /// The data plane answers 503 until then.
    pub(crate) failing_until: Timestamp,
    pub(crate) created: Timestamp,
}

/// When something was deleted, and when it will be gone for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deleted {
    pub(crate) at: Timestamp,
    pub(crate) purge_at: Timestamp,
}

/// An access policy.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) tenant: String,
    pub(crate) object_id: String,
    /// Each key permission, as written, and when it takes effect.
    pub(crate) keys: Vec<(String, Timestamp)>,
    /// Permissions on secrets, certificates and storage, as they were given.
    pub(crate) others: serde_json::Map<String, Value>,
}

/// A key with all its versions, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) versions: Vec<KeyVersion>,
    pub(crate) deleted: Option<Deleted>,
    /// A recovered key cannot be used until then.
    pub(crate) usable_at: Timestamp,
}

/// One version of a key.
#[derive(Debug, Clone)]
pub(crate) struct KeyVersion {
    pub(crate) id: String,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) kty: String,
    pub(crate) size: u32,
    pub(crate) operations: Vec<String>,
    pub(crate) thumbprint: String,
    pub(crate) tags: Option<Value>,
}

/// A user-assigned identity.
#[derive(Debug, Clone)]
pub(crate) struct UserIdentity {
    pub(crate) id: ResourceId,
    pub(crate) location: String,
    pub(crate) principal: String,
    pub(crate) client: String,
}

/// Somebody Entra knows.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) app_id: String,
    /// When it is known everywhere.
    pub(crate) replicated_at: Timestamp,
}

/// A role definition.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) built_in: bool,
    pub(crate) actions: Vec<String>,
    pub(crate) not_actions: Vec<String>,
    pub(crate) data_actions: Vec<String>,
    pub(crate) not_data_actions: Vec<String>,
}

/// A role assignment.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) scope: ResourceId,
    pub(crate) role: String,
    pub(crate) principal: String,
    pub(crate) principal_type: String,
    pub(crate) description: Option<String>,
    pub(crate) condition: Option<(String, String)>,
    pub(crate) created: Timestamp,
    pub(crate) created_by: String,
    /// When it takes effect.
    pub(crate) effective: Timestamp,
}

/// A deny assignment.
#[derive(Debug, Clone)]
pub(crate) struct Deny {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: ResourceId,
    pub(crate) principals: Vec<String>,
    pub(crate) actions: Vec<String>,
    pub(crate) data_actions: Vec<String>,
}

/// A management lock.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    pub(crate) name: String,
    pub(crate) level: String,
    pub(crate) scope: ResourceId,
}

impl Database {
    /// Since when it stands where it does.
    pub(crate) fn since(&self) -> Timestamp {
        match self.access {
            Access::Online => self.created,
            Access::Losing { since, .. }
            | Access::Healing { since, .. }
            | Access::ComingBack { since, .. }
            | Access::Lost { since } => since,
        }
    }
}

impl Server {
    /// Whether it is a managed instance.
    pub(crate) fn is_instance(&self) -> bool {
        self.id.key().contains("/microsoft.sql/managedinstances/")
    }

    /// Whether it is a Synapse workspace.
    pub(crate) fn is_workspace(&self) -> bool {
        self.id.synapse_workspace().is_some()
    }

    /// The identity that SQL uses: the primary user-assigned one if any is assigned, else its own.
    pub(crate) fn effective_principal(&self) -> Option<(String, Option<ResourceId>)> {
        if self.user_identities.is_empty() {
            return self.system_identity.clone().map(|principal| (principal, None));
        }
        let primary = self.primary.as_ref()?;
        let (id, principal, _) = self.user_identities.iter().find(|(id, ..)| id == primary)?;
        Some((principal.clone(), Some(id.clone())))
    }

    /// `{vault}_{key}[_{version}]`.
    pub(crate) fn key_name(protector: &Protector, version: Option<&str>) -> String {
        let base = format!("{}_{}", protector.vault, protector.key);
        version.map_or_else(|| base.clone(), |version| format!("{base}_{version}"))
    }
}

impl Protector {
    /// The host of its vault or managed HSM.
    pub(crate) fn host(&self) -> String {
        format!("{}.{}.azure.net", self.vault, if self.hsm { "managedhsm" } else { "vault" })
    }

    /// `https://{vault}.vault.azure.net/keys/{key}[/{version}]`.
    pub(crate) fn uri(&self, version: Option<&str>) -> String {
        let base = format!("https://{}/keys/{}", self.host(), self.key);
        version.map_or_else(|| base.clone(), |version| format!("{base}/{version}"))
    }
}

impl Vault {
    pub(crate) fn name(&self) -> &str {
        self.id.name()
    }

    /// Whether it is a managed HSM.
    pub(crate) fn is_hsm(&self) -> bool {
        self.id.key_vault().is_none()
    }

    /// A key that is neither deleted nor still being recovered.
    pub(crate) fn live_key(&self, name: &str, now: Timestamp) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.name.eq_ignore_ascii_case(name) && key.deleted.is_none() && key.usable_at <= now)
    }

    /// Whether the host resolves and a connection can be made.
    pub(crate) fn resolves(&self, now: Timestamp) -> bool {
        self.deleted.is_none() && self.resolves_at <= now
    }
}

impl Key {
    /// The newest version, enabled or not: what a request without a version means.
    pub(crate) fn newest(&self) -> Option<&KeyVersion> {
        self.versions.last()
    }

    pub(crate) fn version(&self, id: &str) -> Option<&KeyVersion> {
        self.versions.iter().find(|version| version.id.eq_ignore_ascii_case(id))
    }
}
