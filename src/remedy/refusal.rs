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
    const BUSY_CODES: [&str; 10] = [
        "OperationInterrupted",
        "ConflictingSubscriptionOperation",
        "ConflictingManagedInstanceOperation",
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
    if any(&BUSY_CODES) || ends("inprogress") || ends("busy") {
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
    if is("microsoft.sql/servers/encryptionprotector/revalidate/action") {
        "The role in 02-responder-revalidate.json gives it"
    } else if is("microsoft.sql/servers/write") || action.contains("userassignedidentities/") {
        "The role in 03-responder-identity.json gives it"
    } else if is("microsoft.keyvault/vaults/accesspolicies/write") {
        "The role in 04-responder-accesspolicy.json gives it"
    } else if is("microsoft.keyvault/vaults/write") {
        "The role in 05-responder-vault-network-and-recover.json, assigned on the resource group, gives it"
    } else if is("microsoft.authorization/roleassignments/write") {
        "The role in 07-responder-rbac-grant.json, assigned with the condition in 07-condition.txt, gives it"
    } else if action.starts_with("microsoft.keyvault/vaults/keys/") && action.ends_with("/action")
        || is("microsoft.keyvault/vaults/keys/read")
    {
        "The role in 06-responder-key-dataplane.json gives it in a vault with Azure RBAC; in a vault with access policies \
         the key permissions Get, List, Update and Recover do"
    } else if action.starts_with("keys ") {
        "Give Keymend's identity the key permissions Get, List, Update and Recover in the vault's access policies"
    } else if action.ends_with("/read") {
        "The role in 01-responder-probe.json gives it"
    } else {
        "Give Keymend's identity a role with it"
    }
}
