//! Stores an answer: one decision stands, however many come at once.

use jiff::Timestamp;

use super::{Answer, By, Refusal, Said};
use crate::clock::Clock;
use crate::domain::incident::{Incident, IncidentId};
use crate::store::{NewJob, Store, StoreError, Work};

/// How often an answer is recorded anew when somebody else saved the incident in between.
const TRIES: u32 = 20;

/// Why an answer was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It does not count.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such incident.
    #[error("there is no incident {0}")]
    NotFound(IncidentId),
    /// The incident was saved by others all the time.
    #[error("the incident is being saved too often by the responder; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records an answer in the stored incident, and has the responder look at it at once. `seen` is the hash of the plan that the
/// person saw. A form carries `once`, its own number: it counts one time.
///
/// # Errors
/// [`NotKept`]: nothing was recorded.
pub async fn keep(
    store: &dyn Store,
    clock: &Clock,
    id: &IncidentId,
    answer: &Answer,
    by: &By,
    seen: Option<&str>,
    once: Option<&str>,
) -> Result<Said, NotKept> {
    for _ in 0..TRIES {
        let Some((mut incident, version)) = store.incident(id).await? else {
            return Err(NotKept::NotFound(id.clone()));
        };
        let now = clock.now();
        let what = answer.record(&mut incident, by, seen, now)?;
        use_up(&mut incident, once)?;
        match store.save(&incident, Some(version), &[look(&incident, now)], &[], now).await {
            Ok(_) => return Ok(Said { incident, what, by: by.name.clone(), at: now }),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(NotKept::Busy)
}

/// A form's number counts once.
fn use_up(incident: &mut Incident, once: Option<&str>) -> Result<(), Refusal> {
    let fresh = once.is_none_or(|number| incident.forms_used.insert(number.to_owned()));
    if fresh { Ok(()) } else { Err(Refusal::Repeated) }
}

fn look(incident: &Incident, now: Timestamp) -> NewJob {
    NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now }
}
