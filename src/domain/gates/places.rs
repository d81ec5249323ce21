//! Gates of place: what the resources themselves say, or where they are.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::Fact;
use crate::domain::gates::{Situation, hard, is_safe, keys_of, principals, seen, servers};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

pub(super) fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let mut hits = hold_tags(plan, situation);
    hits.extend(out_of_scope(plan, situation));
    hits.extend(locks(plan, situation));
    hits.extend(managed_hsm(plan, situation));
    if !is_safe(plan) {
        hits.extend(denials(plan, situation));
        hits.extend(cross_tenant(plan, situation));
    }
    hits
}

/// The hold tag, with any value but `false`, on the vault (or its remains), a server that gains access, or its key.
fn hold_tags(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let name = situation.policy.gates.hold_tag.trim();
    let holds = |tags: &std::collections::BTreeMap<String, String>| {
        tags.iter().any(|(tag, value)| tag.eq_ignore_ascii_case(name) && !value.trim().eq_ignore_ascii_case("false"))
    };
    if name.is_empty() {
        return Vec::new();
    }
    let mut held = Vec::new();
    if let Some(vault) = &situation.evidence.vault {
        let alive = vault.vault.known().is_some_and(|vault| holds(&vault.tags));
        if alive || vault.deleted.known().is_some_and(|deleted| holds(&deleted.tags)) {
            held.push(format!("key vault {}", vault.host.vault_name()));
        }
    }
    for server in servers(plan) {
        if seen(situation, &server).and_then(|seen| seen.server.known()).is_some_and(|known| holds(&known.tags)) {
            held.push(format!("server {}", server.name()));
        }
    }
    for key in keys_of(plan, situation) {
        if key.version.known().is_some_and(|version| holds(&version.tags)) {
            held.push(format!("key {}", key.uri));
        }
    }
    held.into_iter().map(|what| hard(Gate::HoldTag, format!("the tag {name} on {what} forbids every change"))).collect()
}

/// What a change is made to, as far as it is known as a resource.
fn target(change: &Change, situation: &Situation<'_>) -> Option<ResourceId> {
    match change {
        Change::AssignIdentity { server, .. } | Change::Revalidate { server } => Some(server.clone()),
        Change::RestoreSetting { database, .. } => Some(database.clone()),
        Change::AddAccessPolicy { vault, .. }
        | Change::AssignRole { vault, .. }
        | Change::RecoverVault { vault, .. }
        | Change::TrustedServicesBypass { vault, .. } => Some(vault.clone()),
        Change::RecoverKey { key } | Change::EnableKey { key } | Change::ExtendExpiry { key, .. } => {
            let vault = situation.evidence.vault.as_ref().filter(|vault| vault.host == key.vault)?;
            vault.vault.known().map(|vault| vault.id.clone()).or_else(|| vault.id.clone())
        }
    }
}

/// Nothing is in scope that the policy does not name, and what cannot be placed is not.
fn out_of_scope(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let scope = &situation.policy.scope;
    let mut outside = Vec::new();
    for change in &plan.changes {
        match target(change, situation) {
            Some(target) if scope.covers(&target) => {}
            Some(target) => outside.push(target.to_string()),
            None => outside.push(change.target()),
        }
        let granted = super::grants(change).iter().filter(|grant| !scope.covers(&grant.server));
        outside.extend(granted.map(|grant| grant.server.to_string()));
    }
    outside.sort();
    outside.dedup();
    outside.into_iter().map(|id| hard(Gate::OutOfScope, format!("{id} is not in the configured scope"))).collect()
}

/// A read-only lock on what is changed or above it. Key Vault's own operations on keys know no locks.
fn locks(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let Fact::Known(locks) = &situation.evidence.locks else { return Vec::new() };
    let mut hits = Vec::new();
    for change in &plan.changes {
        let on = match change {
            Change::RecoverKey { .. } | Change::EnableKey { .. } | Change::ExtendExpiry { .. } => continue,
            Change::AssignRole { vault, key, .. } => vault.child("keys", key).unwrap_or_else(|_| vault.clone()),
            Change::AssignIdentity { server, .. } | Change::Revalidate { server } => server.clone(),
            Change::RestoreSetting { database, .. } => database.clone(),
            Change::AddAccessPolicy { vault, .. }
            | Change::RecoverVault { vault, .. }
            | Change::TrustedServicesBypass { vault, .. } => vault.clone(),
        };
        let blocking = locks.iter().filter(|lock| lock.read_only && lock.scope.contains(&on));
        hits.extend(blocking.map(|lock| {
            let why = format!("the read-only lock {} on {} stops {}", lock.name, lock.scope, change.remedy());
            hard(Gate::Lock, why)
        }));
    }
    hits
}

fn managed_hsm(plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let in_hsm = |server: &ResourceId| {
        let protector = seen(situation, server).and_then(|seen| seen.protector.known());
        protector.and_then(|protector| protector.uri.as_ref()).is_some_and(|uri| uri.vault.is_managed_hsm())
    };
    let of_hsm = situation.evidence.vault.as_ref().is_some_and(|vault| vault.host.is_managed_hsm());
    (of_hsm || servers(plan).iter().any(in_hsm)).then(|| {
        hard(Gate::ManagedHsm, "the key is in a managed HSM, which has its own rights and its own administrators")
    })
}

/// A deny assignment on an identity that would gain access. Access-policy vaults do not ask them for keys.
fn denials(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let Some(vault) = &situation.evidence.vault else { return Vec::new() };
    if vault.vault.known().is_some_and(|vault| !vault.rbac) {
        return Vec::new();
    }
    let principals = principals(plan, situation);
    let denials = vault.denials.known().map(Vec::as_slice).unwrap_or_default();
    let hitting = denials.iter().filter(|denial| principals.iter().any(|principal| denial.hits(principal)));
    hitting
        .map(|denial| {
            hard(Gate::DenyAssignment, format!("the deny assignment {} keeps the identity from the key", denial.name))
        })
        .collect()
}

fn cross_tenant(plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let servers = servers(plan);
    let found = situation.diagnosis.findings.iter().any(|finding| {
        finding.cause == Cause::CrossTenant && finding.servers.iter().any(|server| servers.contains(server))
    });
    let federated = servers.iter().any(|server| {
        let known = seen(situation, server).and_then(|seen| seen.server.known());
        known.is_some_and(|known| known.federated_client_id.is_some())
    });
    (found || federated).then(|| hard(Gate::CrossTenant, "the key belongs to another tenant"))
}
