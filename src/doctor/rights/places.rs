//! Where a right must be held: on what there is to look after, else on what the scope names.

use crate::doctor::estate::{Estate, may_hold_servers, may_hold_vaults};
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::{DIAGNOSIS, Place, Right};

/// Every place where a right is needed; none: nothing there needs it.
pub fn places(estate: &Estate, right: &Right) -> Vec<ResourceId> {
    match right.place {
        Place::Subscription => estate
            .subscriptions
            .iter()
            .filter_map(|id| ResourceId::parse(&format!("/subscriptions/{id}")).ok())
            .collect(),
        Place::Server => {
            let servers = estate.protected.iter().map(|server| server.id.clone());
            or_roots(servers.collect(), estate, may_hold_servers)
        }
        Place::Vault => or_roots(vaults(estate, right), estate, may_hold_vaults),
        Place::Identity => {
            let mut identities: Vec<ResourceId> =
                estate.protected.iter().flat_map(|server| server.identities.iter().cloned()).collect();
            identities.sort();
            identities.dedup();
            identities
        }
    }
}

/// Vaults out of scope are looked at and never changed. A data action counts only where role assignments do.
fn vaults(estate: &Estate, right: &Right) -> Vec<ResourceId> {
    let looks = !right.data && DIAGNOSIS.contains(right);
    let counts = estate.vaults.iter().filter(|vault| vault.in_scope || looks);
    counts
        .filter_map(|vault| vault.known())
        .filter(|vault| !right.data || vault.rbac)
        .map(|vault| vault.id.clone())
        .collect()
}

fn or_roots(found: Vec<ResourceId>, estate: &Estate, may_hold: fn(&ResourceId) -> bool) -> Vec<ResourceId> {
    if found.is_empty() {
        return estate.roots.iter().filter(|root| may_hold(root)).cloned().collect();
    }
    found
}

/// Where the role that gives a right is best assigned, to hold at a place: a role for whole subscriptions on what the
/// scope names, any other on the resource group. Never on a vault alone, since its role assignments go with it.
pub fn scope_of_grant(estate: &Estate, right: &Right, place: &ResourceId) -> ResourceId {
    let group = place.ancestor("/resourcegroups/").unwrap_or_else(|| place.clone());
    if !right.role.on_subscriptions() {
        return group;
    }
    let root = estate.roots.iter().find(|root| root.contains(place));
    root.filter(|root| root.resource_type().is_empty()).cloned().unwrap_or(group)
}

/// A scope as a tired person reads it: the whole id stands in the command.
pub fn in_words(scope: &ResourceId) -> String {
    match (scope.resource_type().as_str(), scope.resource_group()) {
        ("", None) => format!("subscription {}", scope.subscription()),
        ("", Some(group)) => format!("resource group {group}"),
        _ => scope.name().to_owned(),
    }
}
