//! What the patrol remembers of the servers: the map of vaults, keys, servers and databases. It is filled from the store
//! once and read anew by the walk, so that a round need not read it again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::dependent::Kind;
use crate::domain::evidence::{Database, Fact, ServerEvidence};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

/// One server.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What kind of thing it is.
    pub kind: Option<Kind>,
    /// As it was read last; its databases as if in service, since whether they are is never taken from memory.
    pub seen: ServerEvidence,
    /// When the walk read all of it.
    pub read_at: Option<Timestamp>,
    /// When the walk tried to.
    pub tried_at: Option<Timestamp>,
    /// When it was asked for inaccessible databases.
    pub asked_at: Option<Timestamp>,
}

/// Everything that is protected, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Estate {
    /// Whether the store was asked.
    pub loaded: bool,
    pub servers: BTreeMap<ResourceId, Known>,
    /// When each vault was glanced at.
    pub glanced: BTreeMap<VaultHost, Timestamp>,
    /// The requests that the last round left over, for glances until the next.
    pub left_over: usize,
    /// What could not be read in the round before: said once, not every minute.
    pub unread: Vec<String>,
}

impl Known {
    pub fn new(seen: ServerEvidence) -> Self {
        Self { kind: Kind::of(&seen.id), seen: in_service(seen), read_at: None, tried_at: None, asked_at: None }
    }

    /// The customer-managed key of its protector.
    pub fn key(&self) -> Option<&KeyUri> {
        self.seen.protector.known().filter(|protector| protector.customer_managed)?.uri.as_ref()
    }
}

impl Estate {
    /// The servers of each vault.
    pub fn by_vault(&self) -> BTreeMap<VaultHost, Vec<&Known>> {
        let mut vaults: BTreeMap<VaultHost, Vec<&Known>> = BTreeMap::new();
        for known in self.servers.values() {
            if let Some(key) = known.key() {
                vaults.entry(key.vault.clone()).or_default().push(known);
            }
        }
        vaults
    }
}

/// Databases as if nothing were wrong with them, and without their settings, which nothing here needs.
pub(super) fn in_service(mut seen: ServerEvidence) -> ServerEvidence {
    if let Fact::Known(databases) = &mut seen.databases {
        for database in databases.iter_mut() {
            database.settings.clear();
            if database.is_inaccessible() {
                "Online".clone_into(&mut database.status);
            }
        }
    }
    seen
}

/// The names of the inaccessible ones.
pub(super) fn down(databases: &[Database]) -> Vec<&str> {
    databases.iter().filter(|database| database.is_inaccessible()).map(|database| database.name.as_str()).collect()
}
