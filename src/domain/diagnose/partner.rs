//! Geo partners: servers that hold secondaries of the databases. Each needs Get, Wrap Key and Unwrap Key on the key of the
//! primary, whatever its own protector is (Microsoft, overview of customer-managed TDE). Without it the secondaries go
//! inaccessible, and for good; the primary notices nothing until somebody fails over.

use crate::domain::diagnose::case::{Case, ServerCase, effective_identity};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnose::permission::{RoleRights, add_policy, assign_role, policy_rights, role_rights};
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{Fact, ServerEvidence, Vault};
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// Looks at the grants of the partners of every server that depends on the vault.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let Some(vault) = case.vault() else { return };
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for server in &servers {
        let Some(key) = server.protector_key() else { continue };
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
