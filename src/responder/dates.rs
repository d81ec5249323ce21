//! Dates of keys that nobody rings for: Event Grid tells once, 30 days ahead, that a key expires soon. Whoever was told comes
//! back by himself for each warning and for the moment from which the key is extended, whether or not a patrol walks.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{JobResult, Responder, schedule};
use crate::clock::add;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::Evidence;
use crate::domain::expiry::{next_look, warnings};
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::store::{NewJob, Work};

/// The kind of fact that remembers when a vault's keys are to be looked at because of their dates.
const WATCHED: &str = "dates_watched";
/// When that is where no look has told better: another incident of the vault may be at work.
const IN_DOUBT: SignedDuration = SignedDuration::from_hours(1);

impl Responder {
    /// A key of this vault expires soon: somebody looks, at the latest in an hour.
    pub(super) async fn watch_dates(&self, vault: &ResourceId, signals: &[Signal]) -> JobResult {
        if vault.key_vault().is_some() && signals.iter().any(|signal| signal.kind == SignalKind::KeyNearExpiry) {
            self.look_at_dates_at(vault, Some(add(self.clock.now(), IN_DOUBT))).await?;
        }
        Ok(())
    }

    /// What a glance at the vault saw says when to look next.
    pub(super) async fn watch_by(&self, vault: &ResourceId, evidence: &Evidence, diagnosis: &Diagnosis) -> JobResult {
        if vault.key_vault().is_none() || !self.is_watched(vault).await? {
            return Ok(());
        }
        let now = self.clock.now();
        let next = next_look(&warnings(evidence, now), self.policy.extends_ahead(), now);
        // What is extended now gets another date.
        let dealt_with = diagnosis.findings.iter().any(|finding| finding.cause == Cause::KeyExpiring);
        let soon = dealt_with.then(|| add(now, IN_DOUBT));
        self.look_at_dates_at(vault, next.into_iter().chain(soon).min()).await
    }

    /// A job about this vault has ended: the next one is due when a date comes.
    pub(super) async fn keep_watch(&self, vault: &ResourceId) -> JobResult {
        let Some(due) = self.date_of(vault).await? else { return Ok(()) };
        let now = self.clock.now();
        let work = Work::Locate { target: vault.clone() };
        // One that has come while signals wait to be looked at together comes after them.
        let due = due.max(add(now, schedule::GATHER));
        Ok(self.store.enqueue(&NewJob { work, due }, now).await?)
    }

    /// Nobody told anything of this vault: perhaps a date has come.
    pub(super) async fn look_at_dates(&self, vault: &ResourceId) -> JobResult {
        let now = self.clock.now();
        match self.date_of(vault).await? {
            Some(due) if due <= now => {
                let said = "a date of its keys has come".to_owned();
                let signal = Signal::seen_by_us(SignalKind::KeyNearExpiry, vault.clone(), said, now);
                self.store.accept(&[signal], now).await?;
                self.look_at_dates_at(vault, Some(add(now, IN_DOUBT))).await
            }
            _ => Ok(()),
        }
    }

    async fn is_watched(&self, vault: &ResourceId) -> JobResult<bool> {
        Ok(self.date_of(vault).await?.is_some())
    }

    async fn date_of(&self, vault: &ResourceId) -> JobResult<Option<Timestamp>> {
        if vault.key_vault().is_none() {
            return Ok(None);
        }
        let kept = self.store.fact(WATCHED, vault.key()).await?;
        Ok(kept.and_then(|(value, _)| value["due"].as_str()?.parse().ok()))
    }

    async fn look_at_dates_at(&self, vault: &ResourceId, due: Option<Timestamp>) -> JobResult {
        let value = due.map_or(Value::Null, |due| json!({ "due": due.to_string() }));
        Ok(self.store.keep_fact(WATCHED, vault.key(), &value, self.clock.now()).await?)
    }
}
