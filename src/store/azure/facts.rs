//! Facts worth keeping: small JSON values under a kind and a key.

use futures::FutureExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blobs::{Blobs, Metadata, When, all, all_readable};
use super::document::{self, micros, time};
use super::names;
use crate::clock;
use crate::store::{FACT_KEPT_FOR, Result};

#[derive(Debug, Serialize, Deserialize)]
struct Fact {
    kind: String,
    key: String,
    kept_at: i64,
    value: Value,
}

pub(super) async fn keep(blobs: &Blobs, kind: &str, key: &str, value: &Value, now: Timestamp) -> Result<()> {
    let kept_at = micros(now);
    let fact = Fact { kind: kind.to_owned(), key: key.to_owned(), kept_at, value: value.clone() };
    let metadata = Metadata::from([("kept".to_owned(), kept_at.to_string())]);
    blobs.put(&names::fact(kind, key), document::write(&fact)?, metadata, &When::Always).await?;
    Ok(())
}

pub(super) async fn one(blobs: &Blobs, kind: &str, key: &str) -> Result<Option<(Value, Timestamp)>> {
    let fact: Option<(Fact, _)> = blobs.record(&names::fact(kind, key), &format!("fact {kind} {key}")).await?;
    Ok(fact.map(|(fact, _)| (fact.value, time(fact.kept_at))))
}

pub(super) async fn of_kind(blobs: &Blobs, kind: &str) -> Result<Vec<(String, Value, Timestamp)>> {
    let listed = blobs.list(&names::facts_of(kind)).await?;
    let read = listed.iter().map(|seen| blobs.record::<Fact>(&seen.name, &seen.name).boxed());
    let facts = all_readable(read).await?.into_iter();
    let mut facts: Vec<_> = facts.map(|(fact, _)| (fact.key, fact.value, time(fact.kept_at))).collect();
    facts.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok(facts)
}

/// Removes facts that nobody has renewed for long; answers how many.
pub(super) async fn prune(blobs: &Blobs, now: Timestamp) -> Result<usize> {
    let before = micros(clock::add(now, -FACT_KEPT_FOR));
    let mut old = blobs.list(names::FACTS).await?;
    old.retain(|seen| seen.number("kept").is_some_and(|kept| kept < before));
    let removed = all(old.iter().map(|seen| blobs.delete(&seen.name, Some(&seen.etag)).boxed())).await?;
    Ok(removed.into_iter().filter(|removed| *removed).count())
}
