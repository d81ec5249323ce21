//! Reads everything that is protected, vault by vault.
//!
//! # What it costs
//! Requests to the Resource Manager: one list of servers a subscription or resource that is named; for each server its
//! protector, and where that is a customer's key its linked keys, its databases, its geo-replication links and (with a
//! user-assigned identity) that identity: at most [`PER_SERVER`]; for each group of up to [`GROUP`] servers of one vault at most [`PER_VAULT`], and one
//! for each distinct key version.
//!
//! Azure refills 25 reads a second into a bucket of 250 for each subscription and principal. [`Pace`] spends less than
//! that, so that an audit never takes the reads away that a repair needs.

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use crate::azure::{Azure, error::fact};
use crate::clock::Clock;
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Evidence, Fact, Protector, Server, ServerEvidence, VaultEvidence};
use crate::domain::key_uri::VaultHost;
use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;
use crate::probe::{self, Question};

/// Requests a server, at most.
pub const PER_SERVER: usize = 5;
/// Requests a group of servers of one vault, at most, beside one for each key version.
pub const PER_VAULT: usize = 10 + 2 * probe::MOST_PARTNERS;
/// Servers of one vault that are read together.
pub const GROUP: usize = 40;
/// Servers asked for their protector at the same time.
const SIDE_BY_SIDE: usize = 12;
/// Requests that may be made at once before the pace is kept.
const AT_ONCE: f64 = 150.0;
/// Requests a second after that.
const A_SECOND: f64 = 18.0;

/// Everything that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estate {
    /// When it began.
    pub at: Timestamp,
    /// What was asked for: subscriptions, resource groups, servers.
    pub roots: Vec<ResourceId>,
    /// One for each vault, with everything that depends on it.
    pub vaults: Vec<Evidence>,
    /// Servers under Microsoft's own key: not judged.
    pub service_managed: Vec<ResourceId>,
    /// What could not be read, in words.
    pub unread: Vec<String>,
}

/// How far a survey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Servers whose protector was read.
    pub asked: usize,
    /// Servers that were read to the end.
    pub done: usize,
    /// All servers.
    pub all: usize,
}

/// What a scope names, each thing once.
#[must_use]
pub fn roots(scope: &Scope) -> Vec<ResourceId> {
    let whole = |id: &String| ResourceId::parse(&format!("/subscriptions/{id}")).ok();
    let mut roots: Vec<ResourceId> = scope.subscriptions.iter().filter_map(whole).collect();
    for resource in &scope.resources {
        if !roots.iter().any(|root| root.contains(resource)) {
            roots.push(resource.clone());
        }
    }
    roots
}

/// Spends requests evenly.
#[derive(Debug)]
struct Pace {
    clock: Clock,
    began: Timestamp,
    spent: f64,
}

impl Pace {
    /// Waits until `requests` more may be made.
    async fn spend(&mut self, requests: usize) {
        self.spent += f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
        let over = self.spent - AT_ONCE;
        if over <= 0.0 {
            return;
        }
        let passed = self.clock.now().duration_since(self.began).as_secs_f64();
        let wait = over / A_SECOND - passed;
        if wait > 0.0 {
            self.clock.pause(SignedDuration::try_from_secs_f64(wait).unwrap_or_default()).await;
        }
    }
}

/// Reads everything below `roots` that `covers` lets through. Never fails: what could not be read says so.
pub async fn survey(
    azure: &Azure,
    roots: Vec<ResourceId>,
    covers: &(dyn Fn(&ResourceId) -> bool + Sync),
    progress: &(dyn Fn(Progress) + Sync),
) -> Estate {
    let at = azure.clock().now();
    let mut pace = Pace { clock: azure.clock().clone(), began: at, spent: 0.0 };
    let mut estate = Estate { at, vaults: Vec::new(), service_managed: Vec::new(), unread: Vec::new(), roots };
    let servers = list(azure, &mut estate, covers, &mut pace).await;
    let mut at = Progress { asked: 0, done: 0, all: servers.len() };
    let mut by_vault: BTreeMap<VaultHost, Vec<ServerEvidence>> = BTreeMap::new();
    let servers: Vec<(ResourceId, Server)> = servers.into_iter().collect();
    for some in servers.chunks(GROUP) {
        pace.spend(some.len()).await;
        let mut asked = futures::stream::iter(some.iter().cloned())
            .map(|(id, server)| async move { (fact(azure.protector(&id).await), id, server) })
            .buffered(SIDE_BY_SIDE);
        while let Some((protector, id, server)) = asked.next().await {
            at.asked += 1;
            let seen = sort(&mut estate, id, server, protector);
            match seen {
                Some((host, seen)) => by_vault.entry(host).or_default().push(seen),
                None => at.done += 1,
            }
            progress(at);
        }
    }
    for (host, servers) in by_vault {
        let mut whole: Option<Evidence> = None;
        let mut vault_id = None;
        for some in servers.chunks(GROUP) {
            pace.spend((PER_SERVER - 1) * some.len() + PER_VAULT).await;
            let evidence = read(azure, &host, vault_id.clone(), some).await;
            vault_id = vault_id.or_else(|| evidence.vault.as_ref().and_then(|vault| vault.id.clone()));
            at.done += some.len();
            progress(at);
            whole = Some(match whole {
                Some(before) => together(before, evidence),
                None => evidence,
            });
        }
        estate.vaults.extend(whole);
    }
    estate
}

