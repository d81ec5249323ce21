//! Posture, in the patrol: the chains of each vault are judged once a day by the rules of `keymend audit`, one vault a round.
//! What weighs heavily is told in the log once, and counted for whoever reads the metrics; nobody is woken by it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::beat::Beat;
use super::estate::{Estate, Known};
use crate::clock::add;
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::posture::chain::chains;
use crate::posture::checks;
use crate::posture::finding::{Finding, Level};
use crate::posture::survey::PER_VAULT;
use crate::probe::{self, Question};
use crate::store::{POSTURE, StoreError};

/// How long a vault is not judged again.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Judges the vault whose turn it is, once all of its servers are known. While an incident is open, none.
pub(super) async fn judge(beat: &mut Beat<'_>, estate: &Estate) -> Result<(), StoreError> {
    if !beat.calm {
        return Ok(());
    }
    let now = beat.responder.clock.now();
    let before = beat.responder.store.facts(POSTURE).await?;
    let last = |host: &VaultHost| before.iter().find(|(of, ..)| of == host.as_str());
    let vaults = estate.by_vault();
    let whole = vaults.iter().filter(|(_, known)| known.iter().all(|known| known.read_at.is_some()));
    let turn = whole.map(|(host, known)| (last(host).map(|(.., judged)| *judged), host, known));
    let due = turn.filter(|(judged, ..)| judged.is_none_or(|judged| judged <= add(now, -DAY)));
    let Some((_, host, known)) = due.min_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1))) else { return Ok(()) };
    let Some(question) = question(beat, estate, host, known, now).await? else { return Ok(()) };
    let evidence = probe::observe(&beat.responder.azure, &question).await;
    if beat.allowance.was_throttled() {
        return Ok(());
    }
    let policy = &beat.responder.policy;
    let found = checks::check(&evidence, &chains(&evidence, policy), policy);
    tell(host, &found, last(host).map(|(_, value, _)| value));
    beat.responder.store.keep_fact(POSTURE, host.as_str(), &remembered(&found), now).await
}

/// Nothing where the round has too few requests left for it.
async fn question(
    beat: &Beat<'_>,
    estate: &Estate,
    host: &VaultHost,
    known: &[&Known],
    now: Timestamp,
) -> Result<Option<Question>, StoreError> {
    let keys: Vec<_> = known.iter().filter_map(|known| known.key().cloned()).collect();
    let distinct: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
    if beat.allowance.left() < PER_VAULT + distinct.len() {
        return Ok(None);
    }
    let servers: Vec<ResourceId> = known.iter().map(|known| known.seen.id.clone()).collect();
    Ok(Some(Question {
        vault: Some(host.clone()),
        vault_id: beat.responder.vault_id_of(host, &servers).await?,
        keys,
        remembered: estate.remembered(known),
        ..Question::new(servers, now)
    }))
}

fn weighty(found: &[Finding]) -> impl Iterator<Item = (String, &Finding)> {
    let weighty = found.iter().filter(|finding| finding.level >= Level::High);
    weighty.map(|finding| (format!("{}|{}", finding.rule, finding.subject), finding))
}

/// Says what was not there the day before.
fn tell(host: &VaultHost, found: &[Finding], before: Option<&Value>) {
    let known = |name: &str| {
        before.is_some_and(|before| before["weighty"].as_array().is_some_and(|all| all.iter().any(|one| one == name)))
    };
    for (_, finding) in weighty(found).filter(|(name, _)| !known(name)) {
        let (rule, level, what, fix) = (finding.rule, finding.level.word(), &finding.what, &finding.fix);
        tracing::warn!(vault = %host, rule, level, subject = finding.subject, what, fix, "audit: this may break next; see `keymend audit`");
    }
}

fn remembered(found: &[Finding]) -> Value {
    let count = |level: Level| found.iter().filter(|finding| finding.level == level).count();
    let counts: serde_json::Map<String, Value> =
        Level::ALL.into_iter().map(|level| (level.word().to_owned(), json!(count(level)))).collect();
    json!({ "found": counts, "weighty": weighty(found).map(|(name, _)| name).collect::<BTreeSet<_>>() })
}
