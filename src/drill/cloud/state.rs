//! What exists in the simulated cloud at one moment, and what is going to happen by itself.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::activity_log::Entry;
use super::throttle::Bucket;
use super::world::{DatabaseSpec, NetworkSpec, PermissionModel, Span, World};
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// Everything, at [`State::now`].
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    pub(crate) servers: Vec<Server>,
    pub(crate) vaults: Vec<Vault>,
    pub(crate) identities: Vec<UserIdentity>,
    pub(crate) principals: HashMap<String, Principal>,
    pub(crate) roles: Vec<Role>,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) denies: Vec<Deny>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) log: Vec<Entry>,
    pub(crate) changes: Vec<Change>,
    /// Alert bodies whose time has come, for the Action Group to post.
    pub(crate) due_alerts: Vec<Value>,
    pub(crate) buckets: HashMap<String, Bucket>,
    /// How many requests named no operation of Azure's.
    pub(crate) unknown_requests: u64,
    /// Grows whenever something in the world is changed.
    pub(crate) changed: u64,
    pub(super) queue: BTreeMap<(Timestamp, u64), Event>,
    pub(super) next_event: u64,
    next_label: u64,
}

/// Something that happens by itself.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A server looks at its key.
    KeyCheck { server: usize },
    /// The self-heal window of a database ends, unless its state has changed since (`epoch`).
    WindowEnds { server: usize, database: usize, epoch: u64 },
    /// Access is back, and the service begins to bring a database back.
    HealBegins { server: usize, database: usize, epoch: u64 },
    /// A database that was being brought back is there.
    BackOnline { server: usize, database: usize, epoch: u64 },
    /// A long-running operation ends.
    OperationEnds { operation: usize },
    /// Something that was to take effect later does now: everybody looks again.
    Touch,
    /// An entry of the Activity Log is due for the alert rules.
    Alert { entry: usize },
    /// A false alarm, or any other body, is posted.
    Post { body: Value },
}

/// A logical SQL server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: ResourceId,
    pub(crate) location: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) system_identity: Option<String>,
    /// Ids of user-assigned identities with the principal and client ids that the server remembers.
    pub(crate) user_identities: Vec<(ResourceId, String, String)>,
    pub(crate) primary: Option<ResourceId>,
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
    pub(crate) access: Access,
    pub(crate) epoch: u64,
    /// The correlation id of the loss it is in.
    pub(crate) correlation: String,
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

/// A long-running operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// `encryptionProtectorOperationResults` or `serverOperationResults`.
    pub(crate) kind: &'static str,
    pub(crate) server: usize,
    pub(crate) ends: Timestamp,
    pub(crate) outcome: Outcome,
    /// What a server change will do when it ends.
    pub(crate) change: Option<Value>,
    /// Who asked for it, for the Activity Log's closing entry.
    pub(crate) opened: Entry,
}

/// How an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Running,
    Succeeded,
    Failed { code: &'static str, message: String },
}

/// A change that Resource Graph's `resourcechanges` will show.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    pub(crate) target: String,
    pub(crate) kind: &'static str,
    pub(crate) by: Option<String>,
    pub(crate) client: String,
    pub(crate) operation: String,
    pub(crate) correlation: String,
    pub(crate) what: Value,
}

impl State {
    pub(super) fn empty(world: World, now: Timestamp) -> Self {
        Self {
            world,
            now,
            servers: Vec::new(),
            vaults: Vec::new(),
            identities: Vec::new(),
            principals: HashMap::new(),
            roles: Vec::new(),
            assignments: Vec::new(),
            denies: Vec::new(),
            locks: Vec::new(),
            operations: Vec::new(),
            log: Vec::new(),
            changes: Vec::new(),
            due_alerts: Vec::new(),
            buckets: HashMap::new(),
            unknown_requests: 0,
            changed: 0,
            queue: BTreeMap::new(),
            next_event: 0,
            next_label: 0,
        }
    }

    /// A number in 0..1 that depends on the seed and on `label` alone.
    pub(crate) fn draw(&self, label: &str) -> f64 {
        let digest = Sha256::digest(format!("{}|{label}", self.world.seed));
        let number = digest.iter().take(6).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        // 48 bits fit a double exactly.
        #[allow(clippy::cast_precision_loss)]
        let part = number as f64 / (1_u64 << 48) as f64;
        part
    }

    /// A length between the ends of `span`.
    pub(crate) fn draw_minutes(&self, span: Span, label: &str) -> SignedDuration {
        minutes(span.min + (span.max - span.min).max(0.0) * self.draw(label))
    }

    /// A GUID that depends on the seed and on `label` alone.
    pub(crate) fn guid(&self, label: &str) -> String {
        let name = format!("{}|{label}", self.world.seed);
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }

    /// A GUID for something that may happen more than once under the same label.
    pub(crate) fn new_guid(&mut self, label: &str) -> String {
        self.next_label += 1;
        self.guid(&format!("{label}|{}", self.next_label))
    }

    /// Lets something happen at `at` (now, if that is past).
    pub(crate) fn schedule(&mut self, at: Timestamp, event: Event) {
        self.next_event += 1;
        self.queue.insert((at.max(self.now), self.next_event), event);
    }

    /// When the next thing happens by itself.
    pub(crate) fn next_event_at(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The server of that name, in that group.
    pub(crate) fn server_at(&self, id: &ResourceId) -> Option<usize> {
        self.servers.iter().position(|server| server.id == *id)
    }

    /// A live vault.
    pub(crate) fn vault_at(&self, id: &ResourceId) -> Option<usize> {
        self.vaults.iter().position(|vault| vault.id == *id && vault.deleted.is_none())
    }

    /// The vault of that name, live or soft-deleted: names are unique in the world.
    pub(crate) fn vault_named(&self, name: &str) -> Option<usize> {
        self.vaults.iter().position(|vault| vault.id.name().eq_ignore_ascii_case(name))
    }
}

impl Server {
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
    /// `https://{vault}.vault.azure.net/keys/{key}[/{version}]`.
    pub(crate) fn uri(&self, version: Option<&str>) -> String {
        let base = format!("https://{}.vault.azure.net/keys/{}", self.vault, self.key);
        version.map_or_else(|| base.clone(), |version| format!("{base}/{version}"))
    }
}

impl Vault {
    pub(crate) fn name(&self) -> &str {
        self.id.name()
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

/// A length in minutes.
pub(crate) fn minutes(count: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(count * 60.0).unwrap_or(SignedDuration::ZERO)
}

/// `now` plus a number of minutes.
pub(crate) fn after_minutes(now: Timestamp, count: f64) -> Timestamp {
    add(now, minutes(count))
}
