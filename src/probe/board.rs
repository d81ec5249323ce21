//! What is known so far in one observation, by what was asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::azure::Endpoints;
use crate::azure::authorization::{Role, RoleAssignment};
use crate::azure::resource_graph::FoundVault;
use crate::domain::evidence::{
    Change, Database, DeletedKey, DeletedVault, Denial, Fact, KeyVersion, LinkedKey, Lock, Protector, Server, Vault,
};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;
use crate::probe::Question;
use crate::probe::ask::Ask;

/// Why something that was wanted was not asked.
pub(super) const NO_WAVE: &str = "no wave of requests was left";

/// The ids and creation times of a key's versions.
pub(super) type Versions = Vec<(String, Option<Timestamp>)>;

/// The answers, each under what it answers. What is missing was not asked, or not answered yet.
pub(super) struct Board<'a> {
    pub question: &'a Question,
    pub endpoints: &'a Endpoints,
    pub asked: BTreeSet<Ask>,
    pub servers: BTreeMap<ResourceId, Fact<Server>>,
    pub server_lists: BTreeMap<String, Fact<BTreeMap<ResourceId, Server>>>,
    pub protectors: BTreeMap<ResourceId, Fact<Protector>>,
    pub linked_keys: BTreeMap<ResourceId, Fact<Vec<LinkedKey>>>,
    pub databases: BTreeMap<ResourceId, Fact<Vec<Database>>>,
    pub identities: BTreeMap<ResourceId, Fact<String>>,
    pub locks: BTreeMap<String, Fact<Vec<Lock>>>,
    pub found: Option<Fact<Option<FoundVault>>>,
    pub vaults: BTreeMap<ResourceId, Fact<Vault>>,
    pub vault_lists: BTreeMap<String, Fact<Vec<Vault>>>,
    pub deleted_vaults: BTreeMap<String, Fact<Vec<DeletedVault>>>,
    pub reachable: Option<Fact<bool>>,
    pub key_versions: BTreeMap<KeyUri, Fact<KeyVersion>>,
    pub version_lists: BTreeMap<KeyUri, Fact<Versions>>,
    pub keys_at_vault: BTreeMap<KeyUri, Fact<KeyVersion>>,
    pub deleted_keys: BTreeMap<KeyUri, Fact<DeletedKey>>,
    pub assignments: BTreeMap<Option<String>, Fact<Vec<RoleAssignment>>>,
    pub roles: BTreeMap<String, Fact<Role>>,
    pub denials: Option<Fact<Vec<Denial>>>,
    pub changes: BTreeMap<(String, String), Fact<Vec<Change>>>,
}

impl<'a> Board<'a> {
    pub fn new(question: &'a Question, endpoints: &'a Endpoints) -> Self {
        let told = question.protectors.iter();
        let mut board = Self {
            question,
            endpoints,
            asked: BTreeSet::new(),
            servers: BTreeMap::new(),
            server_lists: BTreeMap::new(),
            protectors: told.map(|(server, protector)| (server.clone(), Fact::Known(protector.clone()))).collect(),
            linked_keys: BTreeMap::new(),
            databases: BTreeMap::new(),
            identities: BTreeMap::new(),
            locks: BTreeMap::new(),
            found: None,
            vaults: BTreeMap::new(),
            vault_lists: BTreeMap::new(),
            deleted_vaults: BTreeMap::new(),
            reachable: None,
            key_versions: BTreeMap::new(),
            version_lists: BTreeMap::new(),
            keys_at_vault: BTreeMap::new(),
            deleted_keys: BTreeMap::new(),
            assignments: BTreeMap::new(),
            roles: BTreeMap::new(),
            denials: None,
            changes: BTreeMap::new(),
        };
        board.remember();
        board
    }

