//! Incidents that lost their next pass, and questions that nobody answered in time.

use jiff::{SignedDuration, Timestamp};

use super::beat::Beat;
use crate::clock::add;
use crate::domain::incident::{Incident, Phase};
use crate::responder::schedule;
use crate::store::{NewJob, StoreError, Work};

/// Open incidents that are looked after in one round.
const MOST: usize = 500;
/// How long after its time a question counts as unanswered.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Sees to it that every open incident has a pass before it. One whose pass waits, runs or was set aside is left alone: asking
/// anew would forget that the pass has failed before.
pub(super) async fn resume(beat: &mut Beat<'_>) -> Result<(), StoreError> {
    let now = beat.responder.clock.now();
    for incident in beat.responder.store.incidents(true, MOST).await? {
        let work = Work::Pass { incident: incident.id.clone() };
        let lost = !beat.responder.store.knows_job(&work.key()).await?;
        if !lost && !answer_is_overdue(&incident, now) {
            continue;
        }
        let due = if lost { schedule::next_pass(&incident, now) } else { now };
        tracing::warn!(incident = %incident.id, lost, "the patrol gives an incident its next pass");
        beat.responder.store.enqueue(&NewJob { work, due }, now).await?;
        beat.responder.wake.now(&beat.responder.clock);
        beat.round.resumed += 1;
    }
    Ok(())
}

fn answer_is_overdue(incident: &Incident, now: Timestamp) -> bool {
    let asked = incident.approval.as_ref().filter(|asked| asked.decision.is_none());
    incident.phase == Phase::AwaitingApproval && asked.is_some_and(|asked| now > add(asked.answer_by, LATE))
}
