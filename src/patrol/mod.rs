//! The patrol: looks by itself at everything protected, so that no loss depends on somebody ringing.
//!
//! A round comes every minute: what depends on a key is listed, each vault is glanced at with what is
//! remembered of its servers, some servers are asked for inaccessible databases, and a slice of the full walk is read, so that
//! within the hour each server is read anew. What a round leaves over of its requests goes into glances at the vaults until
//! the next. What is broken becomes a signal like any other: stored first, then looked at.
//!
//! | file | job |
//! |---|---|
//! | [`settings`] | how often, and at what cost |
//! | `allowance` | how many requests a round may still make |
//! | `beat` | what the parts of a round share |
//! | `estate` | what is remembered of the servers |
//! | `round` | one round, and the glances between two |
//! | `list` | what there is |
//! | `walk` | the slice of the full walk |
//! | `glances` | each vault, from its own side |
//! | `partners` | who holds geo-secondaries |
//! | `posture` | what may break next, once a day by the rules of the audit |
//! | `inaccessible` | databases that are down and that nobody told of |
//! | `told` | what was told already: a person's close is respected |
//! | `forgotten` | incidents that lost their next pass, questions that nobody answered |

mod allowance;
mod beat;
mod estate;
mod forgotten;
mod glances;
mod inaccessible;
mod list;
mod partners;
mod posture;
mod round;
pub mod settings;
mod told;
mod walk;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::add;
use crate::responder::Responder;
use crate::store::StoreError;

pub use beat::Round;
use estate::Estate;
pub use settings::PatrolSettings;

/// The fact that remembers when the last round began, so that of several processes one makes it …
const ROUND: (&str, &str) = ("patrol", "round");
/// … and when the last look did, round or glance.
const LOOK: (&str, &str) = ("patrol", "look");

/// The patrol of one process. Cheap to clone; clones share what is remembered.
#[derive(Debug, Clone)]
pub struct Patrol {
    responder: Responder,
    settings: PatrolSettings,
    estate: Arc<Mutex<Estate>>,
}

impl Patrol {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(responder: Responder, settings: PatrolSettings) -> Self {
        Self { responder, settings, estate: Arc::default() }
    }

    /// Makes rounds until the future is dropped. Dropping it at any point is safe.
    pub async fn run(&self) {
        if !self.settings.enabled {
            return;
        }
        loop {
            let busy = self.responder.clock.busy();
            if let Err(error) = self.round_if_due().await {
                tracing::error!(%error, "the patrol cannot use the store; it is tried again at the next round");
            }
            let next = add(self.responder.clock.now(), self.pause());
            let wait = self.responder.clock.idle_until(next);
            tokio::pin!(wait);
            // The clock is given free only once it knows of the wait.
            let _held = match futures::poll!(&mut wait) {
                std::task::Poll::Ready(held) => held,
                std::task::Poll::Pending => {
                    drop(busy);
                    wait.await
                }
            };
        }
    }

    /// Makes a round, or glances at the vaults between two, unless it is switched off or another process has just begun.
    ///
    /// # Errors
    /// [`StoreError`]: nothing that was found is lost, the next round finds it again.
    pub async fn round_if_due(&self) -> Result<Option<Round>, StoreError> {
        let (now, apart) = (self.responder.clock.now(), self.settings.look_every());
        if !self.settings.enabled || self.began_within(LOOK, apart / 2, now).await? {
            return Ok(None);
        }
        self.begins(LOOK, now).await?;
        let mut estate = self.estate.lock().await;
        if self.began_within(ROUND, self.settings.health_every - apart / 2, now).await? {
            return Ok(Some(round::glance(&self.responder, &self.settings, &mut estate).await?));
        }
        self.begins(ROUND, now).await?;
        Ok(Some(round::make(&self.responder, &self.settings, &mut estate).await?))
    }

    async fn began_within(&self, what: (&str, &str), time: SignedDuration, now: Timestamp) -> Result<bool, StoreError> {
        let last = self.responder.store.fact(what.0, what.1).await?;
        Ok(last.is_some_and(|(_, began)| now < add(began, time)))
    }

    async fn begins(&self, what: (&str, &str), now: Timestamp) -> Result<(), StoreError> {
        self.responder.store.keep_fact(what.0, what.1, &Value::Null, now).await
    }

    /// Until the next look, a little more or less by chance: many installations must not knock in step.
    fn pause(&self) -> SignedDuration {
        let spread = f64::from(self.settings.jitter_percent) / 100.0 * (2.0 * self.responder.ids.fraction() - 1.0);
        let apart = self.settings.look_every();
        SignedDuration::try_from_secs_f64(apart.as_secs_f64() * (1.0 + spread)).unwrap_or(apart)
    }
}
