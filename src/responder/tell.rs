//! Notices: composed with the incident, stored with it, delivered by jobs of their own ([`super::deliver`]), so that a
//! channel that fails never stops a repair.

use std::sync::Arc;

use jiff::Timestamp;

use super::draft::Draft;
use super::{JobResult, Responder};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::incident::{EntryKind, Incident, IncidentId};
use crate::domain::notice::{Situation, Told};
use crate::domain::plan::{NeedsPerson, Plan};
use crate::notify::{Channel, compose, texts};
use crate::responder::{databases, schedule};
use crate::store::{NewJob, StoreError, Work};
use crate::telemetry::milestones;

/// The kind of fact that a whole notice is kept as.
pub(super) const NOTICE: &str = "notice";

/// What a notice says beside the incident's own facts.
#[derive(Debug, Clone, Default)]
pub struct Say {
    /// In words.
    pub reason: Option<String>,
    /// Why a person is needed.
    pub needs_person: Option<NeedsPerson>,
    /// The plan in question.
    pub plan: Option<Plan>,
    /// The key of a job that was set aside.
    pub retry: Option<String>,
}

impl Responder {
    /// Adds a notice to the incident and the jobs that deliver it, unless the same was said already.
    pub(super) fn tell(&self, draft: &mut Draft, situation: Situation, say: Say, now: Timestamp) {
        let incident = &mut draft.incident;
        let cause = incident.diagnosis.as_ref().map(Diagnosis::cause);
        let needed = incident.needs_person.clone();
        if let Some(reason) = say.needs_person {
            incident.needs_person = Some((reason, say.reason.clone().unwrap_or_default()));
        }
        let new = compose::is_new(incident, situation, cause);
        incident.needs_person = needed;
        if new {
            self.tell_anew(draft, situation, say, None, now);
        }
    }

    /// Adds a notice, whatever was said before, through every channel but the one called `but`.
    pub(super) fn tell_anew(
        &self,
        draft: &mut Draft,
        situation: Situation,
        say: Say,
        but: Option<&str>,
        now: Timestamp,
    ) {
        let incident = &mut draft.incident;
        let next_message_at = (!incident.phase.is_end()).then(|| schedule::next_word(incident, now));
        let lost = databases::lost_settings(incident);
        let lost = incident.restoration.as_ref().map_or(lost, crate::domain::restoration::still_lost);
        let known = incident.lost_at.is_some();
        let mut notice =
            compose::compose(incident, situation, say.reason, say.needs_person, lost, known, next_message_at, now);
        if say.plan.is_some() {
            notice.plan = say.plan;
        }
        notice.retry = say.retry;
        if notice.needs_person == Some(NeedsPerson::SetAside) {
            notice.next_message_at = None;
        }
        incident.note(now, EntryKind::Told, format!("Told the team: {}", texts::headline(&notice)));
        let told = Told::of(&notice);
        let told_of = |channel: &&Arc<dyn Channel>| Some(channel.name()) != but && channel.takes(situation);
        for channel in self.channels.iter().filter(told_of) {
            let work = Work::Tell {
                incident: incident.id.clone(),
                notice: told.kept.clone(),
                channel: channel.name().to_owned(),
            };
            draft.jobs.push(NewJob { work, due: now });
        }
        incident.notices.push(told);
        draft.notices.push(notice);
    }

    /// Changes the stored incident, whatever others save meanwhile.
    pub(super) async fn record(&self, id: &IncidentId, change: impl Fn(&mut Incident)) -> JobResult {
        for _ in 0..20 {
            let Some((before, version)) = self.store.incident(id).await? else { return Ok(()) };
            let (mut incident, now) = (before.clone(), self.clock.now());
            change(&mut incident);
            match self.store.save(&incident, Some(version), &[], &[], now).await {
                Ok(_) => {
                    milestones::count(Some(&before), &incident, now);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }
}
