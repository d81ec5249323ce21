//! The gates: reasons not to repair, whatever the mode. Pure.
//!
//! Taking the key away is the owner's kill switch, so undoing it unasked can be the incident. Every gate looks at what
//! was seen in this pass, and what a gate needs and could not see counts as [`Gate::CannotTell`]. Re-validation and
//! waiting give nobody anything, so only the gates of place and of volume apply to them; the hold tag forbids them too.
//!
//! [`Gate::CannotTell`]: crate::domain::plan::Gate::CannotTell

mod keys;
mod limits;
mod people;
mod places;
mod unread;

#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::diagnose::effective_identity;
use crate::domain::diagnosis::{Diagnosis, Finding};
use crate::domain::evidence::{Evidence, Fact, KeyEvidence, ServerEvidence};
use crate::domain::incident::Incident;
use crate::domain::plan::{Gate, GateHit, Memory, Plan};
use crate::domain::policy::Policy;
use crate::domain::remedy::{Change, GrantTo, Remedy};
use crate::domain::resource_id::ResourceId;

pub(in crate::domain) use people::approved_plan_has_run;

/// Everything that a gate may look at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What was seen.
    pub evidence: &'a Evidence,
    /// What it means.
    pub diagnosis: &'a Diagnosis,
    /// What is remembered of this incident.
    pub incident: &'a Incident,
    /// What is remembered over all incidents.
    pub memory: &'a Memory,
    /// What is allowed.
    pub policy: &'a Policy,
    /// The present.
    pub now: Timestamp,
}

/// The gates that stand in the plan's way, hard ones first.
#[must_use]
pub fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    if plan.remedy == Remedy::Wait && plan.changes.is_empty() {
        return Vec::new();
    }
    let mut hits = places::hits(plan, situation);
    hits.extend(limits::hits(plan, situation));
    if !is_safe(plan) {
        hits.extend(people::hits(plan, situation));
        hits.extend(keys::hits(plan, situation));
        hits.extend(unread::hits(plan, situation));
    }
    hits.sort_by(|a, b| (!a.hard, a.gate, &a.why).cmp(&(!b.hard, b.gate, &b.why)));
    hits.dedup();
    hits
}

/// Re-validation and waiting take nothing from anybody and give nobody access that it does not have already.
fn is_safe(plan: &Plan) -> bool {
    let safe = |remedy| matches!(remedy, Remedy::Revalidate | Remedy::Wait);
    safe(plan.remedy) && plan.changes.iter().all(|change| safe(change.remedy()))
}

fn hard(gate: Gate, why: impl Into<String>) -> GateHit {
    GateHit { gate, why: why.into(), hard: true }
}

/// The finding that the plan is made for.
fn finding_of<'a>(plan: &Plan, situation: &Situation<'a>) -> Option<&'a Finding> {
    let same = |finding: &&Finding| {
        finding.cause == plan.cause && finding.changes.iter().any(|change| plan.changes.contains(change))
    };
    let findings = &situation.diagnosis.findings;
    findings.iter().find(same).or_else(|| findings.iter().find(|finding| finding.cause == plan.cause))
}

/// Who is granted something by a change.
fn grants(change: &Change) -> &[GrantTo] {
    match change {
        Change::AddAccessPolicy { grants, .. } => grants,
        Change::AssignRole { grant, .. } => std::slice::from_ref(grant),
        _ => &[],
    }
}

/// Every server that gains access by the plan: the ones it is made for and the ones that its changes name.
fn servers(plan: &Plan) -> BTreeSet<ResourceId> {
    let named = plan.changes.iter().flat_map(|change| {
        let own = match change {
            Change::AssignIdentity { server, .. } | Change::Revalidate { server } => Some(server),
            _ => None,
        };
        own.into_iter().chain(grants(change).iter().map(|grant| &grant.server))
    });
    plan.servers.iter().chain(named).cloned().collect()
}

fn seen<'a>(situation: &Situation<'a>, server: &ResourceId) -> Option<&'a ServerEvidence> {
    let Evidence { servers, partners, .. } = situation.evidence;
    servers.iter().chain(partners).find(|seen| seen.id == *server)
}

/// The object ids that gain access by the plan: those it grants, and its servers' identities.
fn principals(plan: &Plan, situation: &Situation<'_>) -> BTreeSet<String> {
    let granted = plan.changes.iter().flat_map(grants).map(|grant| grant.principal_id.to_lowercase());
    let effective = servers(plan).into_iter().filter_map(|server| effective_identity(seen(situation, &server)?));
    granted.chain(effective.map(|identity| identity.principal_id.to_lowercase())).collect()
}

/// The keys that the plan's servers depend on, or may depend on where that could not be read.
fn keys_of<'a>(plan: &Plan, situation: &Situation<'a>) -> Vec<&'a KeyEvidence> {
    let servers = servers(plan);
    let needed = |key: &&KeyEvidence| servers.iter().any(|server| may_need(seen(situation, server), key));
    let touched = |key: &&KeyEvidence| plan.changes.iter().any(|change| touches(change, key));
    situation.evidence.keys.iter().filter(|key| needed(key) || touched(key)).collect()
}

fn may_need(server: Option<&ServerEvidence>, key: &KeyEvidence) -> bool {
    let Some(server) = server else { return true };
    let (Fact::Known(protector), Fact::Known(linked)) = (&server.protector, &server.linked_keys) else { return true };
    let uris = protector.uri.iter().chain(linked.iter().filter_map(|link| link.uri.as_ref()));
    uris.into_iter().any(|uri| uri.same_key(&key.uri) && uri.version == key.uri.version)
}

fn touches(change: &Change, seen: &KeyEvidence) -> bool {
    match change {
        Change::RecoverKey { key } => key.same_key(&seen.uri),
        Change::EnableKey { key } | Change::ExtendExpiry { key, .. } => {
            key.same_key(&seen.uri) && (seen.uri.version.is_none() || key.version == seen.uri.version)
        }
        Change::AssignRole { key, .. } => key.eq_ignore_ascii_case(&seen.uri.key),
        _ => false,
    }
}
