//! How long what could not be read is waited for, and what is not worth waiting for.

use jiff::SignedDuration;

use crate::clock::add;
use crate::domain::evidence::Fact;
use crate::domain::gates::Situation;

/// Passes in a row that saw nothing new, after which an unread link is not waited for any more.
const PATIENCE: u32 = 3;
/// This shortly before the window ends a person is called, if nothing could be told.
const LAST_MINUTES: SignedDuration = SignedDuration::from_mins(10);

/// Whether a right is missing without which the chain cannot be read. Without the log only the culprit is unknown.
pub(super) fn a_right_is_missing(situation: &Situation<'_>) -> bool {
    let of_the_log = |right| matches!(&situation.evidence.changes_read, Fact::Denied(log) if log == right);
    situation.diagnosis.missing_rights.iter().any(|right| !of_the_log(right))
}

/// Whether what could not be read was waited for long enough.
pub(super) fn patience_is_over(situation: &Situation<'_>) -> bool {
    let incident = situation.incident;
    let last_minutes = add(incident.restore_before(), -LAST_MINUTES);
    incident.quiet_passes >= PATIENCE || (incident.passes >= 2 && situation.now >= last_minutes)
}
