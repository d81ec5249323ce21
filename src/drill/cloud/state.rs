//! What exists in the simulated cloud at one moment, and what is going to happen by itself.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::assignments::Assignments;
use super::grid::Grid;
use super::log_entry::Entry;
use super::resources::{Deleted, Deny, Lock, Principal, Role, Server, UserIdentity, Vault};
use super::throttle::{Bucket, Limit};
use super::world::{Span, World};
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// Everything, at [`State::now`].
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    pub(crate) servers: Vec<Server>,
    /// The places of the servers, by their ids in lower case; none is ever taken away.
    pub(super) server_places: HashMap<String, usize>,
    pub(crate) vaults: Vec<Vault>,
    pub(crate) identities: Vec<UserIdentity>,
    pub(crate) principals: HashMap<String, Principal>,
    pub(crate) roles: Vec<Role>,
    pub(crate) assignments: Assignments,
    pub(crate) denies: Vec<Deny>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) log: Vec<Entry>,
    pub(crate) changes: Vec<Change>,
    /// Alert bodies whose time has come, for the Action Group to post.
    pub(crate) due_alerts: Vec<Value>,
    /// Events whose time has come, for Event Grid to deliver.
    pub(crate) due_events: Vec<Value>,
    /// What Event Grid knows of each vault.
    pub(super) grid: Grid,
    pub(crate) buckets: HashMap<String, Bucket>,
    /// How many requests named no operation of Azure's.
    pub(crate) unknown_requests: u64,
    /// How often a look found a database's key out of reach.
    pub(crate) losses: u64,
    /// Grows whenever something in the world is changed.
    pub(crate) changed: u64,
    pub(super) queue: BTreeMap<(Timestamp, u64), Event>,
    pub(super) next_event: u64,
    labels: HashMap<String, u64>,
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
    /// A server that rotates by itself sees the key's new version.
    PickUp { server: usize },
    /// A false alarm, or any other body, is posted.
    Post { body: Value },
    /// Event Grid hands over an event.
    Publish { event: Value },
    /// A key version is about to expire (`near`), or expires, if its date is still that one.
    Expiry { vault: String, key: String, version: String, expires: i64, near: bool },
}

/// A long-running operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// `encryptionProtectorOperationResults` or `serverOperationResults`.
    pub(crate) kind: &'static str,
    pub(crate) server: usize,
    /// The database that it changes, if it does not change the server.
    pub(crate) database: Option<usize>,
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
            server_places: HashMap::new(),
            vaults: Vec::new(),
            identities: Vec::new(),
            principals: HashMap::new(),
            roles: Vec::new(),
            assignments: Assignments::default(),
            denies: Vec::new(),
            locks: Vec::new(),
            operations: Vec::new(),
            log: Vec::new(),
            changes: Vec::new(),
            due_alerts: Vec::new(),
            due_events: Vec::new(),
            grid: Grid::default(),
            buckets: HashMap::new(),
            unknown_requests: 0,
            losses: 0,
            changed: 0,
            queue: BTreeMap::new(),
            next_event: 0,
            labels: HashMap::new(),
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
        // Counted by label, so that the order of requests about other things does not matter.
        let times = self.labels.entry(label.to_owned()).or_default();
        *times += 1;
        let label = format!("{label}|{times}");
        self.guid(&label)
    }

    /// Takes a token of the bucket `key`: how many are left, or how many seconds to wait.
    pub(crate) fn take_token(&mut self, key: &str, limit: Limit) -> Result<u32, u32> {
        let now = self.now;
        self.buckets.entry(key.to_owned()).or_insert_with(|| Bucket::full(limit, now)).take(limit, now)
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

    /// The server with that id.
    pub(crate) fn server_at(&self, id: &ResourceId) -> Option<usize> {
        self.server_places.get(id.key()).copied()
    }

    /// Takes away what was deleted so long ago that it is purged.
    pub(crate) fn purge_what_is_due(&mut self) {
        let now = self.now;
        let due = |deleted: Option<Deleted>| deleted.is_some_and(|deleted| deleted.purge_at <= now);
        self.vaults.retain(|vault| !due(vault.deleted));
        for vault in &mut self.vaults {
            vault.keys.retain(|key| !due(key.deleted));
        }
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

/// A length in minutes.
pub(crate) fn minutes(count: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(count * 60.0).unwrap_or(SignedDuration::ZERO)
}

/// `now` plus a number of minutes.
pub(crate) fn after_minutes(now: Timestamp, count: f64) -> Timestamp {
    add(now, minutes(count))
}
