//! The common alert schema (`azureMonitorCommonAlertSchema`): `essentials` about the alert, `alertContext` with the
//! event. Only the context is searched for TDE events: the essentials hold the words of whoever wrote the rule.

use super::clean::{LONGEST_NAME, moment, words};
use super::event::{Around, is_event, read_event};
use super::json::{Object, Value, get, object_of, text, text_of};
use super::{Reading, test_action};

/// Reads `data`.
pub(super) fn read_common(data: &Object<'_>) -> Reading {
    let essentials = object_of(data, "essentials");
    let context = object_of(data, "alertContext");
    let (essentials, context) = (essentials.as_deref(), context.as_deref());
    if essentials.is_none() && context.is_none() {
        return Reading::Malformed("the alert has neither essentials nor an alertContext".to_owned());
    }
    if test_action::certainly(essentials, context) {
        return Reading::Ignored(test_action::REASON.to_owned());
    }
    let reading = match context.filter(|context| is_event(context)) {
        Some(event) => read_event(event, &essentials.map(around).unwrap_or_default()),
        None => without_event(essentials, context),
    };
    match reading {
        Reading::Ignored(_) if test_action::probably(essentials, context) => {
            Reading::Ignored(test_action::REASON.to_owned())
        }
        reading => reading,
    }
}

fn around(essentials: &Object<'_>) -> Around {
    let targets = match get(essentials, "alertTargetIDs") {
        Some(Value::Array(ids)) => ids.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    };
    // `{eventDataId}_{hash of the rule}`, or the bare event id.
    let origin = text_of(essentials, &["originAlertId"]);
    Around {
        targets,
        service: text_of(essentials, &["monitoringService"]),
        event_id: origin.map(|id| id.split('_').next().unwrap_or_default().to_owned()),
        at: get(essentials, "firedDateTime").and_then(moment),
        outcome: None,
        operation: None,
    }
}

/// An alert whose context is no Activity Log event is of another kind, unless it claims to be one.
fn without_event(essentials: Option<&Object<'_>>, context: Option<&Object<'_>>) -> Reading {
    if let Some(reason) = context.and_then(other_kind) {
        return Reading::Ignored(reason.to_owned());
    }
    let stated = |key| {
        let text = essentials.and_then(|essentials| text_of(essentials, &[key]));
        text.map(|text| text.split_whitespace().collect::<String>()).unwrap_or_default()
    };
    let (signal, service) = (stated("signalType").to_ascii_lowercase(), stated("monitoringService"));
    let activity = signal == "activitylog"
        || service.to_ascii_lowercase().starts_with("activitylog")
        || service.eq_ignore_ascii_case("resourcehealth");
    match signal.as_str() {
        "metric" => Reading::Ignored("a metric alert".to_owned()),
        "log" => Reading::Ignored("a log alert".to_owned()),
        _ if service.eq_ignore_ascii_case("servicehealth") => Reading::Ignored("a Service Health alert".to_owned()),
        _ if activity => Reading::Malformed("the alert says it is about an event and carries none".to_owned()),
        _ => match words(&service, LONGEST_NAME) {
            Some(service) => Reading::Ignored(format!("an alert of {service}")),
            None if essentials.is_some_and(|essentials| !essentials.is_empty()) || context.is_some() => {
                Reading::Ignored("an alert of an unknown kind".to_owned())
            }
            None => Reading::Malformed("the alert is empty".to_owned()),
        },
    }
}

/// The kind of alert that the shape of a context gives away.
pub(super) fn other_kind(context: &Object<'_>) -> Option<&'static str> {
    let has = |object: &Object<'_>, key| get(object, key).is_some();
    let condition = object_of(context, "condition");
    let criteria = text_of(context, &["conditionType"]).unwrap_or_default().to_ascii_lowercase();
    let queried = |object: &Object<'_>| has(object, "searchQuery") || has(object, "searchResults");
    let parts = condition.as_deref().and_then(|condition| get(condition, "allOf")?.as_array());
    let part_queried = || parts.is_some_and(|parts| parts.iter().filter_map(Value::as_object).any(queried));
    if has(context, "AlertCategory") || has(context, "AlertData") || has(context, "BudgetName") {
        Some("a budget alert")
    } else if criteria.contains("logquery") || queried(context) || part_queried() {
        Some("a log alert")
    } else if criteria.contains("metric") || criteria.contains("webtest") || condition.is_some() {
        Some("a metric alert")
    } else if has(context, "ruleGroup") || has(context, "expression") {
        Some("a Prometheus alert")
    } else if has(context, "DetectionSummary") {
        Some("a smart detection alert")
    } else {
        None
    }
}
