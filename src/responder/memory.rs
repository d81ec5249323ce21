//! What is remembered over all incidents: repairs made (to notice that somebody undid one) and writes sent (the budget).

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::clock::add;
use crate::domain::incident::{Attempt, AttemptOutcome, IncidentId};
use crate::domain::plan::Memory;
use crate::domain::policy::Policy;
use crate::domain::remedy::Remedy;
use crate::store::{Result, Store};

const REPAIR: &str = "repair";
const WRITE: &str = "write";

/// Reads what a decision may depend on.
pub async fn recall(store: &dyn Store, policy: &Policy, now: Timestamp) -> Result<Memory> {
    let within = SignedDuration::from_hours(i64::from(policy.gates.repeat_within_hours));
    let made = store.facts(REPAIR).await?.into_iter().map(|(subject, value, kept)| {
        let at = value["at"].as_str().and_then(|at| at.parse().ok()).unwrap_or(kept);
        (subject, at)
    });
    let made: Vec<(String, Timestamp)> = made.collect();
    let extends = |subject: &str| subject.split('|').next() == Some(Remedy::ExtendExpiry.name());
    let extensions = made.iter().filter(|(subject, _)| extends(subject)).cloned().collect();
    let repairs = made.into_iter().filter(|(_, at)| *at > add(now, -within)).collect();
    let hour_ago = add(now, SignedDuration::from_hours(-1));
    let writes = store.facts(WRITE).await?.iter().filter(|(_, _, at)| *at > hour_ago).count();
    Ok(Memory { repairs, extensions, writes_last_hour: u32::try_from(writes).unwrap_or(u32::MAX) })
}

/// Remembers that a write is about to be sent.
pub async fn count_write(store: &dyn Store, incident: &IncidentId, attempt: &Attempt, now: Timestamp) -> Result<()> {
    let key = format!("{incident}.{}", attempt.number);
    store.keep_fact(WRITE, &key, &json!({ "change": attempt.change.remedy().name() }), now).await
}

/// Remembers a repair that took effect.
pub async fn keep_repair(store: &dyn Store, incident: &IncidentId, attempt: &Attempt, now: Timestamp) -> Result<()> {
    if let Some(AttemptOutcome::Made { at }) = attempt.outcome {
        for subject in attempt.change.subjects() {
            store.keep_fact(REPAIR, &subject, &json!({ "at": at.to_string(), "incident": incident }), now).await?;
        }
    }
    Ok(())
}
