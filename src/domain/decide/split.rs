//! Plans that name servers one by one can leave some out, so that one server that is held back does not hold back the
//! others.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::diagnose::effective_identity;
use crate::domain::gates::Situation;
use crate::domain::plan::Plan;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// Groups of servers that can only be helped together: those with the same identity.
pub(super) fn groups(plan: &Plan, situation: &Situation<'_>) -> Vec<BTreeSet<ResourceId>> {
    let mut groups: BTreeMap<String, BTreeSet<ResourceId>> = BTreeMap::new();
    for server in &plan.servers {
        let seen = situation.evidence.servers.iter().find(|seen| seen.id == *server);
        let identity = seen.and_then(effective_identity).map(|identity| identity.principal_id.to_lowercase());
        groups.entry(identity.unwrap_or_else(|| server.key().to_owned())).or_default().insert(server.clone());
    }
    groups.into_values().collect()
}

/// The part of a plan that helps these servers alone; none if the plan cannot be taken apart or nothing is left.
pub(super) fn part(plan: &Plan, servers: &BTreeSet<ResourceId>) -> Option<Plan> {
    let mut changes = Vec::new();
    for change in &plan.changes {
        match change {
            Change::AssignIdentity { server, .. } | Change::Revalidate { server } => {
                if servers.contains(server) {
                    changes.push(change.clone());
                }
            }
            Change::AssignRole { grant, .. } => {
                if servers.contains(&grant.server) {
                    changes.push(change.clone());
                }
            }
            Change::AddAccessPolicy { vault, tenant_id, grants } => {
                let grants: Vec<_> = grants.iter().filter(|grant| servers.contains(&grant.server)).cloned().collect();
                if !grants.is_empty() {
                    let (vault, tenant_id) = (vault.clone(), tenant_id.clone());
                    changes.push(Change::AddAccessPolicy { vault, tenant_id, grants });
                }
            }
            Change::RestoreSetting { database, .. } => {
                if servers.iter().any(|server| server.contains(database)) {
                    changes.push(change.clone());
                }
            }
            _ => return None,
        }
    }
    let servers: Vec<_> = plan.servers.iter().filter(|server| servers.contains(server)).cloned().collect();
    (!changes.is_empty()).then(|| Plan { changes, servers, ..plan.clone() })
}
