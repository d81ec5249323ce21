//! What an error of Azure's means for a change, in words that say what to do.

use jiff::SignedDuration;

use crate::azure::AzureError;
use crate::remedy::Applied;
use crate::remedy::outcome::{Outcome, differs};

/// The code of every failure for want of a right, whichever way Azure put it.
const NO_RIGHT: &str = "AuthorizationFailed";

/// When to try again what Azure is busy with.
const BUSY: SignedDuration = SignedDuration::from_secs(30);
/// When to try again what has yet to take effect, or what the vault's network stands in the way of.
const NOT_YET: SignedDuration = SignedDuration::from_secs(60);

/// What it means that a precondition could not be read. Nothing was sent.
pub(super) fn unread(error: &AzureError) -> Outcome {
    match error {
        AzureError::NotFound { what, .. } => differs(format!("it is no longer there ({what})")),
        AzureError::BadAnswer { .. } | AzureError::Credential(_) | AzureError::OutcomeUnknown { .. } => {
            Outcome::stopping(Applied::Later { after: Some(NOT_YET), why: format!("nothing was sent: {error}") })
        }
        _ => refused(error),
    }
}

/// What a refused request means.
pub(super) fn refused(error: &AzureError) -> Outcome {
    match error {
        AzureError::Forbidden { .. } if error.is_vault_firewall() => Outcome::stopping(Applied::Failed {
            code: error.inner_code().unwrap_or("ForbiddenByFirewall").to_owned(),
            why: format!(
                "the vault's firewall keeps Keymend itself out ({error}). Let Keymend reach the vault (private endpoint, \
                 virtual network or address rule), or make this change from a place that does"
            ),
            missing: None,
        }),
        // Key Vault's 403 for a key that is disabled is no matter of rights.
        AzureError::Forbidden { .. } if error.is("KeyDisabled") => failed("KeyDisabled", error.to_string()),
        AzureError::Forbidden { action, scope, .. } => Outcome::stopping(Applied::Failed {
            code: NO_RIGHT.to_owned(),
            why: format!("Keymend lacks {action} on {scope}. {}; or make this change by hand", who_gives(action)),
            missing: error.missing_right(),
        }),
        AzureError::Throttled { retry_after, .. } => {
            Outcome::stopping(Applied::Later { after: Some(*retry_after), why: error.to_string() })
        }
        AzureError::Unreachable { .. } | AzureError::Credential(_) => {
            Outcome::stopping(Applied::Later { after: None, why: error.to_string() })
        }
        AzureError::OutcomeUnknown { .. } => Outcome::stopping(Applied::Unknown { why: error.to_string() }),
        AzureError::NotFound { code, .. } => failed(code, format!("{error}: it, or what it lies in, is gone")),
        AzureError::BadAnswer { .. } => failed("UnusableAnswer", error.to_string()),
        AzureError::NotThisCloud(_) => failed("NotThisCloud", error.to_string()),
        AzureError::Refused { code, .. } => judged(error, code),
    }
}

fn failed(code: &str, why: String) -> Outcome {
    Outcome::of(Applied::Failed { code: code.to_owned(), why, missing: None })
}

/// A refusal by its code. Codes of SQL: error catalogue of the TDE operations; of locks: "lock your resources".
fn judged(error: &AzureError, code: &str) -> Outcome {
    if let Some((after, why)) = passing(error) {
        return Outcome::of(Applied::Later { after: Some(after), why: format!("{why} ({error})") });
    }
    if error.is("ScopeLocked") {
        let why = format!(
            "a management lock stands in the way ({error}). Keymend never lifts a lock: ask its owner to lift it or to \
             make this change"
        );
        return Outcome { stops: true, ..failed("ScopeLocked", why) };
    }
    if error.is("ManagedInstanceStoppingOrStopped") || error.is("ManagedInstanceStopped") {
        return failed(
            "ManagedInstanceStoppingOrStopped",
            format!("the instance is stopped ({error}): start it first"),
        );
    }
    if error.is("DenyAssignmentAuthorizationFailed") {
        let why = format!("a deny assignment stands in the way ({error}): ask its owner");
        return Outcome { stops: true, ..failed(code, why) };
    }
    if error.is("RequestDisallowedByPolicy") {
        let why = format!("an Azure Policy forbids this change ({error}): ask for an exemption or make it differently");
        return Outcome { stops: true, ..failed(code, why) };
    }
    let told = error.inner_code().filter(|inner| tells_more(code, inner)).unwrap_or(code);
    failed(told, error.to_string())
}

/// Whether the inner code is the one to go by.
fn tells_more(code: &str, inner: &str) -> bool {
    const VAGUE: [&str; 5] = ["Conflict", "ConflictError", "BadParameter", "BadRequest", "InvalidResourceOperation"];
    !inner.is_empty() && VAGUE.iter().any(|vague| vague.eq_ignore_ascii_case(code))
}

