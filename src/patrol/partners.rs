//! Geo partners, in the patrol: each server is asked once a day who holds its geo-secondaries, and again before a partner is
//! called short of its grant. A link that was ended since must not bring a grant back that was taken away for that reason.

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::beat::Beat;
use super::estate::Estate;
use crate::azure::Azure;
use crate::azure::error::fact;
use crate::clock::add;
use crate::domain::dependent::Kind;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::{Evidence, Fact, ServerEvidence};
use crate::domain::resource_id::ResourceId;
use crate::store::StoreError;

/// How long a server is not asked again.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The same for one that could not be read.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// The part of what is left of the round, one request in so many, that this may take.
const SHARE: usize = 10;
/// Servers asked at a time.
const SIDE_BY_SIDE: usize = 5;

/// Asks those whose turn it is, the longest unasked first. While an incident is open, nobody.
pub(super) async fn learn(beat: &mut Beat<'_>, estate: &mut Estate) -> Result<(), StoreError> {
    if !beat.calm {
        return Ok(());
    }
    let now = beat.responder.clock.now();
    let azure = beat.responder.azure.clone();
    let read = |id: ResourceId| {
        let azure = azure.clone();
        async move { ServerEvidence { links: fact(azure.replication_links(&id).await), ..ServerEvidence::unread(id) } }
    };
    let most = beat.allowance.left().div_ceil(SHARE);
    let turn = turn(estate, now).into_iter().take(most);
    let all: Vec<_> = futures::stream::iter(turn).map(read).buffer_unordered(SIDE_BY_SIDE).collect().await;
    beat.responder.keep_partners(&all).await?;
    for seen in all {
        let Some(known) = estate.servers.get_mut(&seen.id) else { continue };
        // What we may not read is not asked for every hour: the doctor names the right.
        let failed = matches!(seen.links, Fact::Unknown(_));
        known.links_at = Some(if failed { add(now, HOUR - DAY) } else { now });
        if !failed {
            known.seen.links = seen.links;
        }
    }
    Ok(())
}

fn turn(estate: &Estate, now: Timestamp) -> Vec<ResourceId> {
    let protected =
        estate.servers.values().filter(|known| known.kind == Some(Kind::SqlServer) && known.key().is_some());
    let due = protected.filter(|known| known.links_at.is_none_or(|asked| asked <= add(now, -DAY)));
    let mut turn: Vec<_> = due.map(|known| (known.links_at, known.seen.id.clone())).collect();
    turn.sort();
    turn.into_iter().map(|(_, id)| id).collect()
}

/// Asks the servers whose partners lack a grant who holds their geo-secondaries now: one request each, and none where all is
/// well. Answers whether anything was asked.
pub(super) async fn ask_again(
    azure: &Azure,
    diagnosis: &Diagnosis,
    evidence: &mut Evidence,
    estate: &mut Estate,
) -> bool {
    let found = diagnosis.findings.iter().filter(|finding| finding.cause == Cause::GeoPartnerWithoutGrant);
    let short: Vec<_> = found.flat_map(|finding| &finding.servers).collect();
    let mut asked = false;
    for seen in &mut evidence.servers {
        if seen.partners().keys().any(|partner| short.contains(&partner)) {
            seen.links = fact(azure.replication_links(&seen.id).await);
            asked = true;
            if let Some(known) = estate.servers.get_mut(&seen.id).filter(|_| seen.links.known().is_some()) {
                known.seen.links = seen.links.clone();
            }
        }
    }
    asked
}
