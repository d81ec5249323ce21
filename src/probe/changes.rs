//! Who changed what: the Activity Log of the vault's resource group, and of a server's or identity's own one where
//! something is wrong with it. By group, because a deleted resource or a role assignment has no log of its own.

use std::collections::BTreeSet;

use crate::domain::evidence::{Change, Fact};
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, failure};
use crate::probe::{identities, vault};

/// Logs of so many resource groups are read at most, the vault's first.
pub const MOST_LOGS: usize = 5;

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    if board.question.health_only {
        return;
    }
    let mut groups: Vec<(String, String)> = Vec::new();
    let vault = vault::id(board);
    for id in vault.iter().chain(broken(board)).chain(identities::gone(board)) {
        let group = group(id);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let free = MOST_LOGS.saturating_sub(board.changes.len());
    groups.retain(|group| !board.changes.contains_key(group));
    asks.extend(groups.into_iter().take(free).map(|(subscription, group)| Ask::Changes(subscription, group)));
}

fn group(id: &ResourceId) -> (String, String) {
    let group = id.resource_group().unwrap_or_default();
    (id.subscription().to_ascii_lowercase(), group.to_ascii_lowercase())
}

/// Servers that have lost something of their own: themselves, their identity, or the link to their protector's key.
fn broken<'b>(board: &'b Board<'_>) -> impl Iterator<Item = &'b ResourceId> {
    board.members().into_iter().filter(|server| {
        let gone = match board.servers.get(*server) {
            Some(Fact::Absent) => true,
            Some(Fact::Known(server)) => server.identity.effective().is_none(),
            _ => false,
        };
        gone || is_unlinked(board, server)
    })
}

fn is_unlinked(board: &Board<'_>, server: &ResourceId) -> bool {
    let protector = board.protectors.get(server).and_then(Fact::known).and_then(|protector| protector.uri.as_ref());
    let linked = board.linked_keys.get(server).and_then(Fact::known);
    let (Some(uri), Some(linked)) = (protector, linked) else { return false };
    !linked.iter().filter_map(|key| key.uri.as_ref()).any(|key| key.same_key(uri))
}

/// The changes, newest first, and whether every log that was wanted could be read.
pub(super) fn changes(board: &Board<'_>) -> (Vec<Change>, Fact<()>) {
    let mut changes: Vec<Change> = board.changes.values().filter_map(Fact::known).flatten().cloned().collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at));
    let read = match board.changes.values().find_map(failure) {
        Some(failed) => failed,
        None if board.changes.is_empty() => Fact::Unknown("not asked: where the vault is, is not known".to_owned()),
        None => Fact::Known(()),
    };
    (changes, read)
}
