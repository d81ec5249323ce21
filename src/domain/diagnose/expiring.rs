//! A key that expires within the hours that policy names: the one fault that is known before it happens. It is found only
//! where nothing is lost, since whatever is broken already comes first.

use crate::domain::diagnose::case::Case;
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::key::report;
use crate::domain::diagnose::key_problem::{Problem, in_words};
use crate::domain::diagnose::key_version::extension;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::{KeyEvidence, KeyVersion};
use crate::domain::expiry::is_within;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;
use crate::domain::words::utc;

/// Looks at the key of every protector, where nothing was seen to be wrong. What could not be read does not hide a date; it
/// stands in the way of a repair as it always does.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let Some(ahead) = case.policy.extends_ahead() else { return };
    let harmless = |cause| matches!(cause, Cause::Undetermined | Cause::DeadSecondary | Cause::OtherReason);
    if !draft.has_only(harmless) || is_of_a_loss(case) {
        return;
    }
    let servers: Vec<(ResourceId, KeyUri)> = case
        .dependents()
        .filter(|server| server.down().is_empty())
        .filter_map(|server| Some((server.id().clone(), server.protector_key()?.clone())))
        .collect();
    for (server, uri) in servers {
        let Some(seen) = case.key(&uri) else { continue };
        let Some(version) = seen.version.known() else { continue };
        let Some(expires) = version.expires.filter(|at| is_within(*at, case.now, ahead)) else { continue };
        let Some(to) = extension(case).filter(|to| *to > expires) else { continue };
        if is_rotated(seen, version) {
            continue;
        }
        let exact = KeyUri { version: Some(version.version.to_ascii_lowercase()), ..uri.clone() };
        let problem = Problem {
            cause: Cause::KeyExpiring,
            said: format!("{} expires at {}", in_words(&exact), utc(expires)),
            probe: "key",
            resource: exact.to_string(),
            change: Some(Change::ExtendExpiry { key: exact, from: Some(expires), to }),
            since: Some(expires),
            purge_at: None,
        };
        report(problem, &uri, &[server], draft);
    }
}

/// A loss is seen through to its end first; what expires soon is an incident of its own afterwards.
fn is_of_a_loss(case: &Case<'_>) -> bool {
    let incident = case.incident;
    let down = incident.members.values().any(|member| member.was_down);
    let of_another = match incident.broken.as_ref().map(Diagnosis::cause) {
        Some(Cause::KeyExpiring) => false,
        Some(_) => true,
        None => incident.loss_reported,
    };
    down || of_another
}

/// Whether a newer version was made: then this one is being left behind, and its date is right.
fn is_rotated(seen: &KeyEvidence, version: &KeyVersion) -> bool {
    seen.versions.iter().any(|(id, created)| {
        !id.eq_ignore_ascii_case(&version.version)
            && created.is_some_and(|created| version.created.is_none_or(|ours| created > ours))
    })
}
