//! Older keys that are still linked to a server. SQL may need one for a part of its log or data that was written under
//! it, so a healthy protector is not enough; but old keys are also retired on purpose. They are blamed only where
//! everything else is right and databases are down all the same.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnose::case::{Case, ServerCase};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::geo;
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnose::key::{KeyState, report, state};
use crate::domain::diagnose::key_problem::in_words;
use crate::domain::diagnose::permission::{RoleRights, assign_role, role_rights};
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::LinkedKey;
use crate::domain::incident::AttemptOutcome;
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::{Change, Remedy};

/// How long a re-validation is given before its outcome is judged by the databases.
const REVALIDATION: SignedDuration = SignedDuration::from_mins(20);
/// An old key's state explains a loss only if it began this shortly before.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Looks at older linked keys of every server whose chain is right so far.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for server in &servers {
        if !draft.is_whole(server.id()) {
            continue;
        }
        let Some(uri) = server.protector_key() else { continue };
        let down = !geo::down(case, server).is_empty();
        let blame = down && !explained(case, server);
        let mut elsewhere = 0;
        for (key, link) in older(server, uri) {
            if key.vault == uri.vault {
                one(case, server, key, link, down, blame, draft);
            } else {
                elsewhere += 1;
            }
        }
        if down && elsewhere > 0 {
            draft.unknown(format!(
                "{} has {elsewhere} older key(s) in other vaults, which were not looked at",
                server.name()
            ));
        }
    }
}

fn older<'a>(server: &ServerCase<'a>, protector: &KeyUri) -> Vec<(&'a KeyUri, &'a LinkedKey)> {
    let linked = server.seen.linked_keys.known().map(Vec::as_slice).unwrap_or_default();
    let mut keys: Vec<_> = linked
        .iter()
        .filter_map(|link| link.uri.as_ref().map(|uri| (uri, link)))
        .filter(|(uri, _)| !(uri.same_key(protector) && (uri.version == protector.version || uri.version.is_none())))
        .collect();
    keys.sort_by_key(|(uri, _)| uri.to_string().to_lowercase());
    keys
}

fn one(
    case: &Case<'_>,
    server: &ServerCase<'_>,
    key: &KeyUri,
    link: &LinkedKey,
    down: bool,
    blame: bool,
    draft: &mut Draft,
) {
    let id = [server.id().clone()];
    match state(case, key, Some(link)) {
        KeyState::Right => permission(case, server, key, blame, draft),
        KeyState::Unread(said, right) => {
            if down {
                if let Some(right) = &right {
                    draft.right(right);
                }
                draft.unread(Link::Key, &id, format!("older {said}"));
            }
        }
        KeyState::Wrong(problems) => {
            for mut problem in problems {
                if blame {
                    problem.said =
                        format!("{} (an older key of {}, which may still be needed)", problem.said, server.name());
                    problem.since = problem.since.filter(|at| is_near(case, *at));
                    report(problem, key, &id, draft);
                } else {
                    let so_far = if down { "not blamed yet" } else { "its databases are in service without it" };
                    draft.unknown(format!("{}, an older key of {}: {so_far}", problem.said, server.name()));
                }
            }
        }
    }
}

/// An RBAC vault may give one key and not the other.
fn permission(case: &Case<'_>, server: &ServerCase<'_>, key: &KeyUri, blame: bool, draft: &mut Draft) {
    let (Some(vault), Some(seen), Some(identity)) = (case.vault(), case.vault_evidence(), case.identity(server)) else {
        return;
    };
    let blame = blame || began_granting(case, server);
    let Some(grants) = seen.grants.known().filter(|_| vault.rbac && blame) else { return };
    if let RoleRights::Missing(missing) = role_rights(vault, grants, &identity.principal_id, &key.key) {
        let said = format!(
            "{} has no role that gives it {} on its older {}",
            server.name(),
            missing.join(", "),
            in_words(key)
        );
        let finding = Finding {
            cause: Cause::RoleMissing,
            resource: vault.id.to_string(),
            servers: vec![server.id().clone()],
            proof: vec![proof("role assignments", &said)],
            changes: vec![assign_role(vault, server, &identity.principal_id, &key.key, &missing)],
            purge_at: None,
            since: None,
        };
        draft.broken(Link::Permission, "", said, finding);
    }
}

/// Whether roles were assigned for this server in this incident: then its older keys were to be granted too, and what
/// is left of that is carried on with.
fn began_granting(case: &Case<'_>, server: &ServerCase<'_>) -> bool {
    case.incident
        .attempts
        .iter()
        .any(|attempt| matches!(&attempt.change, Change::AssignRole { grant, .. } if grant.server == *server.id()))
}

fn is_near(case: &Case<'_>, at: Timestamp) -> bool {
    at >= add(case.incident.opened_at, -NEAR)
}

/// Whether the loss already has its explanation: something was mended, and no re-validation since then has shown that
/// this was not enough.
fn explained(case: &Case<'_>, server: &ServerCase<'_>) -> bool {
    let mends = case.incident.made().filter(|attempt| attempt.change.remedy() != Remedy::Revalidate);
    let Some(mended) = mends.filter_map(|attempt| made_at(attempt.outcome.as_ref())).max() else { return false };
    let revalidated = case.incident.attempts.iter().any(|attempt| {
        matches!(&attempt.change, Change::Revalidate { server: of } if of == server.id())
            && attempt.intended_at >= mended
            && ended_at(attempt.outcome.as_ref()).is_some_and(|at| add(at, REVALIDATION) <= case.now)
    });
    !revalidated
}

const fn made_at(outcome: Option<&AttemptOutcome>) -> Option<Timestamp> {
    match outcome {
        Some(AttemptOutcome::Made { at }) => Some(*at),
        _ => None,
    }
}

const fn ended_at(outcome: Option<&AttemptOutcome>) -> Option<Timestamp> {
    match outcome {
        Some(AttemptOutcome::Made { at } | AttemptOutcome::Failed { at, .. }) => Some(*at),
        _ => None,
    }
}
