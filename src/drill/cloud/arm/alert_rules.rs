//! Microsoft.Insights: the Activity Log alert rules of this world, and the action group that they call.

use serde_json::{Value, json};

use super::super::alert_body::{CAUSES, LOSS};
use super::super::state::State;
use super::super::wire::Answer;
use super::{Call, not_found, page};

/// The group in which both are.
const GROUP: &str = "rg-monitor";
const ACTION_GROUP: &str = "keymend";

/// All rules of the subscription or a resource group, or one.
pub(super) fn rules(state: &mut State, call: &Call<'_>) -> Answer {
    let all = all_rules(state).into_iter();
    one_or_page(state, call, all.collect())
}

/// All action groups of the subscription or a resource group, or one.
pub(super) fn action_groups(state: &mut State, call: &Call<'_>) -> Answer {
    let group = json!({
        "id": action_group_id(state),
        "type": "Microsoft.Insights/ActionGroups",
        "name": ACTION_GROUP,
        "location": "Global",
        "tags": {},
        "properties": {
            "groupShortName": ACTION_GROUP,
            "enabled": true,
            "emailReceivers": [],
            "smsReceivers": [],
            "webhookReceivers": [{
                "name": "keymend",
                "serviceUri": "https://keymend.contoso.example/api/alerts?code=a-key-that-nobody-is-shown",
                "useCommonAlertSchema": state.world.alerts.common_schema,
                "useAadAuth": false,
            }],
            "azureFunctionReceivers": [],
        },
    });
    one_or_page(state, call, vec![group])
}

fn one_or_page(state: &State, call: &Call<'_>, all: Vec<Value>) -> Answer {
    let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_ascii_lowercase();
    if call.names.is_empty() {
        let below = call.scope.as_ref().map(|scope| format!("{}/", scope.key())).unwrap_or_default();
        return page(state, call, all.into_iter().filter(|item| id(item).starts_with(&below)).collect());
    }
    let wanted = call.id.as_ref().map(|id| id.key().to_owned()).unwrap_or_default();
    let found = all.into_iter().find(|item| id(item) == wanted);
    found.map_or_else(|| not_found(call.id.as_ref()), |item| Answer::json(200, item))
}

fn action_group_id(state: &State) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{GROUP}/providers/Microsoft.Insights/actionGroups/{ACTION_GROUP}",
        state.world.subscription
    )
}

fn all_rules(state: &State) -> Vec<Value> {
    let alerts = &state.world.alerts;
    let mut rules = Vec::new();
    if alerts.rings_for(LOSS) {
        let condition = json!([leaf("category", "Administrative"), leaf("operationName", LOSS)]);
        rules.push(rule(state, &alerts.rule, &condition));
    }
    if alerts.cause_alerts {
        let causes = CAUSES.iter().filter(|operation| alerts.rings_for(operation));
        let causes: Vec<Value> = causes.map(|operation| leaf("operationName", operation)).collect();
        let condition = json!([leaf("category", "Administrative"), leaf("status", "Succeeded"), { "anyOf": causes }]);
        rules.push(rule(state, &format!("{}-causes", alerts.rule), &condition));
    }
    if alerts.resource_health {
        let condition = json!([leaf("category", "ResourceHealth")]);
        rules.push(rule(state, &format!("{}-health", alerts.rule), &condition));
    }
    rules
}

fn leaf(field: &str, value: &str) -> Value {
    json!({ "field": field, "equals": value })
}

fn rule(state: &State, name: &str, condition: &Value) -> Value {
    let subscription = format!("/subscriptions/{}", state.world.subscription);
    json!({
        "id": format!("{subscription}/resourceGroups/{GROUP}/providers/Microsoft.Insights/activityLogAlerts/{name}"),
        "type": "Microsoft.Insights/ActivityLogAlerts",
        "name": name,
        "location": "global",
        "tags": {},
        "properties": {
            "scopes": [subscription],
            "condition": { "allOf": condition },
            "actions": { "actionGroups": [{ "actionGroupId": action_group_id(state), "webhookProperties": {} }] },
            "enabled": true,
            "description": "Access of Azure SQL to its TDE key",
        },
    })
}
