//! Databases that are down and that nobody told of: the authoritative list of each server, all servers in turn.

use std::collections::BTreeSet;

use futures::StreamExt;
use jiff::Timestamp;

use super::beat::Beat;
use super::estate::Estate;
use super::told::Seen;
use crate::domain::database_ref::database_id;
use crate::domain::evidence::Fact;
use crate::domain::incident::IncidentKey;
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::SignalKind;
use crate::probe;
use crate::store::StoreError;

/// Servers asked at a time.
const SIDE_BY_SIDE: usize = 8;

/// Asks as many as the allowance lets us, the longest unasked first.
pub(super) async fn some(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    let protected = estate.servers.values().filter(|known| known.key().is_some());
    let mut turn: Vec<(Option<Timestamp>, ResourceId)> = protected
        .filter(|known| known.asked_at != Some(now))
        .map(|known| (known.asked_at, known.seen.id.clone()))
        .collect();
    turn.sort();
    let mut turn = turn.into_iter().map(|(_, id)| id);
    loop {
        let ids: Vec<ResourceId> = turn.by_ref().take(SIDE_BY_SIDE.min(beat.allowance.left())).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let azure = beat.responder.azure.clone();
        let ask = |id: ResourceId| {
            let azure = azure.clone();
            async move {
                let names = probe::inaccessible_databases(&azure, &id).await;
                (id, names)
            }
        };
        let all: Vec<_> = futures::stream::iter(ids).map(ask).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for (id, names) in all {
            let Some(known) = estate.servers.get_mut(&id) else { continue };
            match names {
                Fact::Known(names) => {
                    known.asked_at = Some(now);
                    let key = known.key().cloned();
                    tell(beat, &id, key.as_ref(), &names).await?;
                }
                Fact::Unknown(why) => beat.round.unread.push(format!("inaccessible databases of {}: {why}", id.name())),
                Fact::Absent | Fact::Denied(_) => known.asked_at = Some(now),
            }
        }
    }
}

/// Tells of databases that are down, unless an incident knows their server already.
pub(super) async fn tell(
    beat: &mut Beat<'_>,
    server: &ResourceId,
    key: Option<&KeyUri>,
    down: &[String],
) -> Result<(), StoreError> {
    if down.is_empty() {
        beat.told.is_well(server.key());
        return Ok(());
    }
    let of = key.map_or_else(|| IncidentKey::server(server), |key| IncidentKey::vault(&key.vault));
    if let Some((incident, _)) = beat.responder.store.open_incident(&of).await? {
        beat.told.is_at_work(&incident);
        if incident.members.contains_key(server.key()) {
            return Ok(());
        }
    }
    let names: BTreeSet<String> = down.iter().cloned().collect();
    if !beat.told.is_news(&beat.responder, &of, &Seen::Down(server.clone(), names.clone())).await? {
        return Ok(());
    }
    for name in names {
        if let Some(database) = database_id(server, &name) {
            let said = format!("database {name} on {} is inaccessible", server.name());
            beat.found(SignalKind::FoundInaccessible, database, said);
        }
    }
    Ok(())
}
