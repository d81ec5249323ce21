//! Decisions where nothing is left to mend, or nothing can be: waiting, re-validating, closing, giving up.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::decide::patience::{a_right_is_missing, patience_is_over};
use crate::domain::decide::{advice, permit};
use crate::domain::diagnose::is_dead_secondary;
use crate::domain::diagnosis::{Cause, Finding};
use crate::domain::evidence::{Database, Fact, Server};
use crate::domain::gates::Situation;
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::plan::{Decision, GateHit, NeedsPerson, Plan};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;

/// Within the window, databases come back by themselves "within the subsequent hour" (Microsoft, "TDE with
/// customer-managed key").
const HEAL: SignedDuration = SignedDuration::from_mins(60);
/// SQL looks at the key at least this often: after it, databases that stayed in service have passed the test.
const SQL_LOOKS: SignedDuration = SignedDuration::from_mins(10);
/// After a change, rights may take this long to work.
const SETTLE: SignedDuration = SignedDuration::from_mins(10);
/// The same for keys and whole vaults, which work at once.
const SETTLE_KEY: SignedDuration = SignedDuration::from_mins(2);
/// How long a re-validation is given before its outcome is judged by the databases.
const REVALIDATION: SignedDuration = SignedDuration::from_mins(20);
/// How long a re-validation may run: large databases take hours.
const LONGEST_REVALIDATION: SignedDuration = SignedDuration::from_hours(6);
/// Re-validations of one server that Azure called a success, before a person is called.
const REVALIDATIONS: usize = 3;
/// While the vault does not answer, databases keep working this long (Microsoft, as above).
const NETWORK_BUFFER: SignedDuration = SignedDuration::from_hours(24);
/// How long an unclear case without any loss is watched.
const WATCH: SignedDuration = SignedDuration::from_mins(60);

/// Everything is right. Where access was lost, it must stay right for as long as SQL takes to notice.
pub(super) fn healthy(situation: &Situation<'_>) -> Decision {
    let incident = situation.incident;
    let was_down = incident.members.values().any(|member| member.was_down);
    let said = "every link from identity to database is right, and every database is in service";
    if was_down || !(incident.loss_reported || incident.was_broken) {
        return Decision::Close { why: said.to_owned() };
    }
    let seen = add(incident.whole_since.unwrap_or(situation.now), SQL_LOOKS);
    let settled = incident.last_made_at().map_or(seen, |made| seen.max(add(made, SQL_LOOKS + SETTLE)));
    if situation.now >= settled {
        return Decision::Close { why: format!("{said}, and stayed so") };
    }
    Decision::Wait { why: format!("{said}; watching until SQL has looked at its key again"), until: Some(settled) }
}

/// The chain is whole and databases are down: within the window they heal, past it only re-validation helps.
pub(super) fn still_inaccessible(finding: &Finding, situation: &Situation<'_>) -> (Decision, Vec<GateHit>) {
    let plain = |decision| (decision, Vec::new());
    let now = situation.now;
    let whole = situation.incident.whole_since.unwrap_or(now);
    let heals_by = add(whole, HEAL);
    let down: Vec<ResourceId> = finding.servers.iter().filter(|server| is_down(server, situation)).cloned().collect();
    if down.is_empty() {
        if now < heals_by {
            let why = "the databases are coming back".to_owned();
            return plain(Decision::Wait { why, until: Some(heals_by) });
        }
        return plain(not_verified(finding, situation));
    }
    if !situation.incident.window_is_over(now) && now < heals_by {
        let why = "access is back within the window: the databases come back by themselves within the hour";
        return plain(Decision::Wait { why: why.to_owned(), until: Some(heals_by) });
    }
    if let Some(until) = settles_at(situation).filter(|until| now < *until) {
        let why = "the last change must take effect before re-validation can succeed".to_owned();
        return plain(Decision::Wait { why, until: Some(until) });
    }
    let mut ready = Vec::new();
    let mut waiting: Vec<Timestamp> = Vec::new();
    for server in down {
        match turn(&server, situation) {
            Turn::Ready => ready.push(server),
            Turn::Wait(until) => waiting.push(until),
            Turn::Exhausted => {}
        }
    }
    if !ready.is_empty() {
        let changes = ready.iter().map(|server| Change::Revalidate { server: server.clone() }).collect();
        let plan = Plan { cause: Cause::StillInaccessible, remedy: Remedy::Revalidate, changes, servers: ready };
        return permit::permit(plan, situation);
    }
    match waiting.into_iter().min() {
        Some(until) => plain(Decision::Wait { why: "re-validation is under way".to_owned(), until: Some(until) }),
        None => plain(not_verified(finding, situation)),
    }
}

