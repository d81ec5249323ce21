//! Delivers notices: through each channel one at a time and in order, once each, whatever fails in between.
//!
//! A notice waits until the one before it has been delivered through the same channel or was given up there: the job that finds
//! another in front of it asks for that one and ends, and whoever settles a notice asks for the next. So no two jobs ever
//! send through one channel about one incident at the same time, and a ticket is opened before it is written to.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::tell::NOTICE;
use super::{JobError, JobResult, Responder, set_aside};
use crate::clock::add;
use crate::domain::incident::{EntryKind, Incident, IncidentId};
use crate::domain::notice::{Notice, Situation, Told};
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::{Channel, ChannelError, Parcel};
use crate::store::{NewJob, StoreError, Work};
use crate::telemetry::count;

/// The kind of fact that remembers what was delivered, by notice and channel.
pub const TOLD: &str = "told";
/// The kind of fact that holds what a channel keeps of an incident.
const KEPT: &str = "kept_by_channel";
/// The kind of fact that says that a notice comes in the place of another channel, and why.
const INSTEAD: &str = "instead_of_channel";
/// The channel that is no person: what is in the log alone was told to nobody.
const LOG: &str = "log";
/// A message that comes later than this says when it was written.
const LATE: SignedDuration = SignedDuration::from_mins(5);

impl Responder {
    /// Delivers one notice through one channel, once.
    pub(super) async fn deliver(&self, id: &IncidentId, notice: &str, channel: &str) -> JobResult {
        if self.is_settled(notice, channel).await? {
            return self.ask_for_next(id, notice, channel).await;
        }
        let Some((kept, _)) = self.store.fact(NOTICE, notice).await? else {
            tracing::error!(incident = %id, notice, "the notice is not in the store; it cannot be delivered");
            return self.ask_for_next(id, notice, channel).await;
        };
        let Some(to) = self.channels.iter().find(|known| known.name() == channel) else {
            tracing::warn!(incident = %id, channel, "the channel is no longer configured; its notice is dropped");
            count::notice("other", "dropped");
            return Ok(());
        };
        if let Some(before) = self.in_front(id, notice, &**to).await? {
            return self.ask_for(id, &before, channel).await;
        }
        let told: Notice = serde_json::from_value(kept)
            .map_err(|error| StoreError::Unreadable { what: format!("notice {notice}"), why: error.to_string() })?;
        self.send(id, notice, &told, &**to).await?;
        self.ask_for_next(id, notice, channel).await
    }

    /// Whether nothing more is to be done about a notice: it was delivered, or refused for good.
    async fn is_settled(&self, notice: &str, channel: &str) -> JobResult<bool> {
        Ok(self.store.fact(TOLD, &format!("{notice}:{channel}")).await?.is_some())
    }

    /// The notice that has to go first through this channel. One that was set aside holds nobody up.
    async fn in_front(&self, id: &IncidentId, notice: &str, to: &dyn Channel) -> JobResult<Option<String>> {
        let Some((incident, _)) = self.store.incident(id).await? else { return Ok(None) };
        let Some(at) = incident.notices.iter().position(|told| told.kept == notice) else { return Ok(None) };
        let Some(before) = incident.notices[..at].iter().rev().find(|told| to.takes(told.situation)) else {
            return Ok(None);
        };
        let (told, channel) = (&before.kept, to.name());
        if self.is_settled(told, channel).await? || self.was_set_aside(&job(id, told, channel).key()).await? {
            return Ok(None);
        }
        Ok(self.store.fact(NOTICE, told).await?.map(|_| told.clone()))
    }

    /// Asks for the next notice that this channel has not delivered, if there is one.
    async fn ask_for_next(&self, id: &IncidentId, notice: &str, channel: &str) -> JobResult {
        let Some(to) = self.channels.iter().find(|known| known.name() == channel) else { return Ok(()) };
        let Some((incident, _)) = self.store.incident(id).await? else { return Ok(()) };
        let Some(next) = next_of(&incident, notice, &**to) else { return Ok(()) };
        if self.is_settled(&next.kept, channel).await? {
            return Ok(());
        }
        self.ask_for(id, &next.kept, channel).await
    }

    async fn ask_for(&self, id: &IncidentId, notice: &str, channel: &str) -> JobResult {
        let now = self.clock.now();
        self.store.enqueue(&NewJob { work: job(id, notice, channel), due: now }, now).await?;
        self.wake.now(&self.clock);
        Ok(())
    }

