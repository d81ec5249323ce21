//! Microsoft.Insights: Activity Log alert rules (api-version 2020-10-01) and the action groups that they call
//! (2023-01-01). Addresses of receivers hold keys, so no more than their host is kept.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::azure::error::AzureError;
use crate::azure::json::{list, shaped};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::resource_id::ResourceId;

const RULES_API: &str = "2020-10-01";
const GROUPS_API: &str = "2023-01-01";

/// An Activity Log alert rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Prefixes of the resources that it is about.
    pub scopes: Vec<String>,
    /// All of these must be met, each by any one of its parts.
    pub all_of: Vec<Vec<Leaf>>,
    /// Ids of the action groups it calls.
    pub action_groups: Vec<String>,
}

/// A field of an event, and the values that meet it, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// `category`, `operationName`, `status`, `level` …, in lower case.
    pub field: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// An action group, as far as it can ring for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionGroup {
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Whom it calls over HTTP: webhooks and functions.
    pub receivers: Vec<Receiver>,
}

/// Somebody that an action group calls over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// The receiver's name.
    pub name: String,
    /// The host that is called.
    pub host: String,
    /// Whether the path is that of Keymend's intake, `/api/alerts`.
    pub at_intake: bool,
    /// Whether it is sent the common alert schema.
    pub common_schema: bool,
}

impl Azure {
    /// The Activity Log alert rules of a subscription.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn alert_rules(&self, subscription: &str) -> Result<Vec<AlertRule>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Insights/activityLogAlerts");
        self.parsed_list(Request::get(&path, RULES_API, "Microsoft.Insights/activityLogAlerts/read"), parse_rule).await
    }

    /// An action group.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn action_group(&self, id: &ResourceId) -> Result<ActionGroup, AzureError> {
        let answer =
            self.perform(&Request::get(id.as_str(), GROUPS_API, "Microsoft.Insights/actionGroups/read")).await?;
        parse_group(&answer.body).map_err(|why| answer.bad(why))
    }
}

#[derive(Deserialize)]
struct Wire<T> {
    name: Option<String>,
    properties: T,
}

#[derive(Deserialize)]
struct WireRule {
    enabled: Option<bool>,
    scopes: Vec<String>,
    condition: WireCondition,
    actions: WireActions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCondition {
    all_of: Vec<WireClause>,
}

// Published as a field with `equals`; the service also takes `containsAny`, and `anyOf` with such clauses.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireClause {
    field: Option<String>,
    equals: Option<String>,
    #[serde(default, deserialize_with = "list")]
    contains_any: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    any_of: Vec<WireClause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireActions {
    #[serde(default, deserialize_with = "list")]
    action_groups: Vec<WireGroupRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroupRef {
    action_group_id: String,
}

pub(super) fn parse_rule(item: &Value) -> Result<AlertRule, String> {
    let wire: Wire<WireRule> = shaped(item)?;
    let rule = wire.properties;
    Ok(AlertRule {
        name: wire.name.ok_or("an alert rule has no name")?,
        enabled: rule.enabled.unwrap_or(true),
        scopes: rule.scopes,
        all_of: rule.condition.all_of.into_iter().map(clause).collect::<Result<_, _>>()?,
        action_groups: rule.actions.action_groups.into_iter().map(|group| group.action_group_id).collect(),
    })
}

fn clause(wire: WireClause) -> Result<Vec<Leaf>, String> {
    if wire.any_of.is_empty() {
        return leaf(wire).map(|leaf| vec![leaf]);
    }
    wire.any_of.into_iter().map(leaf).collect()
}

fn leaf(wire: WireClause) -> Result<Leaf, String> {
    let field = wire.field.ok_or("a condition of an alert rule names no field")?.to_ascii_lowercase();
    let values: Vec<String> = wire.equals.into_iter().chain(wire.contains_any).collect();
    if values.is_empty() { Err(format!("a condition on {field} has no value")) } else { Ok(Leaf { field, values }) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "list")]
    webhook_receivers: Vec<WireReceiver>,
    #[serde(default, deserialize_with = "list")]
    azure_function_receivers: Vec<WireReceiver>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReceiver {
    name: String,
    service_uri: Option<String>,
    http_trigger_url: Option<String>,
    use_common_alert_schema: Option<bool>,
}

pub(super) fn parse_group(body: &Value) -> Result<ActionGroup, String> {
    let wire: Wire<WireGroup> = shaped(body)?;
    let group = wire.properties;
    let receivers = group.webhook_receivers.into_iter().chain(group.azure_function_receivers);
    Ok(ActionGroup {
        name: wire.name.ok_or("the action group has no name")?,
        enabled: group.enabled.unwrap_or(true),
        receivers: receivers.map(receiver).collect(),
    })
}

fn receiver(wire: WireReceiver) -> Receiver {
    let url = wire.service_uri.or(wire.http_trigger_url).and_then(|text| Url::parse(&text).ok());
    let path = url.as_ref().map(|url| url.path().trim_end_matches('/').to_ascii_lowercase()).unwrap_or_default();
    Receiver {
        name: wire.name,
        host: url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned(),
        at_intake: path.ends_with("/api/alerts"),
        common_schema: wire.use_common_alert_schema.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn both_shapes_of_conditions_are_read() {
        let rule = parse_rule(&json!({"name": "r", "properties": {
            "scopes": ["/subscriptions/s"],
            "condition": {"allOf": [
                {"field": "Category", "equals": "Administrative"},
                {"anyOf": [{"field": "operationName", "equals": "a/write"}, {"field": "operationName", "containsAny": ["b", "c"]}]},
            ]},
            "actions": {"actionGroups": [{"actionGroupId": "/g"}]},
        }}))
        .unwrap();
        assert!(rule.enabled, "a rule that does not say is on");
        assert_eq!(rule.all_of[0], [Leaf { field: "category".into(), values: vec!["Administrative".into()] }]);
        assert_eq!(rule.all_of[1][1].values, ["b", "c"]);
    }

    #[test]
    fn no_more_of_a_receivers_address_is_kept_than_its_host() {
        let group = parse_group(&json!({"name": "g", "properties": {"enabled": true, "webhookReceivers": [
            {"name": "keymend", "serviceUri": "https://app.example/api/alerts?code=hunter2", "useCommonAlertSchema": true},
            {"name": "odd", "serviceUri": "no address hunter2"},
        ]}}))
        .unwrap();
        assert!(group.receivers[0].at_intake && group.receivers[0].common_schema && !group.receivers[1].at_intake);
        assert!(!format!("{group:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn what_has_the_wrong_shape_is_an_error_and_no_panic(garbage in "\\PC{0,20}", number in any::<i64>()) {
            for value in [json!(garbage), json!(number), json!([garbage]), json!({"name": garbage, "properties": number}),
                json!({"name": number, "properties": {}}),
                json!({"name": "r", "properties": {"webhookReceivers": garbage, "scopes": garbage}})] {
                prop_assert!(parse_rule(&value).is_err() && parse_group(&value).is_err());
            }
        }
    }
}
