//! The writes that Azure recorded: which remedy each is, what it is about, and what they come to together.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::add;
use keymend::domain::remedy::Remedy;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::{Cloud, Exchange, Plane};

/// Which remedy a write is, by what it asks of Azure.
pub fn remedy_of(write: &Exchange) -> Remedy {
    let (url, method) = (write.url.to_lowercase(), write.method.as_str());
    let path = url.split('?').next().unwrap_or_default();
    let body = write.request_body.clone().unwrap_or_default();
    let kind = path.rsplit('/').nth(1).unwrap_or_default();
    match (write.plane, method) {
        (Plane::KeyVault, "POST") => Remedy::RecoverKey,
        (Plane::KeyVault, _) if body.pointer("/attributes/exp").is_some() => Remedy::ExtendExpiry,
        (Plane::KeyVault, _) => Remedy::EnableKey,
        _ if path.ends_with("/revalidate") => Remedy::Revalidate,
        _ if kind == "roleassignments" => Remedy::AssignRole,
        _ if kind == "accesspolicies" => Remedy::AddAccessPolicy,
        (_, "PUT") if kind == "vaults" => Remedy::RecoverVault,
        (_, _) if kind == "vaults" => Remedy::TrustedServicesBypass,
        (_, "PATCH") if kind == "servers" || kind == "managedinstances" => Remedy::AssignIdentity,
        _ => Remedy::RestoreSettings,
    }
}

pub fn path_of(exchange: &Exchange) -> &str {
    exchange.url.split('?').next().unwrap_or_default()
}

/// What a write is about. A role assignment has a name of its own each time: there the principal counts.
pub fn thing_of(write: &Exchange) -> String {
    let path = path_of(write).to_lowercase();
    let principal = write.request_body.as_ref().and_then(|body| body.pointer("/properties/principalId")?.as_str());
    match (remedy_of(write), principal) {
        (Remedy::AssignRole, Some(principal)) => {
            format!("{} for {principal}", path.rsplit_once('/').map_or(path.as_str(), |(scope, _)| scope))
        }
        _ => path,
    }
}

/// Whether Azure took a write on and then told that it had failed: that changed nothing, and is tried again.
pub fn failed_later(cloud: &Cloud, write: &Exchange) -> bool {
    let header = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("azure-asyncoperation");
    let Some((_, operation)) = write.response_headers.iter().find(header) else { return false };
    let path = |url: &str| {
        let url = url.split('?').next().unwrap_or_default();
        url.find("/subscriptions/").map(|at| url[at..].to_lowercase())
    };
    let failed = |one: &Exchange| {
        let told = one.response_body.as_ref().and_then(|body| body["status"].as_str());
        told == Some("Failed") && path(&one.url).is_some() && path(&one.url) == path(operation)
    };
    !cloud.requests_that(failed).is_empty()
}

/// Whether a lock stops a write: one to what it is on, the first vault if nothing is said, or to anything below. Key Vault's
/// own operations on keys know no locks.
pub fn is_under(write: &Exchange, scope: Option<&str>) -> bool {
    let scope = scope.unwrap_or("/providers/Microsoft.KeyVault/vaults/").to_lowercase();
    write.plane != Plane::KeyVault && path_of(write).to_lowercase().contains(&scope)
}

pub fn changed_twice(cloud: &Cloud, writes: &[Exchange]) -> Vec<String> {
    let mut effects: BTreeMap<(Remedy, String), Vec<Timestamp>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.effect && !failed_later(cloud, write)) {
        effects.entry((remedy_of(write), thing_of(write))).or_default().push(write.at);
    }
    // Each setting is a change of its own, told apart by its body.
    effects.retain(|(remedy, _), at| *remedy != Remedy::RestoreSettings && at.len() > 1);
    effects.into_iter().map(|((remedy, thing), at)| format!("{remedy} took effect {at:?} on {thing}")).collect()
}

pub fn over_budget(writes: &[Exchange], budget: u32) -> Vec<String> {
    let effects: Vec<Timestamp> = writes.iter().filter(|write| write.effect).map(|write| write.at).collect();
    let hour = |from: &Timestamp| {
        effects.iter().filter(|at| *at >= from && **at < add(*from, SignedDuration::from_hours(1))).count()
    };
    let most = effects.iter().map(hour).max().unwrap_or_default();
    let allowed = usize::try_from(budget).unwrap_or(usize::MAX);
    if most > allowed { vec![format!("{most} changes in an hour, {budget} are allowed")] } else { Vec::new() }
}

/// What a path leads to: the longest beginning of it that is a resource's id.
pub fn resource(path: &str) -> Option<ResourceId> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
    ends.into_iter().rev().find_map(|end| ResourceId::parse(&path[..end]).ok())
}
