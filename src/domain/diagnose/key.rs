//! Fourth link: the key version that each protector uses.

use crate::domain::diagnose::case::{Case, ServerCase};
use crate::domain::diagnose::draft::{Draft, why};
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnose::key_problem::{Problem, in_words};
use crate::domain::diagnose::key_version;
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{DeletedKey, Fact, KeyEvidence, LinkedKey, MissingRight};
use crate::domain::key_uri::KeyUri;
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;
use crate::domain::words::utc;

/// How one key is.
#[derive(Debug)]
pub(super) enum KeyState {
    Right,
    Wrong(Vec<Problem>),
    /// It could not be told: why, and the right that is missing.
    Unread(String, Option<MissingRight>),
}

/// Looks at every protector's key, and at whether it is linked to its server.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let servers: Vec<ServerCase<'_>> = case.dependents().copied().collect();
    for server in &servers {
        let Some(uri) = server.protector_key() else { continue };
        let id = [server.id().clone()];
        match state(case, uri, linked(server, uri)) {
            KeyState::Right => draft.ok(Link::Key, format!("{} is enabled and valid", in_words(uri))),
            KeyState::Unread(said, right) => {
                if let Some(right) = &right {
                    draft.right(right);
                }
                draft.unread(Link::Key, &id, said);
            }
            KeyState::Wrong(problems) => {
                for problem in problems {
                    if problem.cause == Cause::KeyDisabled && case.key(uri).is_some_and(|seen| seen.versions.is_empty())
                    {
                        let key = in_words(&uri.versionless());
                        draft.unknown(format!(
                            "the versions of {key} are not known, nor whether a newer one was just made"
                        ));
                    }
                    report(problem, uri, &dependents_or_unread(case, uri), draft);
                }
            }
        }
        link(server, uri, draft);
    }
}

/// Every server whose protector is this very key and version, and those whose protector is not known.
fn dependents_or_unread(case: &Case<'_>, uri: &KeyUri) -> Vec<ResourceId> {
    let affected = case.affected();
    let elsewhere = |id: &ResourceId| {
        case.servers.iter().any(|server| {
            server.id() == id
                && server.protector_key().is_some_and(|key| !(key.same_key(uri) && key.version == uri.version))
        })
    };
    affected.into_iter().filter(|id| !elsewhere(id)).collect()
}

/// Writes a problem into the diagnosis.
pub(super) fn report(problem: Problem, uri: &KeyUri, servers: &[ResourceId], draft: &mut Draft) {
    let finding = Finding {
        cause: problem.cause,
        resource: problem.resource,
        servers: servers.to_vec(),
        proof: vec![proof(problem.probe, problem.said.clone())],
        changes: problem.change.into_iter().collect(),
        purge_at: problem.purge_at,
        since: problem.since,
    };
    draft.broken(Link::Key, &uri.key, problem.said, finding);
}

/// Row 17: the protector's key is not in the server's list of keys any more.
fn link(server: &ServerCase<'_>, uri: &KeyUri, draft: &mut Draft) {
    let id = [server.id().clone()];
    match &server.seen.linked_keys {
        Fact::Known(keys) => {
            let named = |key: &LinkedKey| match &key.uri {
                Some(linked) => {
                    linked.same_key(uri)
                        && (linked.version == uri.version || linked.version.is_none() || uri.version.is_none())
                }
                None => key.name.to_lowercase().starts_with(&server_key_name(uri)),
            };
            if !keys.iter().any(named) {
                let said = format!("{} is not linked to {} any more", in_words(uri), server.name());
                let finding = Finding {
                    cause: Cause::ServerKeyMissing,
                    resource: server.id().to_string(),
                    servers: id.to_vec(),
                    proof: vec![proof("linked keys", &said)],
                    changes: Vec::new(),
                    purge_at: None,
                    since: None,
                };
                draft.broken(Link::Key, "", said, finding);
            }
        }
        fact => {
            let why = draft.why(fact, &format!("the keys linked to {}", server.name()));
            draft.unread(Link::Key, &id, why);
        }
    }
}

/// `{vault}_{key}`, with `_{version}` if there is one: how Azure names a key on a server.
fn server_key_name(uri: &KeyUri) -> String {
    let version = uri.version.as_ref().map(|version| format!("_{version}")).unwrap_or_default();
    format!("{}_{}{version}", uri.vault.vault_name(), uri.key).to_lowercase()
}

