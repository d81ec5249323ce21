//! What may break a chain, from what was read of one vault and everything that depends on it. Pure.
//!
//! | file | job |
//! |---|---|
//! | `now` | what is broken already, and what could not be read |
//! | `keys` | expiry, older keys, kind, rotation |
//! | `vault` | soft-delete, purge protection, firewall, locks, sharing, limits |
//! | `identity` | whose rights, in which tenant |

mod identity;
mod keys;
mod now;
mod vault;

use crate::domain::evidence::{Evidence, ServerEvidence};
use crate::domain::policy::Policy;
use crate::domain::resource_id::ResourceId;
use crate::posture::chain::Chain;
use crate::posture::finding::Finding;

/// Everything that is found about one vault.
#[must_use]
pub fn check(evidence: &Evidence, chains: &[Chain], policy: &Policy) -> Vec<Finding> {
    let host = evidence.vault.as_ref().map(|vault| vault.host.to_string());
    let mut findings = now::check(evidence, chains);
    findings.extend(keys::check(evidence));
    findings.extend(vault::check(evidence, policy));
    findings.extend(identity::check(evidence));
    for finding in &mut findings {
        finding.vault.clone_from(&host);
    }
    findings
}

fn count(servers: &[&ServerEvidence]) -> (Vec<ResourceId>, usize) {
    let databases = servers.iter().filter_map(|seen| seen.databases.known()).map(Vec::len).sum();
    (servers.iter().map(|seen| seen.id.clone()).collect(), databases)
}

fn all(evidence: &Evidence) -> (Vec<ResourceId>, usize) {
    count(&evidence.servers.iter().collect::<Vec<_>>())
}

/// `3 servers with 12 databases`.
fn extent(servers: usize, databases: usize) -> String {
    let s = |n: usize| if n == 1 { "" } else { "s" };
    format!("{servers} server{} with {databases} database{}", s(servers), s(databases))
}