fn is_down(server: &ResourceId, situation: &Situation<'_>) -> bool {
    let seen = situation.evidence.servers.iter().find(|seen| seen.id == *server);
    let stopped = seen.and_then(|seen| seen.server.known()).is_some_and(Server::is_stopped);
    let through_the_server = |database: &Database| {
        database.own_protector.is_none()
            && database.is_inaccessible()
            && !stopped
            && !database.is_down_for_another_reason()
            && !is_dead_secondary(situation.incident, server, database)
    };
    seen.and_then(|seen| seen.databases.known()).is_some_and(|all| all.iter().any(through_the_server))
}

/// When the last repair can be expected to work.
fn settles_at(situation: &Situation<'_>) -> Option<Timestamp> {
    let settles = |attempt: &Attempt| {
        let Some(AttemptOutcome::Made { at }) = &attempt.outcome else { return None };
        match attempt.change.remedy() {
            Remedy::Revalidate | Remedy::RestoreSettings | Remedy::Wait => None,
            Remedy::RecoverVault | Remedy::RecoverKey | Remedy::EnableKey | Remedy::ExtendExpiry => {
                Some(add(*at, SETTLE_KEY))
            }
            _ => Some(add(*at, SETTLE)),
        }
    };
    situation.incident.attempts.iter().filter_map(settles).max()
}

enum Turn {
    Ready,
    Wait(Timestamp),
    Exhausted,
}

/// Whether a server may be re-validated now, by what was tried before.
fn turn(server: &ResourceId, situation: &Situation<'_>) -> Turn {
    let of = |attempt: &&Attempt| matches!(&attempt.change, Change::Revalidate { server: other } if other == server);
    let attempts = || situation.incident.attempts.iter().filter(of);
    let Some(last) = attempts().max_by_key(|attempt| attempt.number) else { return Turn::Ready };
    let now = situation.now;
    let until = match (&last.outcome, &last.operation) {
        (None, Some(_)) => add(last.intended_at, LONGEST_REVALIDATION),
        (None, None) => add(last.intended_at, REVALIDATION),
        (Some(AttemptOutcome::Made { at } | AttemptOutcome::AlreadyThere { at }), _) => add(*at, REVALIDATION),
        (Some(_), _) => now,
    };
    if now < until {
        return Turn::Wait(until);
    }
    let succeeded = attempts().filter(|attempt| matches!(attempt.outcome, Some(AttemptOutcome::Made { .. }))).count();
    if succeeded >= REVALIDATIONS { Turn::Exhausted } else { Turn::Ready }
}

fn not_verified(finding: &Finding, situation: &Situation<'_>) -> Decision {
    let why = advice::not_verified(finding, situation);
    Decision::Escalate { reason: NeedsPerson::NotVerified, why, plan: None }
}

/// The configuration is right and the vault does not answer: Azure's 24 hours of patience.
pub(super) fn unreachable(finding: &Finding, situation: &Situation<'_>) -> Decision {
    let until = add(situation.incident.loss(), NETWORK_BUFFER);
    if situation.now < until {
        let why = "the vault does not answer and its configuration is right: databases keep working for up to 24 \
                   hours, and come back by themselves";
        return Decision::Wait { why: why.to_owned(), until: Some(until) };
    }
    let why = advice::no_remedy(finding, situation);
    Decision::Escalate { reason: NeedsPerson::NoRemedy, why, plan: None }
}

/// Not enough could be read. A missing right is said at once; anything else may pass.
pub(super) fn undetermined(finding: &Finding, situation: &Situation<'_>) -> Decision {
    if a_right_is_missing(situation) {
        let why = advice::missing_rights(finding, situation);
        return Decision::Escalate { reason: NeedsPerson::MissingRight, why, plan: None };
    }
    if let Some(decision) = nothing_is_lost(finding, situation) {
        return decision;
    }
    let said = advice::proofs(finding);
    if patience_is_over(situation) {
        let why = advice::undetermined(finding, situation);
        return Decision::Escalate { reason: NeedsPerson::Undetermined, why, plan: None };
    }
    Decision::Wait { why: format!("the cause cannot be told yet: {said}"), until: None }
}

/// Nobody reported a loss and every database is seen in service: the case is watched for a while and closed.
pub(super) fn nothing_is_lost(finding: &Finding, situation: &Situation<'_>) -> Option<Decision> {
    let incident = situation.incident;
    let servers =
        finding.servers.iter().map(|server| situation.evidence.servers.iter().find(|seen| seen.id == *server));
    let in_service = |all: &Vec<Database>| all.iter().all(|database| !database.is_inaccessible());
    let all_seen = servers.into_iter().all(|seen| match seen.map(|seen| &seen.databases) {
        Some(Fact::Known(all)) => in_service(all),
        _ => false,
    });
    if incident.loss_reported || incident.was_broken || !situation.diagnosis.inaccessible.is_empty() || !all_seen {
        return None;
    }
    let until = add(incident.opened_at, WATCH);
    let said = advice::proofs(finding);
    Some(if situation.now < until {
        Decision::Wait { why: format!("no database is down; not everything can be seen: {said}"), until: Some(until) }
    } else {
        Decision::Close {
            why: format!("no database went down within an hour, though not everything could be seen: {said}"),
        }
    })
}
