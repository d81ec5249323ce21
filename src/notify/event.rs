//! The public form of a notice: the `data` of the generic webhook's CloudEvents. Documented in `docs/notifications.md`;
//! fields are only added, never renamed or removed, while `schema` is 1.

use serde_json::{Value, json};

use crate::domain::database_ref::DatabaseRef;
use crate::domain::diagnosis::{Cause, Culprit};
use crate::domain::incident::{Attempt, AttemptOutcome};
use crate::domain::notice::Notice;
use crate::domain::plan::Plan;
use crate::domain::remedy::Change;
use crate::domain::restoration::{Fate, Item, Restoration};
use crate::notify::texts::changes::before_after;
use crate::notify::texts::person::missing_rights;
use crate::notify::texts::restoring::by_hand;
use crate::notify::texts::rights::role_for;
use crate::notify::texts::words::clean;
use crate::notify::{Trial, TrialMessage, texts};

/// The largest event, in bytes: what every CloudEvents receiver must take ("CloudEvents", size limits).
pub const LARGEST: usize = 65_536;

/// The longest name or id, in characters.
const LINE: usize = 300;
/// The longest explanation.
const LONG: usize = 2000;

/// How many list entries are told, from all to none; the counts beside the lists are always whole.
const DEGREES: [usize; 5] = [usize::MAX, 200, 50, 10, 0];

/// A notice as a CloudEvent in structured mode: never larger than [`LARGEST`].
#[must_use]
pub fn event(notice: &Notice, source: &str) -> String {
    let mut body = String::new();
    for most in DEGREES {
        let cloud_event = json!({
            "specversion": "1.0",
            "id": notice.id,
            "source": source,
            "type": notice.situation.event_type(),
            "subject": subject(notice),
            "time": notice.at,
            "datacontenttype": "application/json",
            "data": data(notice, most),
        });
        body = cloud_event.to_string();
        if body.len() <= LARGEST {
            break;
        }
    }
    body
}

/// A message about no incident, as a CloudEvent.
#[must_use]
pub fn trial(trial: &TrialMessage, source: &str) -> String {
    let kind = match trial.trial {
        Trial::Test => "io.keymend.channel.tested.v1",
        Trial::Heartbeat => "io.keymend.channel.heartbeat.v1",
    };
    json!({
        "specversion": "1.0",
        "id": trial.id,
        "source": source,
        "type": kind,
        "time": trial.at,
        "datacontenttype": "application/json",
        "data": {"schema": 1, "headline": texts::trial::headline(trial), "sender": clean(&trial.sender, LINE)},
    })
    .to_string()
}

/// What the event is about: the one database, else the vault, else the server.
fn subject(notice: &Notice) -> String {
    let database = match notice.databases.as_slice() {
        [one] => one.id(),
        _ => None,
    };
    let resource = database.or_else(|| notice.vault_id.clone()).or_else(|| notice.servers.first().cloned());
    resource.map_or_else(|| notice.incident.to_string(), |id| id.to_string())
}

/// The `data`, with lists of at most `most` entries.
#[must_use]
pub fn data(notice: &Notice, most: usize) -> Value {
    let message = texts::message(notice);
    json!({
        "schema": 1,
        "incident": notice.incident,
        "sequence": notice.sequence,
        "situation": notice.situation,
        "phase": notice.phase,
        "headline": message.headline.to_string(),
        "text": clean_lines(&message.to_text(false)),
        "cause": cause(notice),
        "changed_by": notice.diagnosis.as_ref().and_then(|it| it.culprit.as_ref()).map(culprit),
        "vault": notice.vault.as_ref().map(|host| json!({"host": clean(host, LINE), "id": notice.vault_id})),
        "clocks": {
            "lost_at": notice.lost_at,
            "lost_at_is_known": notice.lost_at_is_known,
            "restore_before": notice.restore_before,
            "window_minutes": notice.window_minutes,
            "window_over": notice.window_over,
            "next_message_at": notice.next_message_at,
        },
        "affected": affected(notice, most),
        "plan": notice.plan.as_ref().map(|it| plan(it, most)),
        "gates": notice.gates.iter().take(most).collect::<Vec<_>>(),
        "approval": notice.approval.as_ref().map(|it| json!({
            "plan_hash": it.plan_hash,
            "why": clean(&it.why, LONG),
            "asked_at": it.asked_at,
            "answer_by": it.answer_by,
            "decision": it.decision.as_ref().map(|decision| json!({
                "approved": decision.approved,
                "by": clean(&decision.by, LINE),
                "at": decision.at,
            })),
        })),
        "approved": notice.approved.as_ref().map(|decision| json!({"by": clean(&decision.by, LINE), "at": decision.at})),
        "changes": notice.attempts.iter().rev().take(most).rev().map(attempt).collect::<Vec<_>>(),
        "changes_count": notice.attempts.len(),
        "needs_person": notice.needs_person.map(|reason| json!({
            "reason": reason,
            "missing_rights": missing_rights(notice).into_iter().take(most).map(|right| json!({
                "action": right.action,
                "scope": right.scope,
                "role": role_for(&right.action),
            })).collect::<Vec<_>>(),
        })),
        "reason": notice.reason.as_ref().map(|reason| clean(reason, LONG)),
        "settings": notice.restoration.as_ref().map(|restoration| settings(restoration, most)),
        "lost_settings": notice.lost_settings.iter().take(most).map(|lost| json!({
            "server": lost.database.server,
            "database": lost.database.name,
            "setting": lost.setting,
            "before": lost.before,
            "now": lost.now,
        })).collect::<Vec<_>>(),
    })
}

