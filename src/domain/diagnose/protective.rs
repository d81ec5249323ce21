//! Protective changes close together: somebody is taking access away from several sides, which is what a deliberate
//! revocation looks like. Taking the key away is the owner's kill switch, so it must be recognised.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::dependent::as_of_a_server;
use crate::domain::diagnose::case::{Case, ServerCase};
use crate::domain::diagnose::culprit::{at_or_below, culprit, vault_scope};
use crate::domain::diagnosis::{Cause, Culprit, Finding};
use crate::domain::evidence::{CallerKind, Change, Fact, Vault};
use crate::domain::incident::Attempt;
use crate::domain::remedy::Remedy;

/// The sides from which access is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Identity,
    VaultDeleted,
    Vault,
    Policy,
    Role,
    Deny,
    Lock,
    KeyDisabled,
    KeyDeleted,
}

#[derive(Debug, Clone)]
struct Protective {
    side: Side,
    by: Culprit,
}

/// The protective changes that lie within the policy's time of one another, newest first, if there are at least two
/// kinds of them; else none.
///
/// A logged change counts unless what was read shows that it took nothing away. A broken side that no logged change
/// explains yet (the log lags up to 20 minutes) counts as happening now, next to one whose time is known. What this incident
/// mended counts too, once access is lost again from another side: whoever takes it away twice means it.
pub(super) fn find(case: &Case<'_>, findings: &[Finding]) -> Vec<Culprit> {
    let within = SignedDuration::from_mins(i64::from(case.policy.gates.deliberate_within_minutes));
    let mut all: Vec<Protective> = case.changes.iter().filter_map(|change| logged(case, findings, change)).collect();
    all.extend(keys(case));
    all.extend(mended_before(case, findings));
    let timed = all.clone();
    if timed.iter().any(|known| add(known.by.at, within) >= case.now) {
        let new = unexplained(case, findings)
            .into_iter()
            .filter(|side| !timed.iter().any(|known| explains(known.side, *side)));
        all.extend(new.map(|side| Protective { side, by: seen_now(case, side) }));
    }
    all.sort_by(|a, b| (b.by.at, a.side, &a.by.target).cmp(&(a.by.at, b.side, &b.by.target)));
    let close = |start: Timestamp| -> Vec<Protective> {
        all.iter().filter(|change| change.by.at >= start && change.by.at <= add(start, within)).cloned().collect()
    };
    let mut best: Vec<Protective> = Vec::new();
    for start in all.iter().map(|change| change.by.at) {
        let group = close(start);
        if kinds(&group) >= 2 && group.len() > best.len() {
            best = group;
        }
    }
    best.into_iter().map(|change| change.by).collect()
}

fn kinds(group: &[Protective]) -> usize {
    let mut sides: Vec<Side> = group.iter().map(|change| change.side).collect();
    sides.sort();
    sides.dedup();
    sides.len()
}

/// One write of a vault can close its firewall, empty its policies and switch its model at once.
fn explains(known: Side, broken: Side) -> bool {
    known == broken
        || (known == Side::Vault && broken == Side::Policy)
        || (known == Side::VaultDeleted && broken == Side::Role)
}

fn logged(case: &Case<'_>, findings: &[Finding], change: &Change) -> Option<Protective> {
    if change.at > case.now {
        return None;
    }
    let vault = case.vault_id()?;
    let target = change.target.to_lowercase();
    let on_vault = at_or_below(&target, vault);
    let without_identity = || {
        let gone = |server: &&ServerCase<'_>| case.identity(server).is_none() && at_or_below(&target, server.id());
        case.dependents().any(|server| gone(&server))
    };
    let identity_deleted = || findings.iter().any(|finding| finding.cause == Cause::IdentityDeleted);
    let side = match as_of_a_server(&change.operation).as_str() {
        "microsoft.keyvault/vaults/delete" if on_vault && case.vault().is_none() => Side::VaultDeleted,
        "microsoft.keyvault/vaults/write" if on_vault && !is_harmless_vault(case, findings) => Side::Vault,
        "microsoft.keyvault/vaults/accesspolicies/write" if on_vault && !policies_are_right(case, findings) => {
            Side::Policy
        }
        "microsoft.authorization/roleassignments/delete"
            if vault_scope(&target, vault).is_some() && !roles_are_right(case, findings) =>
        {
            Side::Role
        }
        "microsoft.authorization/denyassignments/write" if vault_scope(&target, vault).is_some() => Side::Deny,
        "microsoft.authorization/locks/write" if lock_stands(case, &target) => Side::Lock,
        "microsoft.sql/servers/write" if without_identity() => Side::Identity,
        "microsoft.managedidentity/userassignedidentities/delete" if identity_deleted() => Side::Identity,
        _ => return None,
    };
    Some(Protective { side, by: culprit(change) })
}

/// Whether the vault as read keeps nobody out, so that its writing took nothing away.
fn is_harmless_vault(case: &Case<'_>, findings: &[Finding]) -> bool {
    case.vault().is_some_and(|vault| {
        !vault.network.shuts_out_sql() && !vault.network.in_perimeter() && permissions_are_seen_right(case, findings)
    })
}

fn policies_are_right(case: &Case<'_>, findings: &[Finding]) -> bool {
    case.vault().is_some_and(|vault| vault.rbac || permissions_are_seen_right(case, findings))
}

fn roles_are_right(case: &Case<'_>, findings: &[Finding]) -> bool {
    case.vault().is_some_and(|vault| !vault.rbac || permissions_are_seen_right(case, findings))
}

