//! The patrol: looks by itself at everything protected, so that no loss depends on somebody ringing.
//!
//! A round comes every minute: what depends on a key is listed, each vault is glanced at with what is
//! remembered of its servers, some servers are asked for inaccessible databases, and a slice of the full walk is read, so that
//! within the hour each server is read anew. What is broken becomes a signal like any other: stored first, then looked at.
//!
//! | file | job |
//! |---|---|
//! | [`settings`] | how often, and at what cost |
//! | `allowance` | how many requests a round may still make |
//! | `estate` | what is remembered of the servers |
//! | `round` | one round |
//! | `list` | what there is |
//! | `walk` | the slice of the full walk |
//! | `glances` | each vault, from its own side |
//! | `partners` | who holds geo-secondaries, before one is called short of its grant |
//! | `inaccessible` | databases that are down and that nobody told of |
//! | `told` | what was told already: a person's close is respected |
//! | `forgotten` | incidents that lost their next pass, questions that nobody answered |

mod allowance;
mod estate;
mod forgotten;
mod glances;
mod inaccessible;
mod list;
mod partners;
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

use estate::Estate;
pub use round::Round;
pub use settings::PatrolSettings;

/// The fact that remembers when the last round began, so that of several processes one makes it.
const ROUND: (&str, &str) = ("patrol", "round");

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

    /// Makes a round, unless it is switched off or another process has just begun one.
    ///
    /// # Errors
    /// [`StoreError`]: nothing that was found is lost, the next round finds it again.
    pub async fn round_if_due(&self) -> Result<Option<Round>, StoreError> {
        let now = self.responder.clock.now();
        if !self.settings.enabled || self.has_begun(now).await? {
            return Ok(None);
        }
        self.responder.store.keep_fact(ROUND.0, ROUND.1, &Value::Null, now).await?;
        let mut estate = self.estate.lock().await;
        Ok(Some(round::make(&self.responder, &self.settings, &mut estate).await?))
    }

    async fn has_begun(&self, now: Timestamp) -> Result<bool, StoreError> {
        let half = self.settings.health_every / 2;
        let last = self.responder.store.fact(ROUND.0, ROUND.1).await?;
        Ok(last.is_some_and(|(_, began)| now < add(began, half)))
    }

    /// Until the next round, a little more or less by chance: many installations must not knock in step.
    fn pause(&self) -> SignedDuration {
        let spread = f64::from(self.settings.jitter_percent) / 100.0 * (2.0 * self.responder.ids.fraction() - 1.0);
        let seconds = self.settings.health_every.as_secs_f64() * (1.0 + spread);
        SignedDuration::try_from_secs_f64(seconds).unwrap_or(self.settings.health_every)
    }
}
