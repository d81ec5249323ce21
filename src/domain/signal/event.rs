//! One Activity Log event, in whichever of its shapes: `alertContext` of the common schema, `activityLog` of the
//! legacy one, the REST event, the record of a storage account or event hub, the data of an ARM event of Event Grid.

use std::borrow::Cow;

use jiff::Timestamp;

use super::clean::{LONGEST_NAME, LONGEST_TEXT, event_id, moment, words};
use super::json::{Object, each_string, get, object_of, text, text_of};
use super::operation::{Concern, concern, foreign};
use super::outcome::Outcome;
use super::target::{Found, Wanted, choose, without_event};
use super::{Reading, Signal, SignalKind, tde};

/// What the envelope says about the event inside it.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The resources that the envelope names.
    pub(super) targets: Vec<String>,
    /// The category of the alert, as `monitoringService` gives it.
    pub(super) service: Option<String>,
    /// An id for the event, should it have none itself.
    pub(super) event_id: Option<String>,
    /// When the alert fired or the event was sent, should the event not say.
    pub(super) at: Option<Timestamp>,
    /// How the operation ended, where the envelope says it.
    pub(super) outcome: Option<Outcome>,
    /// The operation, should the event not name one.
    pub(super) operation: Option<String>,
}

/// Whether an object looks like an Activity Log event.
pub(super) fn is_event(object: &Object<'_>) -> bool {
    ["operationName", "eventName", "eventDataId", "eventTimestamp", "authorization"]
        .iter()
        .any(|key| get(object, key).is_some())
}

/// Reads one event.
pub(super) fn read_event(event: &Object<'_>, around: &Around) -> Reading {
    let mut event = Event::new(event, around);
    let outcome = around.outcome.or_else(|| Outcome::of(event.fields));
    let could_be_tde = event.operation.is_empty() || event.operation.starts_with("microsoft.sql/");
    if could_be_tde && let Some(told) = tde::find(event.fields, &event.operation, outcome, &event.target_names()) {
        event.others.extend(ids_anywhere(event.fields));
        return event.signals(told.kind, Wanted::Sql, told.window_minutes, told.text);
    }
    let by_category = || event.operation.is_empty() && event.categories().iter().any(|one| one == "resourcehealth");
    match concern(&event.operation).or_else(|| by_category().then_some(Concern::Health)) {
        // The one captured TDE event had neither name nor text, so its outcome cannot be told from a plain write's.
        Some(Concern::Database) => event.signals(SignalKind::DatabaseChanged, Wanted::Sql, None, None),
        Some(Concern::Health) => event.signals(SignalKind::HealthChanged, Wanted::Watched, None, None),
        Some(Concern::Cause(kind, wanted)) => match outcome {
            Some(Outcome::Failed) => Reading::Ignored("the operation failed and changed nothing".to_owned()),
            Some(Outcome::Begun | Outcome::InProgress) => {
                Reading::Ignored("the operation has not ended yet; its end is reported separately".to_owned())
            }
            Some(Outcome::Succeeded) | None => event.signals(kind, wanted, None, None),
        },
        None => event.foreign(),
    }
}

/// The ids of SQL resources in any string: where a TDE event names its database is as little known as where its name is.
fn ids_anywhere(event: &Object<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    each_string(event, &mut |_, text| {
        let is_id = text.trim_start().get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/"));
        if is_id && text.to_ascii_lowercase().contains("/providers/microsoft.sql/") {
            ids.push(text.to_owned());
        }
    });
    ids
}

struct Event<'a> {
    fields: &'a Object<'a>,
    properties: Option<Cow<'a, Object<'a>>>,
    identity: Option<Cow<'a, Object<'a>>>,
    around: &'a Around,
    /// As written; empty if none is named.
    written_operation: String,
    /// In lower case.
    operation: String,
    others: Vec<String>,
}

impl<'a> Event<'a> {
    fn new(fields: &'a Object<'a>, around: &'a Around) -> Self {
        let properties = object_of(fields, "properties");
        let identity = object_of(fields, "identity");
        let authorization = object_of(fields, "authorization")
            .or_else(|| identity.as_deref().and_then(|identity| object_of(identity, "authorization")));
        let operation = text_of(fields, &["operationName"])
            .or_else(|| text_of(authorization.as_deref()?, &["action"]))
            .or_else(|| around.operation.clone())
            .or_else(|| text_of(properties.as_deref()?, &["message"]).filter(|text| is_operation(text)))
            .unwrap_or_default();
        let others = [
            authorization.as_deref().and_then(|authorization| text_of(authorization, &["scope"])),
            properties.as_deref().and_then(|properties| text_of(properties, &["entity"])),
            text_of(fields, &["resourceId"]),
            text_of(fields, &["resourceUri"]),
            text_of(fields, &["id"]),
        ];
        Self {
            fields,
            properties,
            identity,
            around,
            operation: operation.trim_matches('/').to_ascii_lowercase(),
            written_operation: operation,
            others: others.into_iter().flatten().collect(),
        }
    }