/// The server's own record of the link to `uri`.
pub(super) fn linked<'a>(server: &ServerCase<'a>, uri: &KeyUri) -> Option<&'a LinkedKey> {
    let keys = server.seen.linked_keys.known()?;
    let of = |key: &&LinkedKey| key.uri.as_ref().is_some_and(|u| u.same_key(uri) && u.version == uri.version);
    keys.iter().find(of)
}

/// How the key of `uri` is; `link` is the server's record of it, which tells when it was linked.
pub(super) fn state(case: &Case<'_>, uri: &KeyUri, link: Option<&LinkedKey>) -> KeyState {
    let name = in_words(uri);
    let Some(seen) = case.key(uri) else { return KeyState::Unread(format!("{name} was not looked at"), None) };
    let gone = seen.exists.is_absent() || seen.exists.known() == Some(&false);
    match &seen.version {
        Fact::Known(version) => {
            let problems = key_version::problems(case, uri, version);
            if problems.is_empty() { KeyState::Right } else { KeyState::Wrong(problems) }
        }
        // Without the vault itself, an absent key may only mean an absent vault.
        _ if case.vault().is_none() => unread(&seen.version, &name),
        _ if gone => deleted_or_purged(seen, uri),
        Fact::Absent => replaced(seen, uri, link),
        fact => unread(fact, &name),
    }
}

fn unread<T>(fact: &Fact<T>, name: &str) -> KeyState {
    let right = if let Fact::Denied(right) = fact { Some(right.clone()) } else { None };
    KeyState::Unread(why(fact, name), right)
}

fn deleted_or_purged(seen: &KeyEvidence, uri: &KeyUri) -> KeyState {
    let key = uri.versionless();
    let name = in_words(&key);
    let problem = |cause, said: String, change, deleted: Option<&DeletedKey>| {
        KeyState::Wrong(vec![Problem {
            cause,
            said,
            probe: "deleted keys",
            resource: key.to_string(),
            change,
            since: deleted.and_then(|deleted| deleted.deleted_at),
            purge_at: deleted.and_then(|deleted| deleted.purge_at),
        }])
    };
    match &seen.deleted {
        Fact::Known(deleted) => {
            let since = deleted.deleted_at.map(|at| format!(" since {}", utc(at))).unwrap_or_default();
            let change = Change::RecoverKey { key: key.clone() };
            problem(Cause::KeyDeleted, format!("{name} is deleted{since}"), Some(change), Some(deleted))
        }
        Fact::Absent => {
            let said = format!("{name} is neither in the vault nor among its deleted keys");
            problem(Cause::KeyPurged, said, None, None)
        }
        fact => {
            let said = format!("{name} is not in the vault, and {}", why(fact, "whether it can be recovered"));
            let right = if let Fact::Denied(right) = fact { Some(right.clone()) } else { None };
            KeyState::Unread(said, right)
        }
    }
}

/// The key is there and the version is not. A single version cannot be deleted, so another key of that name took its
/// place; unless one of its versions is older than the link, when something else is wrong.
fn replaced(seen: &KeyEvidence, uri: &KeyUri, link: Option<&LinkedKey>) -> KeyState {
    let name = in_words(uri);
    let has = |version: &String| seen.versions.iter().any(|(id, _)| id.eq_ignore_ascii_case(version));
    if seen.exists.known() != Some(&true) {
        let missing = format!("{name} is not in the vault, and {}", why(&seen.exists, "the key's other versions"));
        return match unread(&seen.exists, &name) {
            KeyState::Unread(_, right) => KeyState::Unread(missing, right),
            other => other,
        };
    }
    if seen.versions.is_empty() || uri.version.as_ref().is_some_and(has) {
        return KeyState::Unread(format!("{name} was not found, and the key's versions do not tell why"), None);
    }
    let oldest = seen.versions.iter().filter_map(|(_, created)| *created).min();
    if let (Some(oldest), Some(linked)) = (oldest, link.and_then(|link| link.created))
        && oldest <= linked
    {
        return KeyState::Unread(
            format!("{name} was not found, though the key is older than its link to the server"),
            None,
        );
    }
    let said = format!(
        "{name} is not among the {} version(s) of that key{}: another key stands under its name",
        seen.versions.len(),
        oldest.map(|at| format!(", the oldest of which was made at {}", utc(at))).unwrap_or_default(),
    );
    KeyState::Wrong(vec![Problem {
        cause: Cause::KeyReplaced,
        said,
        probe: "key versions",
        resource: uri.to_string(),
        change: None,
        since: oldest,
        purge_at: None,
    }])
}
