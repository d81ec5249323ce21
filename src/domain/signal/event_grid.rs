//! Events of Event Grid, in its own schema or as CloudEvents 1.0: those of a key vault, and ARM's resource events
//! (reference: alerts and signals, 5.2).

use super::clean::{LONGEST_NAME, event_id, moment, words};
use super::event::{Around, read_event};
use super::json::{Object, Value, get, object_of, text_of};
use super::outcome::Outcome;
use super::target::{Found, Wanted, choose};
use super::{Reading, Signal, SignalKind};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;

const VALIDATION: &str = "microsoft.eventgrid.subscriptionvalidationevent";

/// Whether an object is an event in one of both envelopes.
pub(super) fn is_envelope(object: &Object<'_>) -> bool {
    let has = |key| get(object, key).is_some();
    has("eventType") && (has("topic") || has("subject") || has("data"))
        || has("specversion")
        || has("type") && has("source") && (has("time") || has("data"))
}

/// The code that must be sent back to prove that an Event Grid subscription is wanted, if `body` asks for that.
#[must_use]
pub fn validation_code(body: &[u8]) -> Option<String> {
    if !may_ask(body) {
        return None;
    }
    let body: Value<'_> = serde_json::from_slice(body).ok()?;
    let events = match &body {
        Value::Array(events) => events.as_slice(),
        one => std::slice::from_ref(one),
    };
    events.iter().filter_map(Value::as_object).find_map(|event| {
        let kind = text_of(event, &["eventType", "type"])?;
        let data = kind.eq_ignore_ascii_case(VALIDATION).then(|| object_of(event, "data")).flatten()?;
        text_of(&data, &["validationCode"]).filter(|code| code.len() <= LONGEST_NAME)
    })
}

/// Whether the question can be in a body at all, also with letters written as `\u0061`: of every alert it is looked for, and each
/// would be parsed twice.
fn may_ask(body: &[u8]) -> bool {
    memchr::memchr3_iter(b'v', b'V', b'\\', body).any(|at| {
        let rest = body.get(at..).unwrap_or_default();
        let begins = |with: &[u8]| rest.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        begins(b"\\u") || begins(b"validationevent")
    })
}

/// Reads one event.
pub(super) fn read_envelope(envelope: &Object<'_>) -> Reading {
    let kind = text_of(envelope, &["eventType", "type"]).unwrap_or_default();
    let lower = kind.to_ascii_lowercase();
    if lower == VALIDATION {
        return Reading::Ignored("Event Grid asks whether its subscription is wanted".to_owned());
    }
    if let Some(name) = lower.strip_prefix("microsoft.keyvault.") {
        return key_vault(envelope, name);
    }
    if let Some((verb, outcome)) = lower.strip_prefix("microsoft.resources.resource").and_then(arm_event) {
        return arm(envelope, verb, outcome);
    }
    match words(&kind, LONGEST_NAME) {
        Some(kind) => Reading::Ignored(format!("an event of the type {kind}")),
        None => Reading::Malformed("the event has no type".to_owned()),
    }
}

/// Splits `writesuccess` and its like.
fn arm_event(name: &str) -> Option<(&'static str, Outcome)> {
    let (verb, rest) = ["write", "delete", "action"].iter().find_map(|verb| Some((*verb, name.strip_prefix(verb)?)))?;
    Some((verb, Outcome::parse(rest)?))
}

fn arm(envelope: &Object<'_>, verb: &str, outcome: Outcome) -> Reading {
    let Some(data) = object_of(envelope, "data") else {
        return Reading::Malformed("the event carries no data".to_owned());
    };
    let target = text_of(&data, &["resourceUri"]).or_else(|| text_of(envelope, &["subject"]));
    let kind = target.as_deref().and_then(|id| ResourceId::parse(id).ok()).map(|id| id.resource_type());
    let around = Around {
        operation: kind.filter(|kind| !kind.is_empty()).map(|kind| format!("{kind}/{verb}")),
        targets: target.into_iter().collect(),
        event_id: text_of(envelope, &["id"]),
        at: sent_at(envelope),
        outcome: Some(outcome),
        service: None,
    };
    match read_event(&data, &around) {
        // ARM says itself that nothing was written, so there is nothing to be confirmed.
        Reading::Signals(signals)
            if outcome == Outcome::Failed && signals.iter().all(|one| one.kind == SignalKind::DatabaseChanged) =>
        {
            Reading::Ignored("the operation failed and changed nothing".to_owned())
        }
        reading => reading,
    }
}

fn key_vault(envelope: &Object<'_>, name: &str) -> Reading {
    let (kind, of_a_key) = match name {
        "keynearexpiry" => (SignalKind::KeyNearExpiry, true),
        "keyexpired" => (SignalKind::KeyExpired, true),
        "keynewversioncreated" => (SignalKind::KeyRotated, true),
        "vaultaccesspolicychanged" => (SignalKind::AccessPolicyChanged, false),
        _ if name.starts_with("secret") => return Reading::Ignored("an event of a secret".to_owned()),
        _ if name.starts_with("certificate") => return Reading::Ignored("an event of a certificate".to_owned()),
        _ => return Reading::Ignored("a Key Vault event of another type".to_owned()),
    };
    let named: Vec<String> =
        ["topic", "source", "subject"].iter().filter_map(|key| text_of(envelope, &[key])).collect();
    let vault = match choose(&[], &named, Wanted::Vault) {
        Found::Targets(ids) => ids.into_iter().next().map(|id| id.key_vault().unwrap_or(id)),
        Found::Unfit | Found::Nothing => None,
    };
    let Some(vault) = vault else {
        return Reading::Malformed("the event names no key vault by a valid Azure resource id".to_owned());
    };
    let key = if of_a_key { key_name(envelope).and_then(|key| vault.child("keys", &key).ok()) } else { None };
    Reading::Signals(vec![Signal {
        kind,
        target: key.unwrap_or(vault),
        occurred_at: sent_at(envelope),
        caller: None,
        event_id: text_of(envelope, &["id"]).and_then(|id| event_id(&id)),
        correlation_id: None,
        window_minutes: None,
        text: None,
    }])
}

/// The key's name: the documentation's sample spells its field with a blank at the end, the specification in another
/// casing, and both leave the subject and the key's URI to say it too.
fn key_name(envelope: &Object<'_>) -> Option<String> {
    let data = object_of(envelope, "data");
    let field = |key| data.as_deref().and_then(|data| text_of(data, &[key]));
    [field("objectName"), field("id").and_then(|uri| Some(KeyUri::parse(&uri)?.key)), text_of(envelope, &["subject"])]
        .into_iter()
        .flatten()
        .find(|name| !name.contains('/'))
}

fn sent_at(envelope: &Object<'_>) -> Option<jiff::Timestamp> {
    ["eventTime", "time"].iter().find_map(|key| moment(get(envelope, key)?))
}
