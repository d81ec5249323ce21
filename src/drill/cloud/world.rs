//! The description of a world: what exists in the simulated cloud when it starts, and how it behaves. It is what
//! `keymend sim --world FILE` reads, and what scenarios build.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SecureWebhook;

/// Tenant of the standard world.
pub const TENANT: &str = "99999999-8888-7777-6666-555555555555";
/// Subscription of the standard world.
pub const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
/// The bearer token that the simulated cloud takes for the responder's.
pub const TOKEN: &str = "drill-token";

/// A whole world. Every field has a default, so a file need only hold what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// What every delay and id is drawn from: the same seed gives the same story.
    pub seed: u64,
    /// When the story begins, for `keymend sim`; the present if absent.
    pub origin: Option<Timestamp>,
    /// The Entra tenant.
    pub tenant: String,
    /// The subscription that holds everything.
    pub subscription: String,
    /// Logical SQL servers.
    pub servers: Vec<ServerSpec>,
    /// Key vaults.
    pub vaults: Vec<VaultSpec>,
    /// User-assigned managed identities.
    pub identities: Vec<IdentitySpec>,
    /// Management locks.
    pub locks: Vec<LockSpec>,
    /// Deny assignments.
    pub denies: Vec<DenySpec>,
    /// Who calls, and what it may do.
    pub responder: Responder,
    /// What the alert rules and the Action Group send.
    pub alerts: Alerting,
    /// How long things take.
    pub timing: Timing,
    /// Whether Resource Graph shows a server's key (`properties.keyId`). It seems that Azure's does not.
    pub graph_knows_keys: bool,
    /// Whether requests that only read are kept, with their answers. Without it they are counted.
    pub keep_reads: bool,
}

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
    /// A user-assigned one, by its name in [`World::identities`].
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
    /// Older versions of the key, by their place in [`KeySpec::versions`], that are linked to the server and that some
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
    /// The user-assigned identity by which it reaches it, by its name in [`World::identities`].
    pub identity: String,
}

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

/// One user-assigned identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySpec {
    /// Its name.
    pub name: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its region.
    pub location: String,
}

/// One management lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSpec {
    /// Its name.
    pub name: String,
    /// `ReadOnly` or `CanNotDelete`.
    pub level: String,
    /// The subscription, resource group or resource that it is on.
    pub scope: String,
}

/// One deny assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenySpec {
    /// Its display name.
    pub name: String,
    /// Where it holds.
    pub scope: String,
    /// Object ids that it binds.
    pub principals: Vec<String>,
    /// Control-plane actions denied; `*` is a wildcard.
    pub actions: Vec<String>,
    /// Data-plane actions denied.
    pub data_actions: Vec<String>,
}

/// The responder as the cloud knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Responder {
    /// Its bearer token.
    pub token: String,
    /// Its application (client) id.
    pub app_id: String,
    /// Its principal's object id.
    pub object_id: String,
    /// The address its requests seem to come from: what vault firewalls judge.
    pub address: String,
    /// Its roles.
    pub roles: Vec<RoleGrant>,
}

/// A role of the responder's, assigned somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleGrant {
    /// The role's name.
    pub name: String,
    /// Where; the subscription if absent.
    pub scope: Option<String>,
    /// Control-plane actions; `*` is a wildcard.
    pub actions: Vec<String>,
    /// Taken out of them.
    pub not_actions: Vec<String>,
    /// Data-plane actions.
    pub data_actions: Vec<String>,
    /// Taken out of them.
    pub not_data_actions: Vec<String>,
    /// The condition of its assignment.
    pub condition: Option<String>,
}

/// What the alert rules watch and how the Action Group says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)]
pub struct Alerting {
    /// The alert rule's name.
    pub rule: String,
    /// Whether the receiver uses the common alert schema (else `Microsoft.Insights/activityLogs`).
    pub common_schema: bool,
    /// Where a body carries the TDE event's name.
    pub event_name_in: EventNameIn,
    /// Whether events are those of the 2019 documentation: an `InProgress` event, and eight hours.
    pub old_events: bool,
    /// Whether changes that may cause a loss (vaults, policies, role assignments, servers) are alerted on too.
    pub cause_alerts: bool,
    /// Operations that the rules leave out.
    pub without: Vec<String>,
    /// Whether Resource Health is alerted on.
    pub resource_health: bool,
    /// How often each alert is posted, within a minute: Azure promises no single delivery. 0 = never.
    pub copies: u32,
    /// Whether the Action Group posts at all. Without it every webhook is lost.
    pub webhooks: bool,
    /// Whether Event Grid tells of changes too: of the vaults' permissions and keys, and of ARM's writes and deletes.
    pub event_grid: bool,
    /// Whether Event Grid speaks CloudEvents 1.0 (else its own schema).
    pub cloud_events: bool,
    /// Whether a vault's event spells its fields as the documentation's samples do (`VaultName`), else as the
    /// specification does (`vaultName`).
    pub pascal_case: bool,
    /// Seconds until Event Grid delivers an event.
    pub event_seconds: Span,
    /// The application whose tokens the Action Group and Event Grid send; none: they send no token.
    pub secure_webhook: Option<SecureWebhook>,
}

/// Where an alert's body carries the TDE event's name. No captured body has been published, so all are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventNameIn {
    /// In `properties.eventName`, with the description.
    Properties,
    /// Only within `properties.message`.
    Message,
    /// Nowhere, and no description either: a plain `databases/write`.
    Nowhere,
}

/// Minutes, drawn between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// At least.
    pub min: f64,
    /// At most.
    pub max: f64,
}

/// How long things take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Minutes between two looks of SQL at its key ("in up to 10 minutes").
    pub key_check_minutes: u32,
    /// Minutes from the first failed look until databases no longer heal by themselves (30; 480 by the 2019 pages).
    pub window_minutes: u32,
    /// Hours that databases live on when the vault fails or cannot be reached (24).
    pub buffer_hours: u32,
    /// Whether `status` still reads `Online` within the window, although logins fail.
    pub online_within_window: bool,
    /// Minutes from the look that finds access restored until databases come back by themselves.
    pub self_heal: Span,
    /// Minutes until an event can be read in the Activity Log and alerted on (3–20, most near 5).
    pub activity_log: Span,
    /// The same for the TDE events of databases (Microsoft: "at least 15-30 mins"); as `activity_log` if absent.
    pub tde_events: Option<Span>,
    /// Minutes until a role assignment or access policy works.
    pub propagation: Span,
    /// Seconds until Entra knows a new identity everywhere.
    pub identity_seconds: u32,
    /// Minutes until a recovered vault's host resolves again.
    pub vault_dns: Span,
    /// Minutes until a recovered key can be used.
    pub key_recovery: Span,
    /// Seconds that changing a server takes; 0 = it is done when it is answered.
    pub server_change_seconds: u32,
    /// Entries on a page of a list.
    pub page_size: usize,
}
