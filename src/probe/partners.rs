//! Geo partners: servers that hold secondaries of the databases in question. "Both servers" need Get, Wrap Key and Unwrap
//! Key on the key of the primary (Microsoft, overview of customer-managed TDE), whatever the partner's own protector is.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dependent::Kind;
use crate::domain::evidence::{Fact, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::Board;
use crate::probe::servers;

/// Partners of one question that are looked at.
pub const MOST_PARTNERS: usize = 8;

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    let named: BTreeSet<&ResourceId> = board.question.partners_of.iter().collect();
    for server in board.members().into_iter().filter(|server| named.contains(server)) {
        if Kind::of(server) == Some(Kind::SqlServer) && !board.links.contains_key(server) {
            asks.insert(Ask::Links(server.clone()));
        }
    }
    let named = looked_at(board).into_iter().filter(|partner| board.question.partners.contains(partner));
    asks.extend(named.filter(|partner| !board.databases.contains_key(partner)).map(Ask::Databases));
    let unread = looked_at(board).into_iter().filter(|partner| !board.servers.contains_key(partner));
    asks.extend(unread.map(Ask::Server));
}

/// The partners that are not themselves in question, those that were named first.
fn all(board: &Board<'_>) -> Vec<ResourceId> {
    let members: BTreeSet<&ResourceId> = board.members().into_iter().collect();
    let links = members.iter().filter_map(|server| board.links.get(*server)?.known()).flatten();
    let partners = links.filter(|link| link.primary).filter_map(|link| link.partner.as_ref());
    let linked: BTreeSet<&ResourceId> = partners.collect();
    let named: BTreeSet<&ResourceId> = board.question.partners.iter().collect();
    let all = named.iter().chain(linked.difference(&named)).copied();
    all.filter(|partner| !members.contains(partner)).cloned().collect()
}

fn looked_at(board: &Board<'_>) -> Vec<ResourceId> {
    all(board).into_iter().take(MOST_PARTNERS).collect()
}

/// The object ids of the partners' identities, in lower case, by partner.
pub(super) fn principals(board: &Board<'_>) -> BTreeMap<ResourceId, String> {
    let known = looked_at(board).into_iter().filter_map(|id| {
        let effective = board.servers.get(&id)?.known()?.identity.effective()?;
        Some((id, effective.principal_id.to_ascii_lowercase()))
    });
    known.collect()
}

/// Each partner, with nothing but the server itself, and the databases of those that were named. Where `unsure` says why the
/// rights of its identity could not be told, it says so instead: a grant that was not seen is not missing.
pub(super) fn partners(board: &Board<'_>, unsure: impl Fn(&str) -> Option<String>) -> Vec<ServerEvidence> {
    let looked_at = looked_at(board);
    let told = principals(board);
    let read = |id: ResourceId| {
        let unsure = told.get(&id).and_then(|principal| unsure(principal));
        let server = match unsure {
            _ if !looked_at.contains(&id) => Fact::Unknown(format!("more than {MOST_PARTNERS} partners")),
            Some(why) => Fact::Unknown(why),
            None => servers::server(board, &id),
        };
        let databases = board.databases.get(&id).cloned().unwrap_or_default();
        ServerEvidence { server, databases, ..ServerEvidence::unread(id) }
    };
    all(board).into_iter().map(read).collect()
}
