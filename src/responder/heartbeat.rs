//! A sign of life through channels that were not used for long: a flow that does not run is switched off on some plans, and a
//! channel that broke unseen is found before the night in which it is needed.
//!
//! It is a job of its own key, so that of several processes one sends it, and a person is told if it cannot be sent.

use jiff::SignedDuration;
use serde_json::json;

use super::{JobError, JobResult, Responder};
use crate::clock::add;
use crate::notify::{Channel, ChannelError, Trial, TrialMessage};
use crate::store::{NewJob, Work};

/// Facts: when something last went through a channel, by its name.
const HEARD: &str = "heard_through_channel";
/// That is written anew at most so often.
const FRESH: SignedDuration = SignedDuration::from_hours(12);

/// When a sign of life is sent, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// After so long without a message.
    pub every: SignedDuration,
    /// Which deployment sends it, in a few words.
    pub sender: String,
}

impl Responder {
    /// Something went through a channel.
    pub(super) async fn heard_through(&self, to: &dyn Channel) -> JobResult {
        if self.heartbeat.is_none() || !to.wants_heartbeat() {
            return Ok(());
        }
        let now = self.clock.now();
        let known = self.store.fact(HEARD, to.name()).await?;
        if known.is_none_or(|(_, at)| now >= add(at, FRESH)) {
            self.store.keep_fact(HEARD, to.name(), &json!({}), now).await?;
        }
        Ok(())
    }

    /// Asks for a sign of life through every channel that was silent for too long. A channel that is new counts from now.
    pub(super) async fn ask_for_heartbeats(&self) -> JobResult {
        let Some(heartbeat) = &self.heartbeat else { return Ok(()) };
        let now = self.clock.now();
        for to in self.channels.iter().filter(|to| to.wants_heartbeat()) {
            let work = Work::Heartbeat { channel: to.name().to_owned() };
            match self.store.fact(HEARD, to.name()).await? {
                None => self.store.keep_fact(HEARD, to.name(), &json!({}), now).await?,
                Some((_, at)) if now >= add(at, heartbeat.every) && !self.store.knows_job(&work.key()).await? => {
                    self.store.enqueue(&NewJob { work, due: now }, now).await?;
                    self.wake.now(&self.clock);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Sends one, unless something went through meanwhile.
    pub(super) async fn send_heartbeat(&self, channel: &str) -> JobResult {
        let Some(heartbeat) = &self.heartbeat else { return Ok(()) };
        let Some(to) = self.channels.iter().find(|known| known.name() == channel) else { return Ok(()) };
        let now = self.clock.now();
        let known = self.store.fact(HEARD, channel).await?;
        if known.is_some_and(|(_, at)| now < add(at, heartbeat.every)) {
            return Ok(());
        }
        let trial = TrialMessage {
            trial: Trial::Heartbeat,
            id: format!("heartbeat-{channel}-{}", now.strftime("%Y%m%d")),
            at: now,
            sender: heartbeat.sender.clone(),
        };
        match to.try_out(&trial).await {
            Ok(said) => {
                tracing::info!(channel, said, "a heartbeat was sent");
                Ok(self.store.keep_fact(HEARD, channel, &json!({}), now).await?)
            }
            // Tried some times, then set aside: a person is told through the other channels.
            Err(ChannelError::Permanent { why }) => Err(JobError::Channel { after: None, why }),
            Err(ChannelError::Retry { after, why }) => Err(JobError::Channel { after, why }),
        }
    }
}
