//! Fifth link: what each server's identity may do with its key.

use crate::domain::diagnose::case::{Case, ServerCase};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{Fact, Grant, KeyRights, Vault};
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Change, GrantTo};
use crate::domain::resource_id::ResourceId;

/// Looks at the permissions of every server whose identity is known.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let Some(vault) = case.vault() else {
        draft.hidden(Link::Permission, "cannot be seen without the vault");
        return;
    };
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for server in &servers {
        let crosses = server.seen.server.known().is_some_and(|known| known.federated_client_id.is_some());
        match case.identity(server) {
            Some(identity) if !crosses => {
                let principal = identity.principal_id.as_str();
                if vault.rbac {
                    roles(case, vault, server, principal, draft);
                } else {
                    policies(case, vault, server, principal, draft);
                }
            }
            _ => draft.hidden(Link::Permission, format!("{} has no identity to look for", server.name())),
        }
    }
}

fn policies(case: &Case<'_>, vault: &Vault, server: &ServerCase<'_>, principal: &str, draft: &mut Draft) {
    let rights = policy_rights(vault, principal);
    if rights.complete() {
        let said = format!("{} has Get, Wrap Key and Unwrap Key", server.name());
        return draft.ok(Link::Permission, said);
    }
    let missing = rights.missing();
    let said =
        format!("{}'s identity {principal} lacks {} on {}", server.name(), missing.join(", "), case.vault_name());
    let cause =
        if switched_from_roles(case, vault, principal) { Cause::PermissionModelSwitched } else { Cause::PolicyMissing };
    let mut finding = missing_permission(cause, vault, server, "access policies", &said);
    finding.changes.push(add_policy(vault, server, principal, &missing));
    draft.broken(Link::Permission, "", said, finding);
}

fn roles(case: &Case<'_>, vault: &Vault, server: &ServerCase<'_>, principal: &str, draft: &mut Draft) {
    let Some(uri) = server.protector_key() else { return };
    let id = [server.id().clone()];
    let Some(seen) = case.vault_evidence() else { return };
    match &seen.denials {
        Fact::Known(denials) => {
            if let Some(denial) = denials.iter().filter(|denial| denial.hits(principal)).min_by_key(|d| d.name.clone())
            {
                let said = format!("the deny assignment {} keeps {} from its key", denial.name, server.name());
                let finding = missing_permission(Cause::DenyAssignment, vault, server, "deny assignments", &said);
                draft.broken(Link::Permission, "", said, finding);
            }
        }
        fact => {
            let why = draft.why(fact, &format!("deny assignments on {}", case.vault_name()));
            draft.unread(Link::Permission, &id, why);
        }
    }
    match &seen.grants {
        Fact::Known(grants) => role_grants(case, vault, server, principal, uri, grants, draft),
        fact => {
            let why = draft.why(fact, &format!("role assignments on {}", case.vault_name()));
            draft.unread(Link::Permission, &id, why);
        }
    }
}

fn role_grants(
    case: &Case<'_>,
    vault: &Vault,
    server: &ServerCase<'_>,
    principal: &str,
    uri: &KeyUri,
    grants: &[Grant],
    draft: &mut Draft,
) {
    let name = server.name();
    match role_rights(vault, grants, principal, &uri.key) {
        RoleRights::Complete => draft.ok(Link::Permission, format!("{name} has a role that gives it the key")),
        RoleRights::Conditional => {
            let said = format!("{name} has its role only under a condition, which is not evaluated here");
            draft.unread(Link::Permission, &[server.id().clone()], said);
        }
        RoleRights::Missing(missing) => {
            let said = format!("{name}'s identity {principal} has no role that gives it {}", missing.join(", "));
            let cause = if switched_from_policies(case, vault, principal) {
                Cause::PermissionModelSwitched
            } else {
                Cause::RoleMissing
            };
            let mut finding = missing_permission(cause, vault, server, "role assignments", &said);
            // Older keys of the server are granted along with the protector's: there may be no time to find out later.
            for key in keys_in_use(case, server, uri) {
                if let RoleRights::Missing(missing) = role_rights(vault, grants, principal, &key) {
                    finding.changes.push(assign_role(vault, server, principal, &key, &missing));
                }
            }
            draft.broken(Link::Permission, "", said, finding);
        }
    }
}

/// The change that grants a server's identity the use of one key.
pub(super) fn assign_role(
    vault: &Vault,
    server: &ServerCase<'_>,
    principal: &str,
    key: &str,
    missing: &[&'static str],
) -> Change {
    Change::AssignRole {
        vault: vault.id.clone(),
        key: key.to_owned(),
        grant: grant_to(server, principal, missing),
        role: CRYPTO_SERVICE_ENCRYPTION_USER.to_owned(),
    }
}

/// The change that gives a server's identity its access policy.
pub(super) fn add_policy(vault: &Vault, server: &ServerCase<'_>, principal: &str, missing: &[&'static str]) -> Change {
    Change::AddAccessPolicy {
        vault: vault.id.clone(),
        tenant_id: vault.tenant_id.clone(),
        grants: vec![grant_to(server, principal, missing)],
    }
}

