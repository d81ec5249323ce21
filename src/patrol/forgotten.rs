//! Incidents that lost their next pass, and questions that nobody answered in time.

use jiff::SignedDuration;

use super::round::Beat;
use crate::clock::add;
use crate::domain::incident::{Incident, Phase};
use crate::responder::schedule;
use crate::store::{NewJob, StoreError, Work};

/// Open incidents that are looked after in one round.
const MOST: usize = 500;
/// How long after its time a pass is taken for lost.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Sees to it that every open incident has a pass before it. A pass that waits already stays as it is, since storing it again
/// only ever moves it earlier: so this makes good what is lost and changes nothing else.
pub(super) async fn resume(beat: &mut Beat<'_>) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    for incident in beat.responder.store.incidents(true, MOST).await? {
        let late = add(schedule::next_pass(&incident, now), LATE);
        let due = if answer_is_overdue(&incident, now) { now } else { late };
        let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due };
        if due == now {
            beat.round.resumed += 1;
        }
        beat.responder.store.enqueue(&pass, now).await?;
    }
    Ok(())
}

fn answer_is_overdue(incident: &Incident, now: jiff::Timestamp) -> bool {
    let asked = incident.approval.as_ref().filter(|asked| asked.decision.is_none());
    incident.phase == Phase::AwaitingApproval && asked.is_some_and(|asked| now > add(asked.answer_by, LATE))
}
