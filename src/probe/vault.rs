//! Where the vault is, what it is like, and what is left of it if it was deleted.
//!
//! Resource Graph is asked only where the vault's id is not known; what it finds is read from the vault itself. Where it
//! finds nothing or cannot be asked, the servers' subscriptions are searched, since it lags.

use std::collections::BTreeSet;

use crate::domain::evidence::{DeletedVault, Fact, Vault};
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, NO_WAVE, failure, or_unasked, reason};

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    let Some(host) = board.readable_host() else { return };
    asks.insert(Ask::Knock(host.clone()));
    let remembered = remembered(board, &host).cloned();
    if let Some(id) = &remembered {
        asks.insert(Ask::Vault(id.clone()));
    }
    let lost = remembered.as_ref().is_some_and(|id| board.vaults.get(id).is_some_and(Fact::is_absent));
    if remembered.is_none() || lost {
        asks.insert(Ask::FindVault(host.clone()));
    }
    if let (true, Some(id)) = (lost, &remembered) {
        asks.insert(Ask::DeletedVaults(id.subscription().to_ascii_lowercase()));
    }
    match &board.found {
        Some(Fact::Known(Some(found))) if board.vaults.get(&found.id).is_some_and(Fact::is_absent) => {
            asks.insert(Ask::DeletedVaults(found.id.subscription().to_ascii_lowercase()));
        }
        Some(Fact::Known(Some(found))) => drop(asks.insert(Ask::Vault(found.id.clone()))),
        // The graph does not know it (yet, or any more), or cannot be asked.
        Some(_) if in_deleted(board).is_none() => {
            for subscription in board.subscriptions() {
                asks.insert(Ask::DeletedVaults(subscription.clone()));
                asks.insert(Ask::Vaults(subscription));
            }
        }
        _ => {}
    }
}

/// The id that the caller remembers, if it can be this vault's.
fn remembered<'q>(board: &Board<'q>, host: &VaultHost) -> Option<&'q ResourceId> {
    board.question.vault_id.as_ref().filter(|id| is_vault(id, host))
}

fn is_vault(id: &ResourceId, host: &VaultHost) -> bool {
    id.resource_type() == "microsoft.keyvault/vaults" && id.name().eq_ignore_ascii_case(host.vault_name())
}

/// The vault as read, from wherever.
fn read<'b>(board: &'b Board<'_>) -> Option<&'b Vault> {
    let host = board.readable_host()?;
    let listed = board.vault_lists.values().filter_map(Fact::known).flatten();
    board.vaults.values().filter_map(Fact::known).chain(listed).find(|vault| is_vault(&vault.id, &host))
}

/// The id of a vault that is there, or may be: what its parts are asked by.
pub(super) fn present_id(board: &Board<'_>) -> Option<ResourceId> {
    if let Some(vault) = read(board) {
        return Some(vault.id.clone());
    }
    let host = board.readable_host()?;
    let found = || board.found.as_ref()?.known()?.as_ref().map(|found| &found.id);
    let candidates = [remembered(board, &host), found()];
    candidates.into_iter().flatten().find(|id| !board.vaults.get(id).is_some_and(Fact::is_absent)).cloned()
}

/// The id, also of a vault that is gone.
pub(super) fn id(board: &Board<'_>) -> Option<ResourceId> {
    let host = board.readable_host()?;
    let from_remains = || in_deleted(board).map(|deleted| deleted.vault_id.clone());
    let from_graph = || board.found.as_ref()?.known()?.as_ref().map(|found| found.id.clone());
    present_id(board).or_else(from_remains).or_else(from_graph).or_else(|| remembered(board, &host).cloned())
}

/// Whether role assignments count in it, as far as is known by now.
pub(super) fn rbac(board: &Board<'_>) -> Option<bool> {
    let hint = || board.found.as_ref()?.known()?.as_ref().map(|found| found.rbac);
    read(board).map(|vault| vault.rbac).or_else(hint)
}

pub(super) fn vault(board: &Board<'_>) -> Fact<Vault> {
    if let Some(why) = board.unreadable() {
        return Fact::Unknown(why);
    }
    if let Some(vault) = read(board) {
        return Fact::Known(vault.clone());
    }
    // A vault that could not be read where it is said to be.
    if let Some(failed) = board.vaults.values().find(|fact| !fact.is_absent()) {
        return failure(failed).unwrap_or_default();
    }
    if in_deleted(board).is_some() {
        return Fact::Absent;
    }
    match &board.found {
        Some(Fact::Known(Some(_))) if board.vaults.is_empty() => {
            Fact::Unknown(format!("Resource Graph knows it, and {NO_WAVE} to read it"))
        }
        // The graph still knows what the Resource Manager does not have any more.
        Some(Fact::Known(Some(_))) => Fact::Absent,
        Some(Fact::Known(None)) => searched(board).unwrap_or(Fact::Absent),
        Some(failed) => searched(board).unwrap_or_else(|| {
            let why = reason(failed);
            Fact::Unknown(format!("it is not in the servers' subscriptions, and Resource Graph was no help: {why}"))
        }),
        None => Fact::Unknown(format!("not asked: {NO_WAVE}")),
    }
}

/// Why the search through the servers' subscriptions says nothing; `None` if it was complete (and found nothing).
fn searched(board: &Board<'_>) -> Option<Fact<Vault>> {
    board.subscriptions().into_iter().find_map(|subscription| match board.vault_lists.get(&subscription) {
        Some(Fact::Known(_)) => None,
        Some(Fact::Denied(right)) => Some(Fact::Denied(right.clone())),
        Some(other) => Some(Fact::Unknown(reason(other))),
        None => Some(Fact::Unknown(format!("Resource Graph does not know it, and {NO_WAVE} to look for it elsewhere"))),
    })
}

/// Its soft-deleted remains, if a list shows them.
fn in_deleted<'b>(board: &'b Board<'_>) -> Option<&'b DeletedVault> {
    let host = board.readable_host()?;
    let lists = board.deleted_vaults.values().filter_map(Fact::known);
    lists.flatten().find(|deleted| is_vault(&deleted.vault_id, &host))
}

pub(super) fn deleted(board: &Board<'_>) -> Fact<DeletedVault> {
    if let Some(why) = board.unreadable() {
        return Fact::Unknown(why);
    }
    if let Some(deleted) = in_deleted(board) {
        return Fact::Known(deleted.clone());
    }
    if board.deleted_vaults.is_empty() {
        let why = if read(board).is_some() { "the vault is there" } else { NO_WAVE };
        return Fact::Unknown(format!("not asked: {why}"));
    }
    board.deleted_vaults.values().find_map(failure).unwrap_or(Fact::Absent)
}

pub(super) fn reachable(board: &Board<'_>) -> Fact<bool> {
    match board.unreadable() {
        Some(why) => Fact::Unknown(why),
        None => or_unasked(board.reachable.as_ref(), NO_WAVE),
    }
}
