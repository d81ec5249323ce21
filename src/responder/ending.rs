//! When an incident is over. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnosis::{Cause, Diagnosis, Finding};
use crate::domain::incident::{Incident, Phase};
use crate::domain::notice::Situation;

/// SQL's own key check shows a loss within 10 minutes by documentation. As long as a database that was never down
/// might still be about to go down, the incident is watched: this long after the chain was whole again.
pub const WATCH: SignedDuration = SignedDuration::from_mins(12);

/// How long Azure must go on saying that the servers are gone: a 404 is also what a region answers that has not heard of a
/// resource yet, or not now, and whoever is told that nothing is left to repair stops looking.
pub const GONE_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How an incident ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// [`Phase::Healed`] or [`Phase::Closed`].
    pub phase: Phase,
    /// What people are told; nobody is told of an alert with nothing behind it.
    pub situation: Option<Situation>,
    /// In words.
    pub why: String,
}

/// Whether the incident is over by what was seen last, and how.
#[must_use]
pub fn judge(incident: &Incident, now: Timestamp) -> Option<End> {
    let diagnosis = incident.diagnosis.as_ref()?;
    match diagnosis.cause() {
        Cause::ServiceManaged => return Some(no_longer_ours(incident, diagnosis)),
        Cause::TargetGone => {
            let for_good = incident.gone_since.is_some_and(|since| now >= add(since, GONE_FOR));
            return for_good.then(|| no_longer_ours(incident, diagnosis));
        }
        _ => {}
    }
    let working = incident.attempts.iter().any(|attempt| attempt.outcome.is_none());
    let whole = diagnosis.chain_is_whole() || incident.whole_since.is_some();
    if working || !whole || !incident.inaccessible().is_empty() || partners_suffer(incident, diagnosis) {
        return None;
    }
    let real = incident.was_broken || incident.members.values().any(|member| member.was_down);
    if !real {
        let watched = !incident.loss_reported || now >= add(incident.opened_at, WATCH);
        let why = "Nothing is wrong: access to the key is whole and every database is in service".to_owned();
        return watched.then_some(End { phase: Phase::Closed, situation: None, why });
    }
    let proven = incident.members.values().all(|member| member.was_down);
    let since = incident.whole_since.into_iter().chain(incident.last_made_at()).max().unwrap_or(incident.opened_at);
    if !proven && now < add(since, WATCH) {
        return None;
    }
    Some(healed(incident))
}

/// Whether a geo partner lacks its grant, or holds a secondary that died of it: of that the incident's own servers show
/// nothing.
fn partners_suffer(incident: &Incident, diagnosis: &Diagnosis) -> bool {
    let elsewhere = |finding: &Finding| finding.servers.iter().any(|one| !incident.members.contains_key(one.key()));
    diagnosis.findings.iter().any(|finding| match finding.cause {
        Cause::GeoPartnerWithoutGrant => true,
        Cause::DeadSecondary => elsewhere(finding),
        _ => false,
    })
}

fn healed(incident: &Incident) -> End {
    if incident.only_expires() {
        return averted(incident);
    }
    let down = incident.members.values().any(|member| member.was_down);
    let back = if down { "every database is back online" } else { "no database went down" };
    if incident.made().next().is_some() {
        let why = format!("Access to the key was repaired and {back}");
        End { phase: Phase::Healed, situation: Some(Situation::Resolved), why }
    } else {
        let why = format!("Access to the key came back without us and {back}");
        End { phase: Phase::Healed, situation: Some(Situation::RecoveredWithoutUs), why }
    }
}

/// A key that was about to expire does not any more.
fn averted(incident: &Incident) -> End {
    let (situation, how) = if incident.made().next().is_some() {
        (Situation::Resolved, "The key's expiry was extended before it came")
    } else {
        (Situation::RecoveredWithoutUs, "The key does not expire soon any more, or is not used any more")
    };
    End { phase: Phase::Healed, situation: Some(situation), why: format!("{how}, and no database went down") }
}

fn no_longer_ours(incident: &Incident, diagnosis: &Diagnosis) -> End {
    let why = match diagnosis.cause() {
        Cause::ServiceManaged => "The server uses Microsoft's own key: nothing here depends on a key vault",
        _ => "The server is gone: nothing is left to repair",
    };
    let told = !incident.notices.is_empty();
    End { phase: Phase::Closed, situation: told.then_some(Situation::RecoveredWithoutUs), why: why.to_owned() }
}
