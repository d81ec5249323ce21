//! The user-assigned identity that a server uses: the server's own list keeps identities that were deleted.

use std::collections::BTreeSet;

use crate::domain::evidence::{Fact, Identity};
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, NO_WAVE, or_unasked};

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    for server in board.servers.values().filter_map(Fact::known) {
        asks.extend(in_use(&server.identity).cloned().map(Ask::Identity));
    }
}

/// The identity resource that SQL uses, if it is a user-assigned one.
fn in_use(identity: &Identity) -> Option<&ResourceId> {
    let first = identity.user_assigned.first()?;
    Some(identity.primary.as_ref().unwrap_or(&first.id))
}

pub(super) fn fill_in(board: &Board<'_>, identity: &mut Identity) {
    let used = in_use(identity).cloned();
    for assigned in &mut identity.user_assigned {
        let why = if used.as_ref() == Some(&assigned.id) { NO_WAVE } else { "SQL does not use it" };
        assigned.resource = or_unasked(board.identities.get(&assigned.id), why);
    }
}

/// Identity resources in use that are gone.
pub(super) fn gone<'b>(board: &'b Board<'_>) -> impl Iterator<Item = &'b ResourceId> {
    board.identities.iter().filter(|(_, fact)| fact.is_absent()).map(|(id, _)| id)
}
