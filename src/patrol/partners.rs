//! Geo partners, in the patrol: what the walk remembers of them for a day is asked for again before one is called short of
//! its grant. A link that was ended since must not bring a grant back that was taken away for that reason.

use super::estate::Estate;
use crate::azure::Azure;
use crate::azure::error::fact;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::Evidence;

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