    /// Puts on the board what is known from an earlier look. Whether an identity still exists is always asked.
    fn remember(&mut self) {
        for (id, seen) in &self.question.remembered {
            keep(&mut self.servers, id, &seen.server);
            keep(&mut self.protectors, id, &seen.protector);
            keep(&mut self.linked_keys, id, &seen.linked_keys);
            keep(&mut self.databases, id, &seen.databases);
        }
        if let Some(vault) = &self.question.read_vault {
            self.vaults.insert(vault.id.clone(), Fact::Known(vault.clone()));
            self.asked.insert(Ask::Vault(vault.id.clone()));
        }
    }

    /// The servers in question, each once, in the order they were given.
    pub fn members(&self) -> Vec<&'a ResourceId> {
        let mut seen = BTreeSet::new();
        self.question.servers.iter().filter(|server| seen.insert(*server)).collect()
    }

    /// The vault in question: as given, else the one that the first customer-managed protector names.
    pub fn host(&self) -> Option<VaultHost> {
        let named = || {
            let protectors = self.members().into_iter().filter_map(|server| self.protectors.get(server)?.known());
            protectors.filter_map(|protector| protector.uri.as_ref()).map(|uri| uri.vault.clone()).next()
        };
        self.question.vault.clone().or_else(named)
    }

    /// The vault's host, if vaults of its kind and cloud can be read.
    pub fn readable_host(&self) -> Option<VaultHost> {
        self.host().filter(|host| !host.is_managed_hsm() && self.endpoints.owns(host))
    }

    /// Why nothing is read of a vault that cannot be.
    pub fn unreadable(&self) -> Option<String> {
        let host = self.host()?;
        if host.is_managed_hsm() {
            return Some(format!("{host} is a managed HSM, which is not read"));
        }
        (!self.endpoints.owns(&host)).then(|| format!("{host} does not belong to the configured cloud"))
    }

    /// The distinct subscriptions of the servers.
    pub fn subscriptions(&self) -> BTreeSet<String> {
        self.members().into_iter().map(|server| server.subscription().to_ascii_lowercase()).collect()
    }

    /// Whether every server has been answered for, well or badly.
    pub fn servers_are_in(&self) -> bool {
        self.members().into_iter().all(|server| self.servers.contains_key(server))
    }
}

fn keep<T: Clone>(board: &mut BTreeMap<ResourceId, Fact<T>>, id: &ResourceId, fact: &Fact<T>) {
    if fact.known().is_some() {
        board.entry(id.clone()).or_insert_with(|| fact.clone());
    }
}

/// A fact of the board; one that is not there was not asked, for `why`.
pub(super) fn or_unasked<T: Clone>(fact: Option<&Fact<T>>, why: &str) -> Fact<T> {
    fact.cloned().unwrap_or_else(|| Fact::Unknown(format!("not asked: {why}")))
}

/// The same failure about something else.
pub(super) fn failure<T, U>(fact: &Fact<T>) -> Option<Fact<U>> {
    match fact {
        Fact::Known(_) => None,
        Fact::Absent => Some(Fact::Absent),
        Fact::Denied(right) => Some(Fact::Denied(right.clone())),
        Fact::Unknown(why) => Some(Fact::Unknown(why.clone())),
    }
}

/// Why a fact is not known, for people.
pub(super) fn reason<T>(fact: &Fact<T>) -> String {
    match fact {
        Fact::Known(_) => "it is known".to_owned(),
        Fact::Absent => "Azure says that it does not exist".to_owned(),
        Fact::Denied(right) => format!("the responder lacks {} on {}", right.action, right.scope),
        Fact::Unknown(why) => why.clone(),
    }
}

/// All parts of several lists; the first failure if one could not be read.
pub(super) fn all_of<'f, T: Clone + 'f>(lists: impl IntoIterator<Item = &'f Fact<Vec<T>>>) -> Fact<Vec<T>> {
    let mut all = Vec::new();
    for list in lists {
        match list {
            Fact::Known(items) => all.extend_from_slice(items),
            other => return failure(other).unwrap_or_default(),
        }
    }
    Fact::Known(all)
}