fn permissions_are_seen_right(case: &Case<'_>, findings: &[Finding]) -> bool {
    let grants_read =
        |vault: &Vault| !vault.rbac || case.vault_evidence().is_some_and(|seen| seen.grants.known().is_some());
    // A server without any identity has no permission to be taken away.
    let without_identity = |server| {
        findings.iter().any(|finding| finding.cause == Cause::IdentityMissing && finding.servers.contains(server))
    };
    let missing = [Cause::PolicyMissing, Cause::RoleMissing, Cause::PermissionModelSwitched];
    case.vault().is_some_and(grants_read)
        && case.dependents().all(|server| case.identity(server).is_some() || without_identity(server.id()))
        && !findings.iter().any(|finding| missing.contains(&finding.cause))
}

/// Whether a lock on the vault or above it stands that the change can have made.
fn lock_stands(case: &Case<'_>, target: &str) -> bool {
    let Some(vault) = case.vault_id() else { return false };
    if vault_scope(target, vault).is_none() {
        return false;
    }
    match &case.evidence.locks {
        Fact::Known(locks) => locks.iter().any(|lock| lock.scope.contains(vault) || vault.contains(&lock.scope)),
        _ => true,
    }
}

/// Disabled and deleted keys tell their time themselves.
fn keys(case: &Case<'_>) -> Vec<Protective> {
    let on_key = |side, at: Option<Timestamp>, key: &dyn std::fmt::Display, operation: &str| {
        at.map(|at| Protective { side, by: nobody(at, operation, key.to_string()) })
    };
    let one = |key: &&crate::domain::evidence::KeyEvidence| {
        if let Some(version) = key.version.known().filter(|version| !version.enabled) {
            return on_key(Side::KeyDisabled, version.updated, &key.uri, "key disabled");
        }
        let deleted = key.deleted.known().filter(|_| key.version.known().is_none())?;
        on_key(Side::KeyDeleted, deleted.deleted_at, &key.uri.versionless(), "key deleted")
    };
    case.keys.iter().filter_map(one).collect()
}

/// Whether the chain was whole in between: what is broken now was taken away since.
fn is_lost_again(case: &Case<'_>) -> bool {
    case.incident.whole_since.is_some() || case.incident.lost_again_at.is_some()
}

/// The side that this incident mended last, if access is lost from one again.
fn mended_before(case: &Case<'_>, findings: &[Finding]) -> Option<Protective> {
    let broken = !unexplained(case, findings).is_empty() || !keys(case).is_empty();
    if !is_lost_again(case) || !broken {
        return None;
    }
    let mended = |attempt: &Attempt| {
        let (side, operation) = match attempt.change.remedy() {
            Remedy::AssignIdentity => (Side::Identity, "identity removed, given back"),
            Remedy::AddAccessPolicy => (Side::Policy, "access policy removed, granted again"),
            Remedy::AssignRole => (Side::Role, "role assignment removed, granted again"),
            Remedy::RecoverVault => (Side::VaultDeleted, "vault deleted, recovered"),
            Remedy::TrustedServicesBypass => (Side::Vault, "firewall closed, opened"),
            Remedy::EnableKey => (Side::KeyDisabled, "key disabled, enabled"),
            Remedy::RecoverKey => (Side::KeyDeleted, "key deleted, recovered"),
            Remedy::ExtendExpiry | Remedy::Revalidate | Remedy::RestoreSettings | Remedy::Wait => return None,
        };
        Some(Protective { side, by: nobody(attempt.intended_at, operation, case.vault_name().to_owned()) })
    };
    case.incident.made().filter_map(mended).max_by_key(|mended| mended.by.at)
}

/// Sides that are broken now, by the findings.
fn unexplained(case: &Case<'_>, findings: &[Finding]) -> Vec<Side> {
    // Roles that were assigned on a vault are lost with it, and a new identity has no rights yet: no side of its own.
    let again = is_lost_again(case);
    let recovered = case.incident.made().next().is_some() && !again;
    let side = |finding: &Finding| match finding.cause {
        Cause::VaultFirewalled => Some(Side::Vault),
        Cause::PolicyMissing if !recovered => Some(Side::Policy),
        Cause::RoleMissing if !recovered => Some(Side::Role),
        Cause::DenyAssignment => Some(Side::Deny),
        Cause::VaultDeleted if again => Some(Side::VaultDeleted),
        Cause::IdentityMissing if again => Some(Side::Identity),
        _ => None,
    };
    findings.iter().filter_map(side).collect()
}

fn seen_now(case: &Case<'_>, side: Side) -> Culprit {
    let operation = match side {
        Side::Vault => "firewall closed, not in the log yet",
        Side::Policy => "access policy removed, not in the log yet",
        Side::Role => "role assignment removed, not in the log yet",
        Side::Deny => "deny assignment, not in the log yet",
        Side::Identity => "identity removed, not in the log yet",
        Side::VaultDeleted => "vault deleted, not in the log yet",
        Side::Lock | Side::KeyDisabled | Side::KeyDeleted => "seen now",
    };
    nobody(case.now, operation, case.vault_name().to_owned())
}

fn nobody(at: Timestamp, operation: &str, target: String) -> Culprit {
    Culprit {
        who: None,
        ids: Vec::new(),
        kind: CallerKind::Unknown,
        at,
        operation: operation.to_owned(),
        target,
        correlation_id: None,
    }
}
