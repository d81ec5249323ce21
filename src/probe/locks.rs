//! Management locks: one list a subscription shows them on every level.

use std::collections::BTreeSet;

use crate::domain::evidence::{Fact, Lock};
use crate::probe::ask::Ask;
use crate::probe::board::{Board, all_of};
use crate::probe::vault;

fn subscriptions(board: &Board<'_>) -> BTreeSet<String> {
    let mut subscriptions = board.subscriptions();
    subscriptions.extend(vault::id(board).map(|id| id.subscription().to_ascii_lowercase()));
    subscriptions
}

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    if !board.question.health_only {
        asks.extend(subscriptions(board).into_iter().map(Ask::Locks));
    }
}

/// All locks; a subscription whose locks could not be read makes the whole unknown, since one there might be in the way.
pub(super) fn locks(board: &Board<'_>) -> Fact<Vec<Lock>> {
    let unread = subscriptions(board).into_iter().find(|subscription| !board.locks.contains_key(subscription));
    match unread {
        Some(subscription) => Fact::Unknown(format!("not asked: no wave of requests was left for {subscription}")),
        None => all_of(board.locks.values()),
    }
}
