//! Who made the breaking change, as far as the logs tell.

use crate::domain::diagnose::case::Case;
use crate::domain::diagnose::draft::Draft;
use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::dependent::as_of_a_server;
use crate::domain::diagnosis::{Cause, Culprit, Finding};
use crate::domain::evidence::{Change, Fact};
use crate::domain::remedy::Remedy;
use crate::domain::resource_id::ResourceId;

/// How long a vault's deletion explains missing roles if we did not recover the vault.
const RECENT: SignedDuration = SignedDuration::from_hours(2);

const VAULT_WRITE: &str = "microsoft.keyvault/vaults/write";
const VAULT_DELETE: &str = "microsoft.keyvault/vaults/delete";
const POLICY_WRITE: &str = "microsoft.keyvault/vaults/accesspolicies/write";
const KEY_WRITE: &str = "microsoft.keyvault/vaults/keys/write";
const ROLE_DELETE: &str = "microsoft.authorization/roleassignments/delete";
const DENY_WRITE: &str = "microsoft.authorization/denyassignments/write";
const SERVER_WRITE: &str = "microsoft.sql/servers/write";
const SERVER_DELETE: &str = "microsoft.sql/servers/delete";
const IDENTITY_DELETE: &str = "microsoft.managedidentity/userassignedidentities/delete";

/// Where a change must have been made to explain a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the vault or below it.
    Vault,
    /// On the vault, below it, or on a scope above it, as rights are inherited.
    VaultScope,
    /// On one of the finding's servers or below it.
    Server,
    /// On the finding's own resource.
    Resource,
    /// On any resource that has the vault's name: it may have no id any more.
    VaultName,
}

/// The operations that can have led to a cause. Key Vault's own operations on keys are in no Activity Log.
const fn operations(cause: Cause) -> &'static [(&'static str, Place)] {
    match cause {
        Cause::TargetGone => {
            &[(SERVER_DELETE, Place::Server), ("microsoft.sql/servers/databases/delete", Place::Server)]
        }
        Cause::ServiceManaged => &[("microsoft.sql/servers/encryptionprotector/write", Place::Server)],
        Cause::CrossTenant => &[(SERVER_WRITE, Place::Server)],
        Cause::IdentityMissing => &[(SERVER_WRITE, Place::Server)],
        Cause::IdentityDeleted => &[(IDENTITY_DELETE, Place::Resource), (SERVER_WRITE, Place::Server)],
        Cause::VaultDeleted => &[(VAULT_DELETE, Place::Vault)],
        Cause::VaultAbsent => &[
            (VAULT_DELETE, Place::VaultName),
            ("microsoft.keyvault/locations/deletedvaults/purge/action", Place::VaultName),
        ],
        Cause::VaultFirewalled | Cause::VaultPerimeter | Cause::PermissionModelSwitched => {
            &[(VAULT_WRITE, Place::Vault)]
        }
        Cause::PrivateEndpointPending => &[
            ("microsoft.keyvault/vaults/privateendpointconnections/write", Place::Vault),
            ("microsoft.keyvault/vaults/privateendpointconnections/delete", Place::Vault),
            (VAULT_WRITE, Place::Vault),
        ],
        Cause::KeyReplaced => &[(KEY_WRITE, Place::Vault)],
        Cause::DenyAssignment => &[(DENY_WRITE, Place::VaultScope)],
        Cause::PolicyMissing => &[(POLICY_WRITE, Place::Vault), (VAULT_WRITE, Place::Vault)],
        // A vault that was deleted and recovered has lost the roles that were assigned on it.
        Cause::RoleMissing => &[(ROLE_DELETE, Place::VaultScope), (VAULT_DELETE, Place::Vault)],
        Cause::GeoPartnerWithoutGrant => &[
            (ROLE_DELETE, Place::VaultScope),
            (POLICY_WRITE, Place::Vault),
            (VAULT_WRITE, Place::Vault),
            (VAULT_DELETE, Place::Vault),
        ],
        Cause::ServerKeyMissing => &[
            ("microsoft.sql/servers/keys/delete", Place::Server),
            ("microsoft.sql/servers/encryptionprotector/write", Place::Server),
        ],
        _ => &[],
    }
}

/// Whether `operation` is one that can have led to `cause`.
pub(in crate::domain) fn can_lead_to(operation: &str, cause: Cause) -> bool {
    let operation = as_of_a_server(operation);
    operations(cause).iter().any(|(known, _)| *known == operation)
}

/// Whether the Activity Log shows who led to `cause`, once it has it.
pub(in crate::domain) const fn is_logged(cause: Cause) -> bool {
    !operations(cause).is_empty() && !is_on_the_key(cause)
}

/// Whether the Activity Log never shows who led to `cause`, because it is an operation on the key itself.
const fn is_on_the_key(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::KeyDeleted | Cause::KeyPurged | Cause::KeyReplaced | Cause::KeyDisabled | Cause::KeyOperationsRestricted
    )
}

