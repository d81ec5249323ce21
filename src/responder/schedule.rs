//! When a pass comes back, and how much it looks at then. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::incident::{Approval, EntryKind, Incident, Phase};

/// How long a new incident waits for the other alerts of the same loss before it is looked at. Alerts of one vault
/// arrive in a burst; reading each server once instead of once per alert keeps us within Azure's request limits.
pub const GATHER: SignedDuration = SignedDuration::from_secs(15);

/// The same where no database is known to be down yet: what was found can often be repaired before SQL looks at its key
/// again, and every second counts. Long enough for the second change of one that breaks two things.
pub const GATHER_CAUSES: SignedDuration = SignedDuration::from_secs(5);

/// How long before the end of the self-heal window people are warned that nothing has worked yet.
pub const DEADLINE_WARNING: SignedDuration = SignedDuration::from_mins(10);

/// How long before a key expires people are reminded that nobody has decided about extending it.
pub const EXPIRY_WARNING: SignedDuration = SignedDuration::from_mins(60);

/// With so few servers the whole chain is looked at again in every second verification pass: it costs little, and a
/// repair that somebody undoes is noticed soon.
pub const FEW_SERVERS: usize = 3;
/// With more servers, the whole chain is looked at again when no database has come back for this long. Azure heals
/// "within the subsequent hour".
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(40);
/// The next look after `quiet` passes that saw nothing new: 30 s, 1, 2, 4 min, then every `longest`.
fn backoff(quiet: u32, longest: SignedDuration) -> SignedDuration {
    let seconds = 30_i64.saturating_mul(1_i64 << quiet.min(12));
    SignedDuration::from_secs(seconds).min(longest)
}

/// When to look at the incident again, given that `now` nothing more can be done.
#[must_use]
pub fn next_pass(incident: &Incident, now: Timestamp) -> Timestamp {
    let longest = match incident.phase {
        Phase::Escalated if now > add(incident.opened_at, SignedDuration::from_hours(2)) => {
            SignedDuration::from_mins(30)
        }
        Phase::Escalated => SignedDuration::from_mins(10),
        // Nothing is lost, and the patrol goes on looking at the vault.
        Phase::AwaitingApproval if incident.lost_ahead(now).is_some() => SignedDuration::from_mins(15),
        Phase::AwaitingApproval => SignedDuration::from_mins(5),
        Phase::Verifying if now > add(incident.opened_at, SignedDuration::from_hours(3)) => {
            SignedDuration::from_mins(20)
        }
        _ => SignedDuration::from_mins(8),
    };
    let due = add(now, backoff(incident.quiet_passes, longest));
    // These moments must not be slept through: the warning before the window ends, its end, and what is waited for.
    let warning = add(incident.restore_before(), -DEADLINE_WARNING);
    let ahead = incident.lost_ahead(now).into_iter().flat_map(|at| [at, add(at, -EXPIRY_WARNING)]);
    let reminder = incident.approval.as_ref().and_then(Approval::remind_at);
    let reminder = reminder.filter(|_| incident.phase == Phase::AwaitingApproval);
    let moments = [warning, incident.restore_before()].into_iter().chain(incident.look_by).chain(ahead).chain(reminder);
    moments.filter(|moment| *moment > now).fold(due, Timestamp::min)
}

/// What kind of look a pass takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The whole chain.
    Full,
    /// The databases alone: one request a server.
    Databases,
}

/// Which look is due.
#[must_use]
pub fn look_due(incident: &Incident, now: Timestamp) -> Look {
    let watching = matches!(incident.phase, Phase::Propagating | Phase::Revalidating | Phase::Verifying);
    let waiting = matches!(incident.phase, Phase::AwaitingApproval)
        && incident.approval.as_ref().is_some_and(|asked| asked.decision.is_none() && now < asked.answer_by);
    let unread = incident.members.values().any(|member| member.observed_at.is_none());
    let unsettled = incident.attempts.iter().any(|attempt| attempt.outcome.is_none() && attempt.operation.is_none());
    let whole = incident.diagnosis.as_ref().is_some_and(Diagnosis::chain_is_whole) || incident.last_made_at().is_some();
    if unread || unsettled || incident.gone_since.is_some() || !(watching && whole || waiting) {
        return Look::Full;
    }
    let last_full = incident.members.values().filter_map(|member| member.observed_at).min().unwrap_or(now);
    let came_back = incident.timeline.iter().rev().find(|entry| entry.kind == EntryKind::Verified);
    let progress = came_back.map_or(last_full, |entry| entry.at.max(last_full));
    let again = if incident.members.len() <= FEW_SERVERS {
        incident.passes.is_multiple_of(2)
    } else {
        now >= add(progress, LOOK_AGAIN_AFTER)
    };
    if again { Look::Full } else { Look::Databases }
}

/// When people hear from us next at the latest, if nothing happens before: the warning, the end of the window, or in
/// half an hour.
#[must_use]
pub fn next_word(incident: &Incident, now: Timestamp) -> Timestamp {
    let half_hour = add(now, SignedDuration::from_mins(30));
    if incident.whole_since.is_some() {
        return half_hour;
    }
    if let Some(at) = incident.lost_ahead(now) {
        let reminder = add(at, -EXPIRY_WARNING);
        return if reminder > now { reminder } else { at };
    }
    let moments = [add(incident.restore_before(), -DEADLINE_WARNING), incident.restore_before()];
    moments.into_iter().filter(|moment| *moment > now).fold(half_hour, Timestamp::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::{IncidentId, IncidentKey};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap_or_default()
    }

    #[test]
    fn backs_off_and_never_sleeps_through_the_deadline() {
        let mut incident = Incident::open(IncidentId("km-x".into()), IncidentKey("vault:x".into()), 30, at(0));
        incident.phase = Phase::Verifying;
        assert_eq!(next_pass(&incident, at(0)), Timestamp::from_second(30).unwrap_or_default());
        incident.quiet_passes = 30;
        assert_eq!(next_pass(&incident, at(1)), at(9));
        // Opened at 0 with nothing better known: warning at 20 min, end at 30 min.
        assert_eq!(next_pass(&incident, at(18)), at(20));
        assert_eq!(next_pass(&incident, at(25)), at(30));
        assert_eq!(next_pass(&incident, at(31)), at(39));
        incident.look_by = Some(at(34));
        assert_eq!(next_pass(&incident, at(31)), at(34), "a decision to wait says how long");
        assert_eq!(next_pass(&incident, at(34)), at(42));
    }
}