/// When and why to try again, if the refusal is of the kind that passes.
fn passing(error: &AzureError) -> Option<(SignedDuration, &'static str)> {
    const BUSY_CODES: [&str; 8] = [
        "OperationInterrupted",
        "ManagedInstanceStarting",
        "TooManyRequests",
        "SubscriptionTooManyRequests",
        "SubscriptionTooManyCreateUpdateRequests",
        "ObjectIsBeingRecovered",
        "ObjectIsBeingDeleted",
        "RetryableError",
    ];
    const BLOCKED: [&str; 2] = ["CMKOperationNotAllowed", "ManagedInstanceNoConditionToMakeDatabaseAccessible"];
    const CUT_OFF: [&str; 2] = ["AzureKeyVaultConnectionFailed", "AzureKeyVaultGenericConnectionError"];
    let any = |codes: &[&str]| codes.iter().any(|code| error.is(code));
    let ends = |ending: &str| {
        let codes = [error.code(), error.inner_code()].into_iter().flatten();
        codes.map(str::to_ascii_lowercase).any(|code| code.ends_with(ending))
    };
    let conflicting = error.code().is_some_and(|code| code.to_ascii_lowercase().starts_with("conflicting"));
    if any(&BUSY_CODES) || conflicting || ends("inprogress") || ends("busy") {
        return Some((BUSY, "Azure is busy with something else there"));
    }
    // A conflict that says no more than that.
    if error.inner_code().is_none() && (error.is("Conflict") || error.is("ConflictError")) {
        return Some((BUSY, "it met another change"));
    }
    if any(&BLOCKED) {
        return Some((
            NOT_YET,
            "SQL cannot use the key yet: the repair has not taken effect, or something else is wrong too",
        ));
    }
    any(&CUT_OFF).then_some((NOT_YET, "SQL cannot reach the key vault at the moment"))
}