/// The servers below the roots.
async fn list(
    azure: &Azure,
    estate: &mut Estate,
    covers: &(dyn Fn(&ResourceId) -> bool + Sync),
    pace: &mut Pace,
) -> BTreeMap<ResourceId, Server> {
    let mut servers = BTreeMap::new();
    for root in estate.roots.clone() {
        let one = matches!(Kind::of(&root), Some(Kind::SqlServer | Kind::ManagedInstance));
        if !one && !root.resource_type().is_empty() {
            continue;
        }
        pace.spend(if one { 1 } else { 2 }).await;
        let found = if one {
            let kind = Kind::of(&root).unwrap_or(Kind::SqlServer);
            vec![(kind, azure.server(&root).await.map(|server| BTreeMap::from([(root.clone(), server)])))]
        } else {
            azure.dependents_below(&root).await
        };
        for (kind, found) in found {
            match found {
                Ok(found) => servers.extend(found),
                Err(error) => {
                    estate.unread.push(format!("the {}s of {root} could not be listed: {error}", kind.noun()));
                }
            }
        }
    }
    servers.retain(|id, _| covers(id));
    servers
}

/// Where a server belongs: to its vault, to those that are not judged, or to what could not be read.
fn sort(
    estate: &mut Estate,
    id: ResourceId,
    server: Server,
    protector: Fact<Protector>,
) -> Option<(VaultHost, ServerEvidence)> {
    let host = match &protector {
        Fact::Known(Protector { customer_managed: true, uri: Some(uri), .. }) => uri.vault.clone(),
        Fact::Known(Protector { customer_managed: true, .. }) => {
            estate.unread.push(format!("the protector of {} names no key", id.name()));
            return None;
        }
        Fact::Known(_) => {
            estate.service_managed.push(id);
            return None;
        }
        Fact::Absent => return None,
        Fact::Denied(right) => {
            estate.unread.push(format!(
                "the protector of {} may not be read: {} on {}",
                id.name(),
                right.action,
                right.scope
            ));
            return None;
        }
        Fact::Unknown(why) => {
            estate.unread.push(format!("the protector of {} could not be read: {why}", id.name()));
            return None;
        }
    };
    let seen = ServerEvidence { server: Fact::Known(server), protector, ..ServerEvidence::unread(id) };
    Some((host, seen))
}

/// One group of servers and their vault, by the probes that an incident uses. No log: nobody broke anything yet.
async fn read(azure: &Azure, host: &VaultHost, vault_id: Option<ResourceId>, servers: &[ServerEvidence]) -> Evidence {
    let ids: Vec<ResourceId> = servers.iter().map(|seen| seen.id.clone()).collect();
    let remembered = servers.iter().map(|seen| (seen.id.clone(), seen.clone())).collect();
    let question = Question {
        vault: Some(host.clone()),
        vault_id,
        remembered,
        partners_of: ids.clone(),
        ..Question::new(ids, azure.clock().now())
    };
    probe::observe(azure, &question).await
}

/// Two looks at one vault with different servers.
fn together(mut first: Evidence, second: Evidence) -> Evidence {
    for key in second.keys {
        if !first.keys.iter().any(|known| known.uri == key.uri) {
            first.keys.push(key);
        }
    }
    if let (
        Some(VaultEvidence { grants: Fact::Known(known), .. }),
        Some(VaultEvidence { grants: Fact::Known(more), .. }),
    ) = (&mut first.vault, second.vault)
    {
        let new: Vec<_> = more.into_iter().filter(|grant| !known.contains(grant)).collect();
        known.extend(new);
    }
    first.servers.extend(second.servers);
    for partner in second.partners {
        if !first.partners.iter().any(|known| known.id == partner.id) {
            first.partners.push(partner);
        }
    }
    first.waves = first.waves.max(second.waves);
    first
}
