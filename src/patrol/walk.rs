//! The full walk, a slice a round: protector, linked keys and databases of each server, read anew within the hour.

use std::collections::BTreeSet;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::beat::Beat;
use super::estate::{Estate, Known, down, in_service};
use super::inaccessible;
use crate::azure::error::fact;
use crate::clock::add;
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Database, Fact, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::responder::Responder;
use crate::store::StoreError;

/// Requests for one server.
const COST: usize = 3;
/// Servers read at a time.
const SIDE_BY_SIDE: usize = 5;
/// How long one that could not be read lets others go first.
const TRIED: SignedDuration = SignedDuration::from_mins(10);

/// Reads those that were never read, and those whose turn it is; the longest unread first.
pub(super) async fn slice(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let mut turn = turn(beat, estate, now).into_iter();
    loop {
        let together = SIDE_BY_SIDE.min(beat.allowance.left() / COST);
        let ids: Vec<ResourceId> = turn.by_ref().take(together).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let azure = beat.responder.azure.clone();
        let read = |id: ResourceId| {
            let azure = azure.clone();
            async move {
                let protector = fact(azure.protector(&id).await);
                let linked_keys = fact(azure.linked_keys(&id).await);
                let databases = fact(azure.databases(&id).await);
                // Of servers the list told; no list tells of a database's own identity.
                let server = match Kind::of(&id) {
                    Some(Kind::Database) => fact(azure.server(&id).await),
                    _ => Fact::default(),
                };
                ServerEvidence { server, protector, linked_keys, databases, ..ServerEvidence::unread(id) }
            }
        };
        let all: Vec<_> = futures::stream::iter(ids).map(read).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for seen in all {
            beat.round.walked += 1;
            take(beat, estate, seen, now).await?;
        }
    }
}

/// Whose turn it is in this round.
fn turn(beat: &Beat<'_>, estate: &Estate, now: Timestamp) -> Vec<ResourceId> {
    // An even share of all, the longest unread first. What was read at a quicker pace in the beginning comes early, so that
    // the last of it is not late.
    let due = add(now, -beat.settings.walk_every / 2);
    let mut turn: Vec<(Option<Timestamp>, ResourceId)> = estate
        .servers
        .values()
        .filter(|known| known.read_at.is_none_or(|read| read <= due))
        .filter(|known| known.tried_at.is_none_or(|tried| tried <= add(now, -TRIED)))
        .map(|known| (known.read_at, known.seen.id.clone()))
        .collect();
    turn.sort();
    let rounds = (beat.settings.walk_every.as_secs() / beat.settings.health_every.as_secs().max(1)).max(1);
    // A tenth more than an even share, so that a round that was cut short is made good.
    let share = estate.servers.len() * 11 / 10 / usize::try_from(rounds).unwrap_or(1) + 1;
    let unread = turn.iter().filter(|(read, _)| read.is_none()).count();
    // Half of the budget at most goes to the walk, or two thirds while little is known yet.
    let hurry = unread > 0 && beat.calm;
    let most = if hurry { beat.allowance.left() * 2 / 3 } else { beat.allowance.left() / 2 } / COST;
    turn.truncate(if hurry { share.max(unread) } else { share }.min(most));
    turn.into_iter().map(|(_, id)| id).collect()
}

async fn take(
    beat: &mut Beat<'_>,
    estate: &mut Estate,
    seen: ServerEvidence,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(known) = estate.servers.get_mut(&seen.id) else { return Ok(()) };
    known.tried_at = Some(now);
    if let Some(why) = first_unread(&seen) {
        beat.round.unread.push(format!("{}: {why}", seen.id.name()));
    } else {
        known.read_at = Some(now);
    }
    if let Fact::Known(databases) = &seen.databases {
        known.asked_at = Some(now);
        let key = seen.protector.known().and_then(|protector| protector.uri.clone());
        let most = beat.for_settings.min(beat.allowance.left());
        beat.for_settings -= beat.responder.take_snapshot(&seen.id, key.as_ref(), databases, most).await?;
        let down: Vec<String> = down(databases).into_iter().map(str::to_owned).collect();
        inaccessible::tell(beat, &seen.id, key.as_ref(), &down).await?;
        known.seen.databases =
            in_service(ServerEvidence { databases: Fact::Known(databases.clone()), ..seen.clone() }).databases;
    }
    if seen.server.known().is_some() {
        known.seen.server = seen.server;
    }
    // What could not be read stays as it was known: a fault of a minute must not empty the map.
    if seen.protector.known().is_some() {
        known.seen.protector = seen.protector;
    }
    if seen.linked_keys.known().is_some() {
        known.seen.linked_keys = seen.linked_keys;
    }
    remember(&beat.responder, &known.seen).await?;
    if let Fact::Known(databases) = &seen.databases {
        let scope = &beat.responder.policy.scope;
        with_own_keys(estate, &seen.id, databases, |id| scope.covers(id));
    }
    Ok(())
}

/// The databases of a server that have keys of their own depend on those as servers do: their vaults are glanced at too.
fn with_own_keys(
    estate: &mut Estate,
    server: &ResourceId,
    databases: &[Database],
    in_scope: impl Fn(&ResourceId) -> bool,
) {
    if Kind::of(server) != Some(Kind::SqlServer) {
        return;
    }
    let own = databases.iter().filter(|database| database.own_protector.is_some());
    let own: BTreeSet<ResourceId> =
        own.filter_map(|database| server.child("databases", &database.name).ok()).filter(in_scope).collect();
    estate.servers.retain(|id, known| known.kind != Some(Kind::Database) || !server.contains(id) || own.contains(id));
    for id in own {
        estate.servers.entry(id.clone()).or_insert_with(|| Known::new(ServerEvidence::unread(id)));
    }
}

/// Why a part could not be read, where that may be otherwise soon. What we may not read is the doctor's business.
fn first_unread(seen: &ServerEvidence) -> Option<&str> {
    fn why<T>(fact: &Fact<T>) -> Option<&str> {
        match fact {
            Fact::Unknown(why) => Some(why),
            _ => None,
        }
    }
    why(&seen.protector).or_else(|| why(&seen.linked_keys)).or_else(|| why(&seen.databases))
}

/// For the day when it cannot be asked, and for other processes.
async fn remember(responder: &Responder, seen: &ServerEvidence) -> Result<(), StoreError> {
    if let Fact::Known(protector) = &seen.protector {
        responder.patrol_saw(seen, protector).await?;
    }
    Ok(())
}
