//! Notices: composed with the incident, stored with it, delivered by jobs of their own, so that a channel that fails
//! never stops a repair.

use jiff::Timestamp;
use serde_json::json;

use super::pass::Draft;
use super::{JobError, JobResult, Responder};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::incident::{EntryKind, Incident, IncidentId};
use crate::domain::notice::{Notice, Situation, Told};
use crate::domain::plan::{NeedsPerson, Plan};
use crate::notify::{Channel, ChannelError, compose, texts};
use crate::responder::{databases, schedule};
use crate::store::{NewJob, StoreError, Work};
use crate::telemetry::{count, milestones};

/// The kind of fact that a whole notice is kept as.
pub(super) const NOTICE: &str = "notice";
/// The kind of fact that remembers what was delivered.
const TOLD: &str = "told";

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
        let lost = incident.restoration.as_ref().map_or(lost, crate::domain::notice::still_lost);
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
        for channel in self.channels.iter().filter(|channel| Some(channel.name()) != but) {
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

    /// Delivers one notice through one channel, once.
    pub(super) async fn deliver(&self, id: &IncidentId, notice: &str, channel: &str) -> JobResult {
        let key = format!("{notice}:{channel}");
        if self.store.fact(TOLD, &key).await?.is_some() {
            return Ok(());
        }
        let Some((kept, _)) = self.store.fact(NOTICE, notice).await? else {
            tracing::error!(incident = %id, notice, "the notice is not in the store; it cannot be delivered");
            return Ok(());
        };
        let notice: Notice = serde_json::from_value(kept)
            .map_err(|error| StoreError::Unreadable { what: format!("notice {notice}"), why: error.to_string() })?;
        let Some(to) = self.channels.iter().find(|known| known.name() == channel) else {
            tracing::warn!(incident = %id, channel, "the channel is no longer configured; its notice is dropped");
            count::notice("other", "dropped");
            return Ok(());
        };
        self.send(id, &notice, &**to, &key).await
    }

    async fn send(&self, id: &IncidentId, notice: &Notice, to: &dyn Channel, key: &str) -> JobResult {
        let now = self.clock.now();
        match to.send(notice).await {
            Ok(()) => {
                count::notice(to.name(), "delivered");
                self.store.keep_fact(TOLD, key, &json!({ "delivered": true }), now).await?;
                if notice.sequence == 1 && notice.situation != Situation::KeyExpiresSoon {
                    count::first_notice(to.name(), notice.lost_at, self.clock.now());
                }
                Ok(())
            }
            Err(ChannelError::Retry { after, why }) => {
                count::notice(to.name(), "retry");
                Err(JobError::Channel { after, why })
            }
            Err(ChannelError::Permanent { why }) => {
                count::notice(to.name(), "permanent");
                tracing::error!(incident = %id, channel = to.name(), why, "the notice could not be delivered");
                self.store.keep_fact(TOLD, key, &json!({ "delivered": false, "why": why }), now).await?;
                let line = format!("Channel {} did not take message {}: {why}", to.name(), notice.sequence);
                self.record(id, |incident| incident.note(now, EntryKind::Told, line.clone())).await
            }
        }
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