/// Which role gives a right that is missing. The files are the custom roles that Keymend comes with.
fn who_gives(action: &str) -> &'static str {
    let action = action.to_ascii_lowercase();
    let is = |known: &str| action == known;
    if action.starts_with("microsoft.synapse/") && action.ends_with("/action") {
        "The role Contributor on the workspace gives it; no role that Keymend comes with does"
    } else if action.ends_with("/encryptionprotector/revalidate/action") {
        "The role in infra/roles/02-responder-revalidate.json gives it"
    } else if is("microsoft.sql/servers/databases/write")
        || is("microsoft.sql/servers/failovergroups/write")
        || action.contains("termretentionpolicies/")
    {
        "The role in infra/roles/08-responder-restore-settings.json gives it"
    } else if is("microsoft.sql/servers/write") || action.contains("userassignedidentities/") {
        "The role in infra/roles/03-responder-identity.json gives it"
    } else if is("microsoft.keyvault/vaults/accesspolicies/write") {
        "The role in infra/roles/04-responder-accesspolicy.json gives it"
    } else if is("microsoft.keyvault/vaults/write") {
        "The role in infra/roles/05-responder-vault-network-and-recover.json, assigned on the resource group, gives it"
    } else if is("microsoft.authorization/roleassignments/write") {
        "The role in infra/roles/07-responder-rbac-grant.json, assigned with the condition in infra/roles/07-condition.txt, gives it"
    } else if action.starts_with("microsoft.keyvault/vaults/keys/") && action.ends_with("/action")
        || is("microsoft.keyvault/vaults/keys/read")
    {
        "The role in infra/roles/06-responder-key-dataplane.json gives it in a vault with Azure RBAC; in a vault with access policies \
         the key permissions Get, List, Update and Recover do"
    } else if action.starts_with("keys ") {
        "Give Keymend's identity the key permissions Get, List, Update and Recover in the vault's access policies"
    } else if action.ends_with("/read") {
        "The role in infra/roles/01-responder-probe.json gives it"
    } else {
        "Give Keymend's identity a role with it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(status: u16, code: &str, inner: Option<&str>) -> AzureError {
        AzureError::Refused {
            what: "POST /x".to_owned(),
            status,
            code: code.to_owned(),
            message: "says Azure".to_owned(),
            inner_code: inner.map(str::to_owned),
            target: None,
        }
    }

    fn forbidden(action: &str, inner: Option<&str>) -> AzureError {
        AzureError::Forbidden {
            what: "PUT /x".to_owned(),
            action: action.to_owned(),
            scope: "/subscriptions/s/x".to_owned(),
            code: "Forbidden".to_owned(),
            inner_code: inner.map(str::to_owned),
        }
    }

    #[test]
    fn what_passes_is_tried_later_and_what_does_not_is_told_by_its_code() {
        for (status, code, inner) in [
            (409, "EncryptionProtectorChangeInProgress", None),
            (409, "UpsertLogicalServerRequestAlreadyInProgress", None),
            (409, "FailoverGroupBusy", None),
            (409, "ConflictingServerOperation", None),
            (429, "ConflictingSubscriptionOperation", None),
            (409, "Conflict", Some("ObjectIsBeingRecovered")),
            (409, "Conflict", Some("ObjectIsBeingDeleted")),
            (409, "ConflictError", None),
            (400, "CMKOperationNotAllowed", None),
            (503, "AzureKeyVaultConnectionFailed", None),
        ] {
            let outcome = refused(&refusal(status, code, inner));
            assert!(matches!(outcome.applied, Applied::Later { after: Some(_), .. }), "{code}: {outcome:?}");
            assert!(!outcome.stops, "{code} says nothing about other servers");
        }
        for (status, code, inner, told) in [
            (400, "AzureKeyVaultMissingPermissions", None, "AzureKeyVaultMissingPermissions"),
            (401, "AzureKeyVaultKeyDisabled", None, "AzureKeyVaultKeyDisabled"),
            (409, "AzureKeyVaultKeyNameNotFound", None, "AzureKeyVaultKeyNameNotFound"),
            (409, "Conflict", Some("ObjectIsDeletedButRecoverable"), "ObjectIsDeletedButRecoverable"),
            (409, "VaultAlreadyExists", None, "VaultAlreadyExists"),
        ] {
            let outcome = refused(&refusal(status, code, inner));
            let Applied::Failed { code, missing: None, .. } = outcome.applied else { panic!("{outcome:?}") };
            assert_eq!(code, told);
        }
    }

    #[test]
    fn a_closed_door_stops_the_batch() {
        for error in [
            refusal(409, "ScopeLocked", None),
            refusal(403, "DenyAssignmentAuthorizationFailed", None),
            refusal(403, "RequestDisallowedByPolicy", None),
            forbidden("Microsoft.Sql/servers/write", None),
            forbidden("keys update", Some("ForbiddenByPolicy")),
            forbidden("keys update", Some("ForbiddenByFirewall")),
            AzureError::Throttled { what: "GET /x".to_owned(), retry_after: SignedDuration::from_secs(90) },
            AzureError::Unreachable { what: "GET /x".to_owned(), why: "no connection".to_owned() },
        ] {
            assert!(refused(&error).stops, "{error}");
        }
    }

    #[test]
    fn a_missing_right_names_the_right_the_place_and_who_gives_it() {
        for (action, role) in [
            ("Microsoft.Sql/servers/read", "01-"),
            ("Microsoft.KeyVault/deletedVaults/read", "01-"),
            ("Microsoft.Sql/servers/encryptionProtector/revalidate/action", "02-"),
            ("Microsoft.Sql/servers/write", "03-"),
            ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "03-"),
            ("Microsoft.KeyVault/vaults/accessPolicies/write", "04-"),
            ("Microsoft.KeyVault/vaults/write", "05-"),
            ("Microsoft.KeyVault/vaults/keys/update/action", "06-"),
            ("Microsoft.KeyVault/vaults/keys/recover/action", "06-"),
            ("keys recover", "access policies"),
            ("Microsoft.Authorization/roleAssignments/write", "07-"),
        ] {
            let outcome = refused(&forbidden(action, None));
            let Applied::Failed { code, why, missing } = outcome.applied else { panic!("{outcome:?}") };
            assert_eq!(code, NO_RIGHT);
            assert!(why.contains(action) && why.contains("/subscriptions/s/x") && why.contains(role), "{why}");
            assert_eq!(missing.map(|right| right.action).as_deref(), Some(action));
        }
    }

    #[test]
    fn a_firewall_or_a_disabled_key_is_no_missing_right() {
        let outcome = refused(&forbidden("keys update", Some("ForbiddenByConnection")));
        let Applied::Failed { code, missing, .. } = outcome.applied else { panic!("{outcome:?}") };
        assert_eq!((code.as_str(), missing), ("ForbiddenByConnection", None));
        let outcome = refused(&forbidden("keys get", Some("KeyDisabled")));
        let Applied::Failed { code, missing, .. } = outcome.applied else { panic!("{outcome:?}") };
        assert_eq!((code.as_str(), missing), ("KeyDisabled", None));
    }

    proptest! {
        #[test]
        fn every_code_gets_an_answer(code in "\\PC{0,30}", inner in proptest::option::of("\\PC{0,30}"), status in 400u16..600) {
            let outcome = refused(&refusal(status, &code, inner.as_deref()));
            let told = matches!(outcome.applied, Applied::Failed { .. } | Applied::Later { .. });
            prop_assert!(told);
        }
    }
}