/// The names of the protector's key and of the server's older keys that still exist in this vault.
fn keys_in_use(case: &Case<'_>, server: &ServerCase<'_>, uri: &KeyUri) -> Vec<String> {
    let linked = server.seen.linked_keys.known().map(Vec::as_slice).unwrap_or_default();
    let older = linked.iter().filter_map(|key| key.uri.as_ref()).filter(|key| key.vault == uri.vault);
    let exists = |key: &&KeyUri| case.key(key).is_some_and(|seen| seen.version.known().is_some());
    let mut names: Vec<String> = older.filter(exists).map(|key| key.key.to_lowercase()).collect();
    names.push(uri.key.to_lowercase());
    names.sort();
    names.dedup();
    // As the protector writes it: Key Vault compares names without case, people do not.
    names.into_iter().map(|name| if name.eq_ignore_ascii_case(&uri.key) { uri.key.clone() } else { name }).collect()
}

/// What role assignments give a principal on one key.
#[derive(Debug)]
pub(super) enum RoleRights {
    Complete,
    /// Complete only if assignments with a condition are counted.
    Conditional,
    Missing(Vec<&'static str>),
}

pub(super) fn role_rights(vault: &Vault, grants: &[Grant], principal: &str, key: &str) -> RoleRights {
    let is = |id: &str| id.eq_ignore_ascii_case(principal);
    let of_principal = |grant: &&Grant| is(&grant.principal_id) || grant.found_for.as_deref().is_some_and(is);
    let relevant = || grants.iter().filter(of_principal).filter(|grant| reaches(&grant.scope, vault, key));
    let sum =
        |all: &mut dyn Iterator<Item = &Grant>| all.fold(KeyRights::default(), |sum, grant| sum.and(grant.rights));
    let certain = sum(&mut relevant().filter(|grant| !grant.conditional));
    if certain.complete() {
        RoleRights::Complete
    } else if sum(&mut relevant()).complete() {
        RoleRights::Conditional
    } else {
        RoleRights::Missing(certain.missing())
    }
}

/// Whether an assignment at `scope` counts for this vault's key.
fn reaches(scope: &str, vault: &Vault, key: &str) -> bool {
    let scope = scope.trim_end_matches('/').to_lowercase();
    match scope.strip_prefix(vault.id.key()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix("/keys/").and_then(|rest| rest.split('/').next()) == Some(&key.to_lowercase()),
        // A group, subscription or management group above it; but not another vault.
        None => !scope.contains("/providers/microsoft.keyvault/"),
    }
}

/// What access policies give a principal: entries for an application on its behalf do not help SQL.
pub(super) fn policy_rights(vault: &Vault, principal: &str) -> KeyRights {
    let mut rights = KeyRights::default();
    for policy in &vault.access_policies {
        if !policy.object_id.eq_ignore_ascii_case(principal) || policy.application_id.is_some() {
            continue;
        }
        let has = |name: &str| {
            policy.keys.iter().any(|key| key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case("all"))
        };
        rights = rights.and(KeyRights { get: has("get"), wrap: has("wrapkey"), unwrap: has("unwrapkey") });
    }
    rights
}

/// An RBAC vault that still has the principal's access policy, and was written lately: the model was switched, unless
/// the log shows a later removal of roles.
fn switched_from_policies(case: &Case<'_>, vault: &Vault, principal: &str) -> bool {
    policy_rights(vault, principal).complete()
        && vault_was_written(case, vault, "microsoft.authorization/roleassignments/delete")
}

/// An access-policy vault on which the principal still has its role, and which was written lately.
fn switched_from_roles(case: &Case<'_>, vault: &Vault, principal: &str) -> bool {
    let grants = case.vault_evidence().and_then(|seen| seen.grants.known());
    let is = |id: &str| id.eq_ignore_ascii_case(principal);
    let has = |grant: &Grant| {
        (is(&grant.principal_id) || grant.found_for.as_deref().is_some_and(is)) && grant.rights.complete()
    };
    grants.is_some_and(|grants| grants.iter().any(has))
        && vault_was_written(case, vault, "microsoft.keyvault/vaults/accesspolicies/write")
}

/// Whether the log shows a write of the vault that is newer than any `removal` on it.
fn vault_was_written(case: &Case<'_>, vault: &Vault, removal: &str) -> bool {
    let newest = |operation: &str, below: bool| {
        let on_vault = |target: &str| {
            let target = target.to_lowercase();
            if below { target.starts_with(vault.id.key()) } else { target == vault.id.key() }
        };
        let matching = case.changes.iter().filter(|change| change.operation.eq_ignore_ascii_case(operation));
        matching.filter(|change| on_vault(&change.target)).map(|change| change.at).max()
    };
    match (newest("microsoft.keyvault/vaults/write", false), newest(removal, true)) {
        (Some(written), Some(removed)) => written > removed,
        (written, None) => written.is_some(),
        (None, Some(_)) => false,
    }
}

fn grant_to(server: &ServerCase<'_>, principal: &str, missing: &[&'static str]) -> GrantTo {
    GrantTo {
        principal_id: principal.to_owned(),
        server: server.id().clone(),
        missing: missing.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn missing_permission(cause: Cause, vault: &Vault, server: &ServerCase<'_>, probe: &str, said: &str) -> Finding {
    Finding {
        cause,
        resource: vault.id.to_string(),
        servers: vec![ResourceId::clone(server.id())],
        proof: vec![proof(probe, said)],
        changes: Vec::new(),
        purge_at: None,
        since: None,
    }
}