    async fn send(&self, id: &IncidentId, key: &str, notice: &Notice, to: &dyn Channel) -> JobResult {
        let (kept, instead) = (format!("{id}:{}", to.name()), format!("{key}:{}", to.name()));
        let before = self.store.fact(KEPT, &kept).await?.map(|(value, _)| value);
        let remark = self.remark(notice, &instead).await?;
        let parcel = Parcel { notice, kept: before.as_ref(), remark: remark.as_deref() };
        let sent = to.send(&parcel).await;
        let now = self.clock.now();
        match sent {
            Ok(keep) => {
                count::notice(to.name(), "delivered");
                if let Some(keep) = keep.filter(|keep| before.as_ref() != Some(keep)) {
                    self.store.keep_fact(KEPT, &kept, &keep, now).await?;
                }
                self.store.keep_fact(TOLD, &instead, &json!({ "delivered": true }), now).await?;
                if notice.sequence == 1 && notice.situation != Situation::KeyExpiresSoon {
                    count::first_notice(to.name(), notice.lost_at, now);
                }
                self.heard_through(to).await
            }
            Err(ChannelError::Retry { after, why }) => {
                count::notice(to.name(), "retry");
                Err(JobError::Channel { after, why })
            }
            Err(ChannelError::Permanent { why }) => {
                count::notice(to.name(), "permanent");
                tracing::error!(incident = %id, channel = to.name(), why, "the notice could not be delivered");
                self.refused(id, key, notice, to, &why, now).await
            }
        }
    }

    /// What is said before the notice itself.
    async fn remark(&self, notice: &Notice, key: &str) -> JobResult<Option<String>> {
        let instead = self.store.fact(INSTEAD, key).await?;
        let mut remarks: Vec<String> =
            instead.and_then(|(value, _)| value.as_str().map(str::to_owned)).into_iter().collect();
        if self.clock.now() > add(notice.at, LATE) {
            let at = date_and_clock(notice.at);
            remarks.push(format!(
                "This message was written at {at} and could not be delivered before. A later one may follow."
            ));
        }
        Ok((!remarks.is_empty()).then(|| remarks.join(" ")))
    }

    /// A channel refused a notice for good: the next one has it, and the team is told once.
    async fn refused(
        &self,
        id: &IncidentId,
        key: &str,
        notice: &Notice,
        to: &dyn Channel,
        why: &str,
        now: Timestamp,
    ) -> JobResult {
        self.hand_over(id, key, notice.situation, to.name(), why).await?;
        let line = format!("Channel {} did not take message {}: {why}", to.name(), notice.sequence);
        self.record(id, |incident| incident.note(now, EntryKind::Told, line.clone())).await?;
        if !set_aside::is_about_that(notice) {
            self.tell_of_refusal(id, to.name(), why).await?;
        }
        let value = json!({ "delivered": false, "why": why });
        Ok(self.store.keep_fact(TOLD, &format!("{key}:{}", to.name()), &value, now).await?)
    }

    /// Whether a channel is known not to deliver a notice.
    async fn fails_with(&self, id: &IncidentId, key: &str, channel: &str) -> JobResult<bool> {
        let told = self.store.fact(TOLD, &format!("{key}:{channel}")).await?;
        if told.is_some_and(|(told, _)| told["delivered"] == false) {
            return Ok(true);
        }
        self.was_set_aside(&job(id, key, channel).key()).await
    }

    /// Gives a notice that `from` does not deliver to the first channel that is not told of it anyway, unless another channel
    /// has it: nobody is called twice for one message.
    pub(super) async fn hand_over(
        &self,
        id: &IncidentId,
        key: &str,
        situation: Situation,
        from: &str,
        why: &str,
    ) -> JobResult {
        let free = |channel: &&std::sync::Arc<dyn Channel>| !channel.takes(situation) && channel.name() != from;
        let Some(next) = self.channels.iter().find(free) else { return Ok(()) };
        for other in self.channels.iter().filter(|one| one.takes(situation) && one.name() != from && one.name() != LOG)
        {
            if !self.fails_with(id, key, other.name()).await? {
                return Ok(());
            }
        }
        let remark = Value::from(format!("For channel {from}, which did not take this message: {why}."));
        let now = self.clock.now();
        self.store.keep_fact(INSTEAD, &format!("{key}:{}", next.name()), &remark, now).await?;
        self.ask_for(id, key, next.name()).await
    }
}

fn job(id: &IncidentId, notice: &str, channel: &str) -> Work {
    Work::Tell { incident: id.clone(), notice: notice.to_owned(), channel: channel.to_owned() }
}

/// The notice after this one that the channel is told of.
fn next_of<'a>(incident: &'a Incident, notice: &str, to: &dyn Channel) -> Option<&'a Told> {
    let at = incident.notices.iter().position(|told| told.kept == notice)?;
    incident.notices[at + 1..].iter().find(|told| to.takes(told.situation))
}
