//! Who may use the keys of a vault with role-based access control, and who is denied.
//!
//! One identity is asked for by itself, which also tells what it has through groups. For several, all assignments that
//! reach the vault are listed once; only where a group could matter is an identity asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::azure::authorization::{Role, RoleAssignment, built_in_role};
use crate::domain::evidence::{Denial, Fact, Grant, KeyRights};
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, NO_WAVE, failure, or_unasked, reason};
use crate::probe::{keys, vault};

/// Identities whose groups are looked into.
const MOST_LOOKUPS: usize = 5;

/// The object ids of the identities that the servers use, in lower case.
fn principals(board: &Board<'_>) -> BTreeSet<String> {
    let known = board.members().into_iter().filter_map(|server| board.servers.get(server)?.known());
    known.filter_map(|server| server.identity.effective()).map(|it| it.principal_id.to_ascii_lowercase()).collect()
}

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    let Some(id) = vault::present_id(board) else { return };
    if !board.question.health_only {
        asks.insert(Ask::Denials(id.clone()));
    }
    let principals = principals(board);
    if vault::rbac(board) != Some(true) || principals.is_empty() || !board.servers_are_in() {
        return;
    }
    let single = principals.first().filter(|_| principals.len() == 1);
    asks.insert(Ask::Assignments(id.clone(), single.cloned()));
    for principal in short_of_rights_but_for_groups(board, &principals) {
        asks.insert(Ask::Assignments(id.clone(), Some(principal)));
    }
    for (assignment, _) in relevant(board, &principals) {
        if built_in_role(&assignment.role()).is_none() {
            asks.insert(Ask::Role(id.clone(), assignment.role()));
        }
    }
}

/// Every assignment that was listed and reaches the keys, with the principal it was asked for.
fn listed<'b>(board: &'b Board<'_>) -> Vec<(&'b RoleAssignment, Option<&'b String>)> {
    let Some(vault) = vault::present_id(board) else { return Vec::new() };
    let keys = keys::names(board);
    let lists = board.assignments.iter().filter_map(|(asked, list)| Some((asked, list.known()?)));
    let all = lists.flat_map(|(asked, list)| list.iter().map(move |assignment| (assignment, asked.as_ref())));
    all.filter(|(assignment, _)| reaches(&assignment.scope, &vault, keys.as_ref())).collect()
}

/// Whether an assignment's scope holds the vault or one of the keys (any key, while it is not known which are needed).
/// Lists also show those on secrets and other keys.
fn reaches(scope: &str, vault: &ResourceId, keys: Option<&BTreeSet<String>>) -> bool {
    let Ok(id) = ResourceId::parse(scope) else {
        // The root and management groups: listed here because they lie above.
        return true;
    };
    let below = format!("{}/keys/", vault.key());
    id.contains(vault) || id.key().strip_prefix(&below).is_some_and(|key| keys.is_none_or(|keys| keys.contains(key)))
}

/// Those that can count for a server: its identity's, found for it, or a group's.
fn relevant<'b>(board: &'b Board<'_>, principals: &BTreeSet<String>) -> Vec<(&'b RoleAssignment, Option<&'b String>)> {
    let mut found = listed(board);
    found.retain(|(assignment, asked)| {
        asked.is_some() || is_group(assignment) || principals.contains(&assignment.principal_id.to_ascii_lowercase())
    });
    found
}

fn is_group(assignment: &RoleAssignment) -> bool {
    assignment.principal_type.to_ascii_lowercase().contains("group")
}

/// A role, from the table or as read.
fn role(board: &Board<'_>, id: &str) -> Option<Role> {
    built_in_role(id).or_else(|| board.roles.get(id)?.known().cloned())
}

/// What each identity has in its own name, as far as is known.
fn own_rights(board: &Board<'_>) -> BTreeMap<String, KeyRights> {
    let mut rights: BTreeMap<String, KeyRights> = BTreeMap::new();
    for (assignment, asked) in listed(board) {
        let whose = asked.cloned().unwrap_or_else(|| assignment.principal_id.to_ascii_lowercase());
        if let Some(role) = role(board, &assignment.role()) {
            let sum = rights.entry(whose).or_default();
            *sum = sum.and(role.rights);
        }
    }
    rights
}

fn short_of_rights_but_for_groups(board: &Board<'_>, principals: &BTreeSet<String>) -> Vec<String> {
    let some = |assignment: &RoleAssignment| {
        role(board, &assignment.role()).is_some_and(|role| role.rights != KeyRights::default())
    };
    if !listed(board).iter().any(|(assignment, asked)| asked.is_none() && is_group(assignment) && some(assignment)) {
        return Vec::new();
    }
    let own = own_rights(board);
    let short = principals.iter().filter(|id| !own.get(*id).copied().unwrap_or_default().complete());
    short.take(MOST_LOOKUPS).cloned().collect()
}

pub(super) fn grants(board: &Board<'_>) -> Fact<Vec<Grant>> {
    if let Some(why) = board.unreadable() {
        return Fact::Unknown(why);
    }
    let vault = vault::vault(board);
    let unasked = match &vault {
        Fact::Absent => Some("the vault is not there"),
        Fact::Known(vault) if !vault.rbac => Some("access policies count in this vault"),
        Fact::Known(_) if principals(board).is_empty() => Some("no server has an identity to ask for"),
        _ if board.assignments.is_empty() => Some(NO_WAVE),
        _ => None,
    };
    if let Some(why) = unasked {
        return Fact::Unknown(format!("not asked: {why}"));
    }
    match board.assignments.values().find(|list| list.known().is_none()) {
        Some(Fact::Denied(right)) => return Fact::Denied(right.clone()),
        Some(other) => return Fact::Unknown(reason(other)),
        None => {}
    }
    let principals = principals(board);
    let own = own_rights(board);
    let satisfied = principals.iter().all(|id| own.get(id).is_some_and(|rights| rights.complete()));
    let mut grants = Vec::new();
    for (assignment, asked) in listed(board) {
        let id = assignment.role();
        let role = match (role(board, &id), board.roles.get(&id)) {
            (Some(role), _) => role,
            // A role that we could not look into might be the one that is missing.
            (None, unread) if !satisfied && relevant(board, &principals).iter().any(|(it, _)| it.role() == id) => {
                return unread
                    .and_then(failure)
                    .filter(|failed| !failed.is_absent())
                    .unwrap_or_else(|| Fact::Unknown(format!("what role {id} gives could not be read")));
            }
            (None, _) => continue,
        };
        grants.push(grant(assignment, asked, role));
    }
    Fact::Known(grants)
}

fn grant(assignment: &RoleAssignment, asked: Option<&String>, role: Role) -> Grant {
    Grant {
        id: assignment.id.clone(),
        scope: assignment.scope.clone(),
        principal_id: assignment.principal_id.clone(),
        principal_type: assignment.principal_type.clone(),
        role: role.name,
        rights: role.rights,
        conditional: assignment.conditional,
        found_for: asked.cloned(),
    }
}

pub(super) fn denials(board: &Board<'_>) -> Fact<Vec<Denial>> {
    match board.unreadable() {
        Some(why) => Fact::Unknown(why),
        None if vault::vault(board).is_absent() => Fact::Unknown("not asked: the vault is not there".to_owned()),
        None => match or_unasked(board.denials.as_ref(), NO_WAVE) {
            Fact::Absent => Fact::Unknown("the vault's deny assignments are not there to be read".to_owned()),
            denials => denials,
        },
    }
}
