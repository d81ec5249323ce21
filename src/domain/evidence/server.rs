//! A server and what stands on it: identities, protector, linked keys, geo-replication.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Database, Fact};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;

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
    /// The geo-replication links of its databases.
    #[serde(default)]
    pub links: Fact<Vec<ReplicationLink>>,
}

impl ServerEvidence {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn unread(id: ResourceId) -> Self {
        Self {
            id,
            server: Fact::default(),
            protector: Fact::default(),
            linked_keys: Fact::default(),
            databases: Fact::default(),
            links: Fact::default(),
        }
    }

    /// The servers that hold geo-secondaries of this one's databases, with the names of these databases.
    #[must_use]
    pub fn partners(&self) -> BTreeMap<ResourceId, Vec<&str>> {
        let mut partners: BTreeMap<ResourceId, Vec<&str>> = BTreeMap::new();
        let links = self.links.known().map(Vec::as_slice).unwrap_or_default();
        for link in links.iter().filter(|link| link.primary) {
            if let Some(partner) = &link.partner {
                let names = partners.entry(partner.clone()).or_default();
                names.push(&link.database);
                names.sort_unstable();
                names.dedup();
            }
        }
        partners
    }
}

/// A geo-replication link, as the server at one of its ends tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationLink {
    /// The database at this end.
    pub database: String,
    /// Whether this end is the primary.
    pub primary: bool,
    /// The other end's server; none where Azure gives its name alone.
    pub partner: Option<ResourceId>,
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
