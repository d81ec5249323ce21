//! Servers and databases in the description of a [`World`](super::world::World).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One logical SQL server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSpec {
    /// Its name.
    pub name: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its region.
    pub location: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What it is.
    pub kind: ServerKind,
    /// Its identity when the story begins.
    pub identity: IdentityKind,
    /// The multi-tenant application by which it uses a key of another tenant.
    pub federated_client: Option<String>,
    /// Its TDE protector; none = Microsoft's key.
    pub protector: Option<ProtectorSpec>,
    /// Whether its identity may use the key when the story begins.
    pub granted: bool,
    /// Its databases.
    pub databases: Vec<DatabaseSpec>,
    /// Names of its failover groups; databases name the one they are in.
    pub failover_groups: Vec<String>,
}

/// What holds the databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// A logical SQL server.
    #[default]
    SqlServer,
    /// A SQL managed instance.
    ManagedInstance,
    /// A Synapse workspace with a key of its own; its databases are dedicated SQL pools.
    SynapseWorkspace,
}

/// Which identity a server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    /// None at all.
    None,
    /// The server's own.
    SystemAssigned,
    /// A user-assigned one, by its name in [`identities`](super::world::World::identities).
    UserAssigned(String),
}

/// Which key protects a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProtectorSpec {
    /// The vault's name.
    pub vault: String,
    /// The key's name.
    pub key: String,
    /// Whether the protector names no version, so that the newest enabled one counts.
    pub versionless: bool,
    /// Whether new versions are picked up by themselves.
    pub auto_rotation: bool,
    /// Older versions of the key, by their place in [`versions`](super::world_vaults::KeySpec::versions), that are linked to the server and that some
    /// page of a database still needs.
    pub latent: Vec<usize>,
}

/// One database and the settings that Azure drops once the self-heal window is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSpec {
    /// Its name.
    pub name: String,
    /// Its size in GiB: larger ones take longer to come back.
    pub size_gb: u32,
    /// Its service objective.
    pub sku: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The elastic pool it is in.
    pub elastic_pool: Option<String>,
    /// The failover group it is in.
    pub failover_group: Option<String>,
    /// Whether reads may go to a replica.
    pub read_scale: bool,
    /// Minutes until it pauses by itself; none = never (-1 in Azure).
    pub auto_pause_minutes: Option<u32>,
    /// Days of point-in-time restore; none = the service's default of 7.
    pub pitr_days: Option<u32>,
    /// Long-term retention of weekly backups, such as `P4W`.
    pub ltr_weekly: Option<String>,
    /// The server whose database of the same name this is a geo-secondary of. One that is lost for good stands alone, and
    /// nothing brings it back.
    pub geo_secondary_of: Option<String>,
    /// Whether it is paused, as a dedicated SQL pool can be.
    pub paused: bool,
    /// Its own key, if it is not encrypted through the server's protector.
    pub own_key: Option<OwnKeySpec>,
}

/// A database's own key (database-level encryption).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnKeySpec {
    /// The vault's name.
    pub vault: String,
    /// The key's name.
    pub key: String,
    /// The user-assigned identity by which it reaches it, by its name in [`identities`](super::world::World::identities).
    pub identity: String,
}