/// The newest change, of the nearest scope, that explains a finding and was not made by us.
pub(super) fn find(case: &Case<'_>, finding: &Finding) -> Option<Culprit> {
    let deleted = vault_deletion(case, finding);
    let explaining = case.changes.iter().filter_map(|change| Some((nearness(case, finding, change)?, *change))).filter(
        |(_, change)| {
            let deletes = change.operation.eq_ignore_ascii_case(VAULT_DELETE);
            deleted.map_or(!deletes, |deleted| change.at >= deleted)
        },
    );
    // The first of the greatest: changes are sorted newest first, and `max_by_key` would take the last.
    let best = explaining.fold(None, |best: Option<(u8, &Change)>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    });
    best.map(|(_, change)| culprit(change))
}

/// When the vault was last deleted, if that explains the finding. Roles that were removed before a deletion would have
/// been lost with it; a deletion that we did not undo and that is long past has been made good by somebody.
fn vault_deletion(case: &Case<'_>, finding: &Finding) -> Option<Timestamp> {
    let newest = case.changes.iter().filter(|change| {
        change.operation.eq_ignore_ascii_case(VAULT_DELETE) && nearness(case, finding, change).is_some()
    });
    let at = newest.map(|change| change.at).max()?;
    let undone = case.incident.attempts.iter().any(|attempt| attempt.change.remedy() == Remedy::RecoverVault);
    (finding.cause != Cause::RoleMissing || undone || add(at, RECENT) >= case.now).then_some(at)
}

/// As [`find`]; where nobody is found, the draft says why.
pub(super) fn name(case: &Case<'_>, finding: &Finding, draft: &mut Draft) -> Option<Culprit> {
    let found = find(case, finding);
    if found.is_some() {
        if found.as_ref().is_some_and(|culprit| culprit.operation.eq_ignore_ascii_case(ROLE_DELETE)) {
            draft.unknown("the Activity Log does not say whose role was removed, only that one was");
        }
        return found;
    }
    if is_on_the_key(finding.cause) {
        draft.unknown("key changes are not in the Activity Log: nobody could be named");
    } else if !operations(finding.cause).is_empty() {
        match &case.evidence.changes_read {
            Fact::Known(()) => draft.unknown(
                "the Activity Log does not show who did it: it lags 3 to 20 minutes behind, and an older change \
                 may be past its search",
            ),
            fact => {
                let why = draft.why(fact, "the Activity Log");
                draft.unknown(format!("{why}; nobody could be named"));
            }
        }
    }
    None
}

pub(super) fn culprit(change: &Change) -> Culprit {
    let mut ids = change.caller_ids.clone();
    if let Some(caller) = &change.caller
        && !ids.iter().any(|id| id.eq_ignore_ascii_case(caller))
    {
        ids.insert(0, caller.clone());
    }
    Culprit {
        who: change.caller.clone(),
        ids,
        kind: change.caller_kind,
        at: change.at,
        operation: change.operation.clone(),
        target: change.target.clone(),
        correlation_id: change.correlation_id.clone(),
    }
}

/// How near to the broken resource a change was made, if it can explain the finding at all.
fn nearness(case: &Case<'_>, finding: &Finding, change: &Change) -> Option<u8> {
    if change.at > case.now {
        return None;
    }
    let operation = as_of_a_server(&change.operation);
    let places = operations(finding.cause).iter().filter(|(known, _)| *known == operation);
    places.filter_map(|(_, place)| nearness_at(case, finding, change, *place)).max()
}

fn nearness_at(case: &Case<'_>, finding: &Finding, change: &Change, place: Place) -> Option<u8> {
    let target = change.target.to_lowercase();
    let near = |yes: bool| yes.then_some(3);
    match place {
        Place::Vault => near(case.vault_id().is_some_and(|vault| at_or_below(&target, vault))),
        Place::VaultScope => vault_scope(&target, case.vault_id()?),
        Place::Server => near(finding.servers.iter().any(|server| at_or_below(&target, server))),
        Place::Resource => near(target == finding.resource.to_lowercase()),
        Place::VaultName => near(target.split('/').any(|part| part.eq_ignore_ascii_case(case.vault_name()))),
    }
}

pub(super) fn at_or_below(target: &str, id: &ResourceId) -> bool {
    target.strip_prefix(id.key()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A role or deny assignment made on the vault or below it is nearest, then one on a scope above it.
pub(super) fn vault_scope(target: &str, vault: &ResourceId) -> Option<u8> {
    let scope = target.rfind("/providers/microsoft.authorization/").map_or(target, |at| &target[..at]);
    if at_or_below(scope, vault) {
        return Some(3);
    }
    if scope.is_empty() || scope.starts_with("/providers/microsoft.management/") {
        return Some(1);
    }
    let above = vault.key().strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
    above.then_some(2)
}
