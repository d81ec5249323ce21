//! Servers, their protectors, linked keys and databases: one request each; the servers themselves by one list where there
//! are many in a subscription.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dependent::Kind;
use crate::domain::evidence::{Fact, Server, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, NO_WAVE, or_unasked};
use crate::probe::identities;

/// Up to so many servers of a subscription are read one by one.
const FEW: usize = 2;

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    let mut by_subscription: BTreeMap<String, Vec<&ResourceId>> = BTreeMap::new();
    for server in board.members() {
        if !board.protectors.contains_key(server) {
            asks.insert(Ask::Protector(server.clone()));
        }
        if !board.linked_keys.contains_key(server) {
            asks.insert(Ask::LinkedKeys(server.clone()));
        }
        if !board.databases.contains_key(server) {
            asks.insert(Ask::Databases(server.clone()));
        }
        if board.servers.contains_key(server) {
            continue;
        }
        // Only logical servers are many in a subscription.
        if Kind::of(server) != Some(Kind::SqlServer) {
            asks.insert(Ask::Server(server.clone()));
            continue;
        }
        by_subscription.entry(server.subscription().to_ascii_lowercase()).or_default().push(server);
    }
    for (subscription, servers) in by_subscription {
        if servers.len() <= FEW {
            asks.extend(servers.into_iter().cloned().map(Ask::Server));
            continue;
        }
        let Some(list) = board.server_lists.get(&subscription) else {
            asks.insert(Ask::Servers(subscription));
            continue;
        };
        // One that is not listed, or all of them if we may read them only one by one, is asked for by itself.
        let listed = list.known().cloned().unwrap_or_default();
        for server in servers {
            match listed.get(server) {
                Some(found) => drop(board.servers.insert(server.clone(), Fact::Known(found.clone()))),
                None => drop(asks.insert(Ask::Server(server.clone()))),
            }
        }
    }
}

/// What is known of one server, its identities looked up.
pub(super) fn server(board: &Board<'_>, id: &ResourceId) -> Fact<Server> {
    let mut server = or_unasked(board.servers.get(id), NO_WAVE);
    if let Fact::Known(server) = &mut server {
        identities::fill_in(board, &mut server.identity);
    }
    server
}

pub(super) fn servers(board: &Board<'_>) -> Vec<ServerEvidence> {
    let read = |id: &ResourceId| ServerEvidence {
        id: id.clone(),
        server: server(board, id),
        protector: or_unasked(board.protectors.get(id), NO_WAVE),
        linked_keys: or_unasked(board.linked_keys.get(id), NO_WAVE),
        databases: or_unasked(board.databases.get(id), NO_WAVE),
        links: board.links.get(id).cloned().unwrap_or_default(),
    };
    board.members().into_iter().map(read).collect()
}