/// What became, or is to become, of each setting that Azure dropped.
fn settings(restoration: &Restoration, most: usize) -> Value {
    let item = |item: &Item| {
        let (fate, at, why) = match &item.fate {
            Fate::ToPutBack { .. } => ("to_put_back", None, None),
            Fate::PutBack { at } => ("put_back", Some(at), None),
            Fate::Left { why, .. } => ("left", None, Some(why)),
            Fate::Explained { why } => ("explained", None, Some(why)),
        };
        json!({
            "server": item.database.server,
            "database": item.database.name,
            "setting": clean(&item.setting, LINE),
            "before": clean(&item.before, LONG),
            "now": clean(&item.now, LONG),
            "fate": fate,
            "at": at,
            "why": why.map(|why| clean(why, LONG)),
            "by_hand": by_hand(item).map(|command| clean(&command, LONG)),
        })
    };
    json!({
        "goes_on": restoration.is_open(),
        "count": restoration.items.len(),
        "put_back": restoration.put_back(),
        "items": restoration.items.iter().take(most).map(item).collect::<Vec<_>>(),
    })
}

/// The message as text, cut to what a ticket takes.
fn clean_lines(text: &str) -> String {
    text.chars().take(8000).collect()
}

fn cause(notice: &Notice) -> Option<Value> {
    let name = notice.cause?;
    let finding = notice.diagnosis.iter().flat_map(|it| &it.findings).find(|it| it.cause == name);
    let words = finding.map(|it| texts::cause_sentence(name, &it.resource, &it.servers).to_string());
    let known = !matches!(name, Cause::Undetermined);
    Some(json!({
        "name": name,
        "known": known,
        "words": words.unwrap_or_else(|| texts::cause_name(name).to_owned()),
        "resource": finding.map(|it| clean(&it.resource, LONG)),
        "since": finding.and_then(|it| it.since),
        "purge_at": finding.and_then(|it| it.purge_at),
    }))
}

fn culprit(culprit: &Culprit) -> Value {
    json!({
        "who": culprit.who.as_ref().map(|who| clean(who, LINE)),
        "kind": culprit.kind,
        "at": culprit.at,
        "operation": clean(&culprit.operation, LINE),
        "target": clean(&culprit.target, LONG),
        "correlation_id": culprit.correlation_id.as_ref().map(|id| clean(id, LINE)),
    })
}

fn affected(notice: &Notice, most: usize) -> Value {
    let of = |list: &[DatabaseRef], server: &crate::domain::resource_id::ResourceId| {
        let names = list.iter().filter(|it| it.server == *server).map(|it| it.name.clone());
        names.take(most).collect::<Vec<_>>()
    };
    let servers: Vec<Value> = notice
        .servers
        .iter()
        .take(most)
        .map(|server| {
            json!({"id": server, "databases": of(&notice.databases, server), "down": of(&notice.down, server)})
        })
        .collect();
    json!({
        "servers_count": notice.servers.len(),
        "databases_count": notice.databases.len(),
        "down_count": notice.down.len(),
        "servers": servers,
        "complete": most == usize::MAX,
    })
}

fn steps(change: &Change) -> Value {
    let properties: Vec<Value> = before_after(change)
        .into_iter()
        .map(|it| json!({"property": it.property, "before": it.before, "after": it.after}))
        .collect();
    json!({
        "remedy": change.remedy(),
        "target": change.target(),
        "words": texts::change_sentence(change).to_string(),
        "before_after": properties,
    })
}

fn plan(plan: &Plan, most: usize) -> Value {
    json!({
        "hash": plan.hash(),
        "code": plan.code(),
        "remedy": plan.remedy,
        "words": texts::plan_sentence(plan).to_string(),
        "changes": plan.changes.iter().take(most).map(steps).collect::<Vec<_>>(),
        "changes_count": plan.changes.len(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let (outcome, at, error) = match &attempt.outcome {
        None => ("unknown", None, None),
        Some(AttemptOutcome::Made { at }) => ("made", Some(at), None),
        Some(AttemptOutcome::AlreadyThere { at }) => ("already_there", Some(at), None),
        Some(AttemptOutcome::NotApplicable { at, why }) => ("not_applicable", Some(at), Some(("", why))),
        Some(AttemptOutcome::Failed { at, code, why }) => ("failed", Some(at), Some((code.as_str(), why))),
    };
    let seen: Vec<Value> = attempt
        .before_after
        .iter()
        .map(|(property, before, after)| json!({"property": property, "before": before, "after": after}))
        .collect();
    json!({
        "number": attempt.number,
        "remedy": attempt.change.remedy(),
        "target": attempt.change.target(),
        "words": texts::change_sentence(&attempt.change).to_string(),
        "intended_at": attempt.intended_at,
        "outcome": outcome,
        "at": at,
        "error": error.map(|(code, why)| json!({"code": code, "message": clean(why, LONG)})),
        "correlation_id": attempt.correlation_id,
        "before_after": seen,
    })
}
