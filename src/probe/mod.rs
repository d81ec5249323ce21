//! Reads Azure into [`Evidence`]: the whole chain from server identity to database, in at most three waves of requests.
//!
//! Every probe is a rule: from what is known so far, what does it have to ask next? A wave sends what all probes ask for,
//! side by side; then the rules are applied again. So a hint (the vault's id, its host) simply saves a wave, and what no
//! longer fits into the third is [`Fact::Unknown`].
//!
//! | probe | asks |
//! |---|---|
//! | `servers` | server, protector, linked keys, databases |
//! | `partners` | who holds geo-secondaries of the servers' databases (where the question asks for it) |
//! | `identities` | whether the user-assigned identity that a server uses still exists |
//! | `vault` | where the vault is; itself, or its soft-deleted remains; whether it answers |
//! | `keys` | every key version that SQL needs; what is left of the ones that are gone |
//! | `grants` | role assignments and roles that reach the keys; deny assignments |
//! | `locks` | management locks |
//! | `changes` | who changed what (Activity Log) |
//!
//! # What it costs
//! Requests to the Resource Manager, for `n` servers in one subscription whose protectors are `k` versions of keys in one
//! vault of the same subscription, nothing deleted, one page a list:
//!
//! * `n ≤ 2`: `4n + k + 4`, one more where role assignments count;
//! * `n > 2`: `3n + k + 5`, one more where role assignments count (the server list is read once).
//!
//! Each protector that the question brings along saves one. The fixed ones are vault, deny assignments, locks and the log of the vault's resource group. One more without the
//! vault's id (Resource Graph). Per event, not per server: deleted vaults (1 a subscription), versions of a key that is
//! gone, disabled or about to expire, or whose version in use is not told (1), a role that is not built in (1), the log of a server's own resource group (at most [`MOST_LOGS`] groups,
//! only where something is wrong with the server itself). A user-assigned identity in use costs 1, shared or not.

mod ask;
mod board;
mod changes;
mod grants;
mod identities;
mod keys;
mod locks;
mod partners;
mod put;
mod servers;
mod vault;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use crate::azure::{Azure, error::fact};
use crate::domain::evidence::{Database, Evidence, Fact, Protector, ServerEvidence, Vault, VaultEvidence};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;
use ask::Ask;
use board::Board;
pub use changes::MOST_LOGS;
pub use partners::MOST_PARTNERS;

/// Requests of one wave that are under way at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Waves of requests to one observation.
const MOST_WAVES: u8 = 3;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The servers in question. None: nothing is asked about any.
    pub servers: Vec<ResourceId>,
    /// The vault, if known: saves a wave.
    pub vault: Option<VaultHost>,
    /// Where the vault was seen before: saves another.
    pub vault_id: Option<ResourceId>,
    /// The vault itself, if it was just read, as by a list.
    pub read_vault: Option<Vault>,
    /// Keys known from before, looked at where a server no longer tells its own.
    pub keys: Vec<KeyUri>,
    /// Protectors read moments ago, by whoever found out which vault it is: they are not read again.
    pub protectors: BTreeMap<ResourceId, Protector>,
    /// What is remembered of servers from an earlier look: what of it is known is not read again. A look at the vault's
    /// side alone, for a patrol or for a change that is probably harmless, costs nothing for each server.
    pub remembered: BTreeMap<ResourceId, ServerEvidence>,
    /// The servers among those in question whose geo partners are looked at too: one list for each logical server that is
    /// named here, one request for each of up to [`MOST_PARTNERS`] partners that is not remembered, and one more where role
    /// assignments count. None: nobody is asked.
    pub partners_of: Vec<ResourceId>,
    /// Geo partners that were found short of a grant before: they are looked at with their databases, whatever is linked now.
    pub partners: Vec<ResourceId>,
    /// Whether the chain is whole, and nothing that only a repair needs to know: no locks, no deny assignments and no log
    /// are read, so that is all unknown. For looks that come every minute.
    pub health_only: bool,
    /// A key that expires within this time is looked at as one that a repair may be meant for.
    pub ahead: SignedDuration,
    /// The present.
    pub now: Timestamp,
    /// How far back the Activity Log is read.
    pub look_back: SignedDuration,
}

impl Question {
    /// About these servers, with nothing known from before and a day of log.
    #[must_use]
    pub fn new(servers: Vec<ResourceId>, now: Timestamp) -> Self {
        Self {
            servers,
            vault: None,
            vault_id: None,
            read_vault: None,
            keys: Vec::new(),
            protectors: BTreeMap::new(),
            remembered: BTreeMap::new(),
            partners_of: Vec::new(),
            partners: Vec::new(),
            health_only: false,
            ahead: SignedDuration::ZERO,
            now,
            look_back: SignedDuration::from_hours(24),
        }
    }
}

