//! An incident that was written by a clock that was ahead. Pure.
//!
//! A time that lies ahead would be waited for until the clock gets there again, which may be days. How long ago it really was
//! nobody knows, so what was done counts from now, and every wait begins anew. Where it is this clock that is behind, those waits
//! are cut short once it is right again: a person is then called, or a re-validation tried, too early. What was made is never made
//! again for that, and the budget is kept elsewhere.

use jiff::{SignedDuration, Timestamp};

use super::{AttemptOutcome, Incident};
use crate::clock::add;

/// By how much the clocks of machines that are right may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

impl Incident {
    /// Takes what the responder did after `now` for done now. Answers by how much a clock was ahead at least, if one was.
    ///
    /// When access was lost, and what is in the timeline, stay as they were written.
    pub fn put_right(&mut self, now: Timestamp) -> Option<SignedDuration> {
        let latest = self.times().into_iter().map(|time| *time).max()?;
        if latest <= add(now, CLOCKS_DIFFER) {
            return None;
        }
        let ahead = latest.duration_since(now);
        if let Some(asked) = &mut self.approval {
            let by = asked.asked_at.duration_since(now).max(SignedDuration::ZERO);
            asked.answer_by = add(asked.answer_by, -by);
        }
        for time in self.times() {
            *time = (*time).min(now);
        }
        // Everything is looked at again, whatever was waited for.
        self.look_by = self.look_by.map(|at| at.min(now));
        self.quiet_passes = 0;
        Some(ahead)
    }

    /// Every time that is the responder's own and lies in the past.
    fn times(&mut self) -> Vec<&mut Timestamp> {
        let single = [&mut self.whole_since, &mut self.lost_again_at, &mut self.released_at, &mut self.gone_since];
        let mut all: Vec<&mut Timestamp> = single.into_iter().flatten().collect();
        all.push(&mut self.opened_at);
        all.extend(self.hold.as_mut().map(|hold| &mut hold.at));
        all.extend(self.members.values_mut().filter_map(|member| member.observed_at.as_mut()));
        for attempt in &mut self.attempts {
            all.push(&mut attempt.intended_at);
            all.extend(attempt.outcome.as_mut().map(AttemptOutcome::at_mut));
        }
        if let Some(asked) = &mut self.approval {
            all.push(&mut asked.asked_at);
            all.extend(asked.decision.as_mut().map(|decision| &mut decision.at));
        }
        all
    }
}

impl AttemptOutcome {
    const fn at_mut(&mut self) -> &mut Timestamp {
        match self {
            Self::Made { at }
            | Self::AlreadyThere { at }
            | Self::NotApplicable { at, .. }
            | Self::Failed { at, .. } => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::{Attempt, IncidentId, IncidentKey};
    use crate::domain::remedy::Change;
    use crate::domain::resource_id::ResourceId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap_or_default()
    }

    fn incident(opened: i64, made: i64) -> Incident {
        let server = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/contoso-sql";
        let server = ResourceId::parse(server).unwrap();
        let mut incident = Incident::open(IncidentId("km-x".into()), IncidentKey::server(&server), 30, at(opened));
        incident.attempts.push(Attempt {
            number: 1,
            change: Change::Revalidate { server },
            plan_hash: "h".to_owned(),
            intended_at: at(made),
            outcome: Some(AttemptOutcome::Made { at: at(made + 1) }),
            operation: None,
            correlation_id: None,
            before_after: Vec::new(),
        });
        incident
    }

    #[test]
    fn what_a_clock_that_was_ahead_wrote_counts_from_now() {
        let mut incident = incident(4000, 4001);
        incident.lost_at = Some(at(5000));
        assert_eq!(incident.put_right(at(10)), Some(SignedDuration::from_mins(3992)));
        assert_eq!(incident.opened_at, at(10));
        assert_eq!(incident.last_made_at(), Some(at(10)), "a wait begins anew, and does not last for days");
        assert_eq!(incident.lost_at, Some(at(5000)), "a loss may lie ahead, as one by a key that expires");
        assert_eq!(incident.put_right(at(10)), None, "once is enough");
    }

    #[test]
    fn times_that_are_past_stay() {
        let mut incident = incident(1, 2);
        let before = incident.clone();
        assert_eq!(incident.put_right(at(3)), None);
        assert_eq!(incident.put_right(add(at(3), -CLOCKS_DIFFER)), None, "clocks differ by a little");
        assert_eq!(incident, before);
    }
}
