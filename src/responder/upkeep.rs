//! What nobody rings for. Each part may be done by several processes at once, and again, without harm.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Responder;
use crate::clock::add;
use crate::store::{Pruned, StoreError, Swept};

/// How often jobs that were set aside, and work that was forgotten, are looked for.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How often old signals, facts and incidents are removed.
const TIDY_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// The fact that remembers when that was done last.
const TIDIED: (&str, &str) = ("upkeep", "tidied");

/// What one round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// What the store made good.
    pub swept: Swept,
    /// Jobs set aside of which the team was told now.
    pub told: usize,
    /// The parts that failed. The log says why.
    pub failed: Vec<&'static str>,
}

impl Responder {
    /// One round of upkeep. A part that fails does not keep the others from being done.
    pub async fn keep_house(&self) -> Round {
        let mut round = Round::default();
        match self.store.sweep(self.clock.now()).await {
            Ok(swept) => {
                round.swept = swept;
                if swept != Swept::default() {
                    tracing::info!(
                        completed = swept.completed,
                        called = swept.called,
                        "made good what was left half done"
                    );
                }
            }
            Err(error) => round.failed("sweep", &error),
        }
        match self.tell_of_set_aside().await {
            Ok(told) => round.told = told,
            Err(error) => round.failed("telling of jobs set aside", &error),
        }
        if let Err(error) = self.revive_messages().await {
            round.failed("trying messages again", &error);
        }
        if let Err(error) = self.tidy().await {
            round.failed("removing what is too old", &error);
        }
        round
    }

    /// The same for a loop, at most once a minute.
    pub(super) async fn look_around(&self, looked: &mut Option<Timestamp>) {
        let now = self.clock.now();
        // A clock that was put back shows a time before the last look.
        if looked.is_some_and(|last| now >= last && now < add(last, LOOK_EVERY)) {
            return;
        }
        *looked = Some(now);
        self.keep_house().await;
    }

    /// Once a day, lets the store forget what is too old to matter.
    async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let last = self.store.fact(TIDIED.0, TIDIED.1).await?;
        if last.is_some_and(|(_, last)| now >= last && now < add(last, TIDY_EVERY)) {
            return Ok(());
        }
        // Said first, so that of several processes one does it.
        self.store.keep_fact(TIDIED.0, TIDIED.1, &json!({}), now).await?;
        if let Err(error) = self.ask_for_heartbeats().await {
            tracing::error!(%error, "signs of life could not be asked for; they are tomorrow");
        }
        let incidents_before = self.keep_incidents.map(|kept| add(now, -kept));
        let Pruned { signals, facts, incidents } = self.store.prune(incidents_before, now).await?;
        tracing::debug!(signals, facts, incidents, "the store was tidied");
        Ok(())
    }
}

impl Round {
    fn failed(&mut self, part: &'static str, error: &dyn std::fmt::Display) {
        tracing::error!(part, %error, "upkeep failed; it is tried again in a minute");
        self.failed.push(part);
    }
}
