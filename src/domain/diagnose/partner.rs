//! Geo partners: servers that hold secondaries of the databases. Each needs Get, Wrap Key and Unwrap Key on the key of the
//! primary, whatever its own protector is (Microsoft, overview of customer-managed TDE). Without it the secondaries go
//! inaccessible, and for good; the primary notices nothing until somebody fails over.

use std::collections::BTreeSet;

use crate::domain::diagnose::case::{Case, ServerCase, effective_identity};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnose::permission::{RoleRights, add_policy, assign_role, policy_rights, role_rights};
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{Fact, ServerEvidence, Vault, is_geo_secondary};
use crate::domain::incident::Incident;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// Looks at the grants of the partners of every server that depends on the vault.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let Some(vault) = case.vault() else { return };
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for server in &servers {
        let Some(key) = server.protector_key() else { continue };
        if matches!(server.seen.links, Fact::Denied(_)) {
            let what = format!("who holds geo-secondaries of {}", server.name());
            let why = draft.why(&server.seen.links, &what);
            draft.unknown(why);
        }
        if server.seen.links.known().is_some_and(|links| links.iter().any(|l| l.primary && l.partner.is_none())) {
            draft.unknown(format!("Azure does not say which server holds a geo-secondary of {}", server.name()));
        }
        for (partner, databases) in server.seen.partners() {
            if shares_the_key(case, &partner, key) {
                continue;
            }
            let everybody = case.evidence.partners.iter().chain(&case.evidence.servers);
            let Some(seen) = everybody.into_iter().find(|seen| seen.id == partner) else { continue };
            one(case, vault, key, server.id(), seen, &databases, draft);
        }
    }
    unlinked_unread(case, draft);
}

/// The servers that an incident has found to lack their grant as geo partners, or to hold a secondary that died of it.
#[must_use]
pub fn geo_partners(incident: &Incident) -> BTreeSet<ResourceId> {
    let diagnoses = incident.broken.iter().chain(&incident.diagnosis);
    let found = diagnoses
        .flat_map(|diagnosis| &diagnosis.findings)
        .filter(|finding| matches!(finding.cause, Cause::GeoPartnerWithoutGrant | Cause::DeadSecondary));
    let servers = found.flat_map(|finding| &finding.servers);
    servers.filter(|server| !incident.members.contains_key(server.key())).cloned().collect()
}

/// The partners of this incident that no link names any more: geo-replication was ended, or their secondaries are dead.
fn unlinked<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a ServerEvidence> {
    let named = geo_partners(case.incident);
    let linked: BTreeSet<ResourceId> =
        case.evidence.servers.iter().flat_map(|seen| seen.partners().into_keys()).collect();
    case.evidence.partners.iter().filter(move |seen| named.contains(&seen.id) && !linked.contains(&seen.id))
}

/// Where it cannot be told what became of such a partner, nothing is called well.
fn unlinked_unread(case: &Case<'_>, draft: &mut Draft) {
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for partner in unlinked(case) {
        let failed = |server: &&ServerCase<'_>| {
            !matches!(server.seen.links, Fact::Known(_)) && server.seen.links != Fact::default()
        };
        for server in servers.iter().filter(failed) {
            let why = draft.why(&server.seen.links, &format!("the geo-replication of {}", server.name()));
            draft.unread(Link::Permission, &[server.id().clone()], why);
        }
        if !matches!(partner.databases, Fact::Known(_) | Fact::Absent) {
            let why = draft.why(&partner.databases, &format!("the databases of the geo partner {}", partner.id.name()));
            let all: Vec<ResourceId> = servers.iter().map(|server| server.id().clone()).collect();
            draft.unread(Link::Database, &all, why);
        }
    }
}

/// The secondaries that died on partners which lacked their grant: inaccessible, no secondaries any more, and of the name
/// of a database of the incident's servers.
pub(super) fn dead<'a>(case: &Case<'a>) -> Vec<(ResourceId, Vec<&'a str>)> {
    let is_ours = |name: &str| {
        case.evidence.servers.iter().filter_map(|seen| seen.databases.known()).flatten().any(|own| own.name == name)
    };
    let of = |seen: &'a ServerEvidence| {
        let databases = seen.databases.known().map(Vec::as_slice).unwrap_or_default().iter();
        let dead = databases.filter(|one| one.is_inaccessible() && !is_geo_secondary(&one.settings));
        let mut names: Vec<&str> = dead.map(|one| one.name.as_str()).filter(|name| is_ours(name)).collect();
        names.sort_unstable();
        (seen.id.clone(), names)
    };
    unlinked(case).map(of).collect()
}

/// One that is in question itself, and under this very key: its own chain is looked at.
fn shares_the_key(case: &Case<'_>, partner: &ResourceId, key: &KeyUri) -> bool {
    case.dependents().any(|one| one.id() == partner && one.protector_key().is_some_and(|own| own.same_key(key)))
}

fn one(
    case: &Case<'_>,
    vault: &Vault,
    key: &KeyUri,
    primary: &ResourceId,
    partner: &ServerEvidence,
    databases: &[&str],
    draft: &mut Draft,
) {
    let name = partner.id.name();
    let (server, identity) = match (&partner.server, effective_identity(partner)) {
        (Fact::Known(server), Some(identity)) => (server, identity),
        // A link to a server that is gone is gone with it.
        (Fact::Absent, _) => return,
        (fact, _) => {
            let why = match fact {
                Fact::Known(_) => format!("the geo partner {name} has no identity that could be told"),
                fact => draft.why(fact, &format!("the geo partner {name}")),
            };
            return draft.unknown(why);
        }
    };
    // Whoever reaches the key through an application of another tenant is no principal of this vault's.
    if server.federated_client_id.is_some() {
        return draft
            .unknown(format!("the geo partner {name} reaches keys across tenants: its grant was not looked at"));
    }
    let principal = identity.principal_id.as_str();
    let dependent = ServerCase::partner(partner);
    let (missing, change): (_, Change) = if vault.rbac {
        let Some(grants) = case.vault_evidence().and_then(|seen| seen.grants.known()) else { return };
        match role_rights(vault, grants, principal, &key.key) {
            RoleRights::Complete => return,
            RoleRights::Conditional => {
                return draft.unknown(format!("the role of the geo partner {name} depends on a condition"));
            }
            RoleRights::Missing(missing) => {
                let change = assign_role(vault, &dependent, principal, &key.key, &missing);
                (missing, change)
            }
        }
    } else {
        let rights = policy_rights(vault, principal);
        if rights.complete() {
            return;
        }
        let missing = rights.missing();
        let change = add_policy(vault, &dependent, principal, &missing);
        (missing, change)
    };
    let said = format!(
        "{name}, which holds the geo-secondary of {} on {}, lacks {} on {}",
        names(databases),
        primary.name(),
        missing.join(", "),
        case.vault_name()
    );
    let finding = Finding {
        cause: Cause::GeoPartnerWithoutGrant,
        resource: vault.id.to_string(),
        servers: vec![partner.id.clone()],
        proof: vec![proof("replication links", &said)],
        changes: vec![change],
        purge_at: None,
        since: None,
    };
    draft.broken(Link::Permission, "", said, finding);
}

fn names(databases: &[&str]) -> String {
    match databases {
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, more @ ..] => format!("{one} and {} more", more.len()),
        [] => "a database".to_owned(),
    }
}