/// The databases of each server, with their status and settings: one request a server, for verification.
pub async fn databases(azure: &Azure, servers: &[ResourceId]) -> BTreeMap<ResourceId, Fact<Vec<Database>>> {
    let one = |server: ResourceId| async move {
        let databases = fact(azure.databases(&server).await);
        (server, databases)
    };
    futures::stream::iter(servers.iter().cloned()).map(one).buffer_unordered(SIDE_BY_SIDE).collect().await
}

/// The protectors of many servers: one request a server.
pub async fn protectors(azure: &Azure, servers: &[ResourceId]) -> BTreeMap<ResourceId, Fact<Protector>> {
    let one = |server: ResourceId| async move {
        let protector = self::protector(azure, &server).await;
        (server, protector)
    };
    futures::stream::iter(servers.iter().cloned()).map(one).buffer_unordered(SIDE_BY_SIDE).collect().await
}

/// The names of one server's inaccessible databases: one request.
pub async fn inaccessible_databases(azure: &Azure, server: &ResourceId) -> Fact<Vec<String>> {
    let names = azure.inaccessible_databases(server).await;
    fact(names.map(|databases| databases.into_iter().map(|database| database.name).collect()))
}

/// How far an observation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The wave that is under way, from 1.
    pub wave: u8,
    /// Requests of all waves so far that are answered.
    pub done: usize,
    /// Requests of all waves so far.
    pub asked: usize,
}

/// Looks at everything. A probe that fails never fails the observation: its facts say why they are missing.
pub async fn observe(azure: &Azure, question: &Question) -> Evidence {
    observe_telling(azure, question, &|_| ()).await
}

/// The same, for a person who waits: `progress` is told when a wave begins and when a request is answered.
pub async fn observe_telling(azure: &Azure, question: &Question, progress: &(dyn Fn(Progress) + Sync)) -> Evidence {
    let (mut done, mut asked) = (0, 0);
    let mut board = Board::new(question, azure.endpoints());
    let mut waves = 0;
    while waves < MOST_WAVES {
        let asks = next(&mut board);
        if asks.is_empty() {
            break;
        }
        waves += 1;
        asked += asks.len();
        progress(Progress { wave: waves, done, asked });
        let mut answers =
            futures::stream::iter(asks).map(|ask| ask.put(azure, question)).buffer_unordered(SIDE_BY_SIDE);
        let mut notes = Vec::new();
        while let Some(note) = answers.next().await {
            done += 1;
            progress(Progress { wave: waves, done, asked });
            notes.push(note);
        }
        drop(answers);
        for note in notes {
            note(&mut board);
        }
    }
    evidence(&board, waves)
}

/// What all probes ask next, each thing once.
fn next(board: &mut Board<'_>) -> BTreeSet<Ask> {
    let mut asks = BTreeSet::new();
    let rules = [
        servers::asks,
        partners::asks,
        identities::asks,
        vault::asks,
        keys::asks,
        grants::asks,
        locks::asks,
        changes::asks,
    ];
    for rule in rules {
        rule(board, &mut asks);
    }
    asks.retain(|ask| !board.asked.contains(ask));
    board.asked.extend(asks.iter().cloned());
    asks
}

fn evidence(board: &Board<'_>, waves: u8) -> Evidence {
    let vault = board.host().map(|host| VaultEvidence {
        id: vault::id(board),
        vault: vault::vault(board),
        deleted: vault::deleted(board),
        grants: grants::grants(board),
        denials: grants::denials(board),
        reachable: vault::reachable(board),
        host,
    });
    let (changes, changes_read) = changes::changes(board);
    Evidence {
        taken_at: board.question.now,
        waves,
        vault,
        keys: keys::keys(board),
        servers: servers::servers(board),
        partners: partners::partners(board, |principal| grants::unsure(board, principal)),
        locks: locks::locks(board),
        changes,
        changes_read,
    }
}

/// The names of the databases that SQL calls inaccessible now, one request a server: for the passes that only verify.
pub async fn inaccessible(azure: &Azure, servers: &[ResourceId]) -> BTreeMap<ResourceId, Fact<Vec<String>>> {
    let read = |server: &ResourceId| {
        let server = server.clone();
        async move {
            let names = azure.inaccessible_databases(&server).await;
            let names = names.map(|found| found.into_iter().map(|database| database.name).collect());
            (server, fact(names))
        }
    };
    let distinct: BTreeSet<&ResourceId> = servers.iter().collect();
    let reads: Vec<_> = distinct.into_iter().map(read).collect();
    futures::stream::iter(reads).buffer_unordered(SIDE_BY_SIDE).collect().await
}

/// A server's protector, to learn which vault it depends on: one request.
pub async fn protector(azure: &Azure, server: &ResourceId) -> Fact<Protector> {
    fact(azure.protector(server).await)
}

/// Servers of these subscriptions that Resource Graph knows to use a key of this vault: one request, and a hint only,
/// since it is never complete.
pub async fn servers_of_vault(azure: &Azure, host: &VaultHost, subscriptions: &[String]) -> Fact<Vec<ResourceId>> {
    fact(azure.servers_naming(host, subscriptions).await)
}

#[cfg(test)]
mod tests;
