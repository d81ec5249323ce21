//! The description of a world: what exists in the simulated cloud when it starts, and how it behaves. It is what
//! `keymend sim --world FILE` reads, and what scenarios build.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SecureWebhook;
pub use super::world_sql::{DatabaseSpec, IdentityKind, OwnKeySpec, ProtectorSpec, ServerKind, ServerSpec};
pub use super::world_vaults::{GrantScope, KeySpec, NetworkSpec, PermissionModel, VaultSpec, VersionSpec};

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