    fn target_names(&self) -> Vec<&str> {
        self.ids().filter_map(|id| id.trim_end_matches('/').rsplit_once('/')).map(|(_, name)| name).collect()
    }

    fn signals(&self, kind: SignalKind, wanted: Wanted, window_minutes: Option<u32>, told: Option<String>) -> Reading {
        match choose(&self.around.targets, &self.others, wanted) {
            Found::Targets(targets) => {
                let text = self.description().or(told).and_then(|text| words(&text, LONGEST_TEXT));
                let signal = |target| Signal {
                    kind,
                    target,
                    occurred_at: self.occurred_at(),
                    caller: self.caller(),
                    event_id: self.event_id(),
                    correlation_id: self.field(&["correlationId"]),
                    window_minutes,
                    text: text.clone(),
                };
                Reading::Signals(targets.into_iter().map(signal).collect())
            }
            Found::Unfit => Reading::Ignored(format!("it names no {}", wanted.words())),
            // A role assignment on a management group or on the whole tenant lies outside every subscription.
            Found::Nothing if wanted == Wanted::Scope && self.lies_above_subscriptions() => {
                Reading::Ignored("it lies above the subscriptions".to_owned())
            }
            Found::Nothing if wanted == Wanted::Watched && self.ids().next().is_none() => {
                Reading::Ignored("Resource Health of nothing that is named".to_owned())
            }
            Found::Nothing => Reading::Malformed("the event names no resource by a valid Azure resource id".to_owned()),
        }
    }

    fn lies_above_subscriptions(&self) -> bool {
        self.ids().any(|id| id.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("/providers/")))
    }

    /// Every id that the envelope and the event name, as written.
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.around.targets.iter().chain(&self.others).map(String::as_str)
    }

    fn foreign(&self) -> Reading {
        if let Some(reason) = foreign(&self.operation, &self.categories()) {
            return Reading::Ignored(reason.to_owned());
        }
        match words(&self.written_operation, LONGEST_NAME) {
            Some(operation) => Reading::Ignored(format!("{operation} is no operation that is watched")),
            None => Reading::Malformed("the event names no operation".to_owned()),
        }
    }

    /// Every category it claims, in lower case without blanks.
    fn categories(&self) -> Vec<String> {
        let inner = self.properties.as_deref().and_then(|properties| text_of(properties, &["eventCategory"]));
        [self.around.service.clone(), self.field(&["eventSource"]), self.field(&["category"]), inner]
            .into_iter()
            .flatten()
            .map(|category| category.split_whitespace().collect::<String>().to_ascii_lowercase())
            .collect()
    }

    fn field(&self, keys: &[&str]) -> Option<String> {
        text_of(self.fields, keys).and_then(|text| words(&text, LONGEST_NAME))
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        ["eventTimestamp", "time", "eventTime", "submissionTimestamp"]
            .iter()
            .find_map(|key| moment(get(self.fields, key)?))
            .or(self.around.at)
    }

    fn event_id(&self) -> Option<String> {
        let own = || text_of(self.fields, &["eventDataId"]);
        // The id of a REST event ends with `/events/{eventDataId}/ticks/{n}`.
        let from_path = || without_event(&text_of(self.fields, &["id"])?).1.map(str::to_owned);
        own().or_else(from_path).or_else(|| self.around.event_id.clone()).and_then(|id| event_id(&id))
    }

    /// The caller, or who the token's claims say it was.
    fn caller(&self) -> Option<String> {
        self.field(&["caller"]).or_else(|| {
            let claims = object_of(self.fields, "claims")
                .or_else(|| self.identity.as_deref().and_then(|identity| object_of(identity, "claims")))?;
            const NAMES: [&str; 6] = [
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
                "http://schemas.microsoft.com/identity/claims/objectidentifier",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/spn",
                "name",
                "appid",
            ];
            text_of(&claims, &NAMES).and_then(|text| words(&text, LONGEST_NAME))
        })
    }

    /// Azure's own words about the event.
    fn description(&self) -> Option<String> {
        let own = text_of(self.fields, &["Activity Log Event Description", "description", "eventDescription"]);
        own.or_else(|| {
            let properties = self.properties.as_deref()?;
            let nested = object_of(properties, "eventProperties");
            let properties = nested.as_deref().unwrap_or(properties);
            text_of(properties, &["message", "description"]).filter(|text| !is_operation(text)).or_else(|| {
                let parts = ["title", "details"].iter().filter_map(|key| text(get(properties, key)?));
                Some(parts.collect::<Vec<_>>().join(": ")).filter(|text| !text.is_empty())
            })
        })
    }
}

/// Whether a text is the name of an operation and not a sentence.
fn is_operation(text: &str) -> bool {
    text.contains('/') && text.contains('.') && !text.contains(char::is_whitespace)
}
