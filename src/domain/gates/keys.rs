//! Gates of the key: replaced, about to be purged, rotated away from, extended too far.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::diagnosis::Cause;
use crate::domain::evidence::KeyEvidence;
use crate::domain::gates::{Situation, finding_of, hard, servers, touches};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::remedy::Change;
use crate::domain::words::utc;

/// A version made this shortly before now makes a disabled or deleted one suspect of being meant.
const JUST_MADE: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let mut hits = Vec::new();
    hits.extend(replaced(plan, situation));
    for change in &plan.changes {
        match change {
            Change::RecoverVault { .. } => hits.extend(purge(vault_purge(plan, situation), "the vault", situation)),
            Change::RecoverKey { key } => {
                let seen = situation.evidence.keys.iter().filter(|seen| touches(change, seen));
                let at = seen.filter_map(|seen| seen.deleted.known()?.purge_at).min();
                hits.extend(purge(at, &format!("key {}", key.key), situation));
                hits.extend(newer_version(change, situation));
            }
            Change::EnableKey { .. } => hits.extend(newer_version(change, situation)),
            Change::ExtendExpiry { to, from, .. } => {
                hits.extend(too_far(*to, situation));
                hits.extend(from.and_then(|from| just_dated(change, from, situation)));
                hits.extend(rotation_unknown(change, plan, situation));
                hits.extend(extended_before(change, plan, situation));
            }
            _ => {}
        }
    }
    hits
}

fn replaced(plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let servers = servers(plan);
    let found = situation.diagnosis.findings.iter().find(|finding| {
        finding.cause == Cause::KeyReplaced && finding.servers.iter().any(|server| servers.contains(server))
    })?;
    Some(hard(
        Gate::KeyReplaced,
        format!("another key stands where {} was: no right on it opens the databases", found.resource),
    ))
}

fn vault_purge(plan: &Plan, situation: &Situation<'_>) -> Option<Timestamp> {
    let deleted = situation.evidence.vault.as_ref().and_then(|vault| vault.deleted.known());
    deleted.and_then(|deleted| deleted.purge_at).or_else(|| finding_of(plan, situation)?.purge_at)
}

/// A purge that is near, under way or at an unknown time is never raced.
fn purge(at: Option<Timestamp>, what: &str, situation: &Situation<'_>) -> Option<GateHit> {
    let margin = SignedDuration::from_mins(i64::from(situation.policy.gates.purge_margin_minutes));
    match at {
        None => Some(hard(Gate::CannotTell, format!("when {what} is purged is not known"))),
        Some(at) if at <= add(situation.now, margin) => {
            Some(hard(Gate::PurgeNear, format!("{what} is purged at {}: a purge is never raced", utc(at))))
        }
        Some(_) => None,
    }
}

/// An expiry that lay ahead when the incident was opened, of a version that was changed shortly before: whoever gave the
/// key that date may have meant it, and there is time to ask. The log never shows who changes a key.
fn just_dated(change: &Change, from: Timestamp, situation: &Situation<'_>) -> Option<GateHit> {
    let opened = situation.incident.opened_at;
    let within = SignedDuration::from_mins(i64::from(situation.policy.gates.deliberate_within_minutes));
    let versions = situation.evidence.keys.iter().filter(|seen| touches(change, seen));
    let updated = versions.filter_map(|seen| seen.version.known()?.updated).max()?;
    let meant = from > opened && updated >= add(opened, -within);
    meant.then(|| GateHit {
        gate: Gate::DeliberateRevocation,
        why: format!("the key was changed at {}: its expiry at {} may have been meant", utc(updated), utc(from)),
        hard: false,
    })
}

/// A key that was extended once and expires again was not rotated meanwhile. Whether a date is to be moved forever is for a
/// person, while nothing is lost yet.
fn extended_before(change: &Change, plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let subjects = change.subjects();
    let before = situation.memory.extensions.iter().filter(|(subject, _)| subjects.contains(subject));
    let last = before.map(|(_, at)| *at).filter(|at| *at < situation.incident.opened_at).max()?;
    (plan.cause == Cause::KeyExpiring).then(|| GateHit {
        gate: Gate::ExtendedBefore,
        why: format!("its expiry was extended at {} already, and the key has not been rotated since", utc(last)),
        hard: false,
    })
}

/// Whether a newer version was made is not known: a key that was rotated is left to expire.
fn rotation_unknown(change: &Change, plan: &Plan, situation: &Situation<'_>) -> Option<GateHit> {
    let mut versions = situation.evidence.keys.iter().filter(|seen| touches(change, seen));
    let unknown = plan.cause == Cause::KeyExpiring && versions.all(|seen| seen.versions.is_empty());
    unknown.then(|| hard(Gate::CannotTell, "whether a newer version of the key was made could not be read"))
}

/// A version newer than the one in question that was made within a day: a rotation, or an answer to a compromise.
fn newer_version(change: &Change, situation: &Situation<'_>) -> Option<GateHit> {
    let since = add(situation.now, -JUST_MADE);
    let seen: Vec<&KeyEvidence> = situation.evidence.keys.iter().filter(|seen| same_key(change, seen)).collect();
    let version = match change {
        Change::EnableKey { key } => key.version.clone(),
        _ => None,
    };
    let all = || seen.iter().flat_map(|seen| &seen.versions);
    let is_it = |id: &String| version.as_ref().is_some_and(|version| version.eq_ignore_ascii_case(id));
    let made = all().find(|(id, _)| is_it(id)).and_then(|(_, made)| *made).or_else(|| {
        let known = seen.iter().filter_map(|seen| seen.version.known()).find(|known| is_it(&known.version));
        known.and_then(|known| known.created)
    });
    let newest = all()
        .filter(|(id, _)| !is_it(id))
        .filter_map(|(id, created)| created.map(|created| (created, id)))
        .filter(|(created, _)| *created >= since && made.is_none_or(|made| *created > made))
        .max()?;
    let why = format!(
        "version {} of that key was made at {}: a rotation, or an answer to a compromise",
        newest.1,
        utc(newest.0)
    );
    Some(hard(Gate::NewerKeyVersion, why))
}

fn same_key(change: &Change, seen: &KeyEvidence) -> bool {
    matches!(change, Change::EnableKey { key } | Change::RecoverKey { key } if key.same_key(&seen.uri))
}

fn too_far(to: Timestamp, situation: &Situation<'_>) -> Option<GateHit> {
    let days = situation.policy.gates.max_expiry_extension_days;
    let limit = add(situation.incident.opened_at, SignedDuration::from_hours(24 * i64::from(days)));
    (days == 0 || to > limit).then(|| {
        hard(Gate::ExpiryLimit, format!("policy allows an expiry to be extended by {days} day(s), not until {to}"))
    })
}
