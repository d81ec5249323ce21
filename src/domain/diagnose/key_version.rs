//! What can be wrong with a key version, by its attributes.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnose::case::Case;
use crate::domain::diagnose::key_problem::{Problem, in_words};
use crate::domain::diagnosis::Cause;
use crate::domain::evidence::KeyVersion;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::words::utc;

/// What keeps SQL from using a key version.
pub(super) fn problems(case: &Case<'_>, uri: &KeyUri, version: &KeyVersion) -> Vec<Problem> {
    let exact = KeyUri { version: Some(version.version.to_ascii_lowercase()), ..uri.clone() };
    let name = in_words(&exact);
    let mut problems = Vec::new();
    let mut add_problem = |cause, said: String, change, since| {
        problems.push(Problem {
            cause,
            said,
            probe: "key",
            resource: exact.to_string(),
            change,
            since,
            purge_at: None,
        });
    };
    if !version.enabled {
        let change = Change::EnableKey { key: exact.clone() };
        let since = version.updated.map(|at| format!(" (last changed at {})", utc(at))).unwrap_or_default();
        add_problem(Cause::KeyDisabled, format!("{name} is disabled{since}"), Some(change), version.updated);
    }
    if let Some(expires) = version.expires.filter(|at| *at <= case.now) {
        let to = extension(case);
        let change = to.map(|to| Change::ExtendExpiry { key: exact.clone(), from: Some(expires), to });
        add_problem(Cause::KeyExpired, format!("{name} expired at {expires}"), change, Some(expires));
    }
    if let Some(from) = version.not_before.filter(|at| *at > case.now) {
        add_problem(Cause::KeyNotYetValid, format!("{name} is not valid before {from}"), None, None);
    }
    let lacks = |operation: &str| !version.operations.iter().any(|allowed| allowed.eq_ignore_ascii_case(operation));
    let lacking: Vec<&str> = ["wrapKey", "unwrapKey"].into_iter().filter(|operation| lacks(operation)).collect();
    if !version.operations.is_empty() && !lacking.is_empty() {
        let said = format!("{name} may not be used to {}", lacking.join(" and "));
        add_problem(Cause::KeyOperationsRestricted, said, None, version.updated);
    }
    if let Some(why) = unsupported(version) {
        add_problem(Cause::KeyUnsupported, format!("{name} is {why}, which Azure SQL does not take"), None, None);
    }
    problems
}

/// SQL takes RSA of 2048 or 3072 bits (and, in preview, AES): Microsoft, "TDE with customer-managed key".
fn unsupported(version: &KeyVersion) -> Option<String> {
    let kind = version.kind.as_deref()?;
    let upper = kind.to_ascii_uppercase();
    match upper.as_str() {
        "RSA" | "RSA-HSM" => match version.size {
            None | Some(2048 | 3072) => None,
            Some(bits) => Some(format!("an {kind} key of {bits} bits")),
        },
        "OCT" | "OCT-HSM" => None,
        _ => Some(format!("of kind {kind}")),
    }
}

/// The new expiry: the same for the whole incident, in whole seconds, and in the future; else none.
pub(super) fn extension(case: &Case<'_>) -> Option<Timestamp> {
    let days = case.policy.gates.max_expiry_extension_days;
    if days == 0 {
        return None;
    }
    let to = add(case.incident.opened_at, SignedDuration::from_hours(24 * i64::from(days)));
    let to = Timestamp::from_second(to.as_second()).ok()?;
    (to > case.now).then_some(to)
}
