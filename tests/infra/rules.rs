//! Whether what rings Keymend rings for everything that Keymend reads, within Azure's limits.

use std::collections::BTreeSet;

use keymend::domain::signal::{SignalKind, read, watched_operations};
use serde_json::{Value, json};

use super::bicep::named_children;
use super::{bicep, json as json_file};

/// Active Activity Log alert rules in a subscription (Microsoft, "Azure Monitor service limits").
const RULES_IN_A_SUBSCRIPTION: usize = 100;

/// Values in the advanced filters of one event subscription (Microsoft, "Event Grid quotas and limits").
const VALUES_IN_AN_EVENT_SUBSCRIPTION: usize = 25;

/// The operations of infra/operations.json by their heading there.
fn operations() -> Vec<(String, Vec<String>)> {
    let file = json_file("infra/operations.json");
    let strings = |list: &Value| {
        let list = list.as_array().expect("a list");
        list.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    file.as_object().expect("an object").iter().map(|(heading, list)| (heading.clone(), strings(list))).collect()
}

/// The headings that a text mentions as `operations.HEADING`.
fn mentioned(text: &str) -> BTreeSet<String> {
    let heading = |rest: &str| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    text.split("operations.").skip(1).map(heading).filter(|heading| !["", "json"].contains(&heading.as_str())).collect()
}

#[test]
fn alert_rules_ring_for_every_operation_that_is_read() {
    let mut listed: Vec<String> = operations().into_iter().flat_map(|(_, list)| list).collect();
    let count = listed.len();
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), count, "an operation stands twice in infra/operations.json");
    let mut read: Vec<String> = watched_operations().collect();
    read.sort();
    assert_eq!(listed, read, "infra/operations.json and what Keymend reads differ");
}

#[test]
fn every_list_of_operations_has_its_rule() {
    let rules = bicep("infra/modules/alert-rules.bicep");
    let headings: BTreeSet<String> = operations().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(mentioned(rules.source()), headings);
}

#[test]
fn alert_rules_stay_far_below_the_limit() {
    let file = bicep("infra/modules/alert-rules.bicep");
    let rules = named_children(file.variable("rules").expect("the table of rules"));
    let single = file.resources().iter().filter(|resource| resource.what.contains("activityLogAlerts")).count();
    let all = rules.len() + single - 1;
    assert!((2..=RULES_IN_A_SUBSCRIPTION / 10).contains(&all), "{all} rules in each subscription");
}

#[test]
fn no_rule_hides_a_loss() {
    let rules = bicep("infra/modules/alert-rules.bicep");
    for field in ["level", "status", "subStatus", "caller"] {
        assert!(!rules.source().contains(&format!("field: '{field}'")), "a rule filters on {field}");
    }
}

#[test]
fn an_event_subscription_compares_with_no_more_than_azure_allows() {
    let events = bicep("infra/modules/cause-events.bicep");
    let used = mentioned(events.source());
    let compared: usize =
        operations().iter().filter(|(heading, _)| used.contains(heading)).map(|(_, list)| list.len()).sum();
    assert!(compared > 0 && compared <= VALUES_IN_AN_EVENT_SUBSCRIPTION, "{compared} values");
}

#[test]
fn what_a_rule_sends_is_understood() {
    let server =
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Sql/servers/s1";
    let vault =
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v1";
    let identity = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/\
                    Microsoft.ManagedIdentity/userAssignedIdentities/i1";
    for operation in watched_operations() {
        let target = match operation.as_str() {
            name if name.starts_with("Microsoft.Sql/") && name.contains("/databases/") => {
                format!("{server}/databases/d1")
            }
            name if name.starts_with("Microsoft.Sql/") => server.to_owned(),
            name if name.starts_with("Microsoft.ManagedIdentity/") => identity.to_owned(),
            name if name.starts_with("Microsoft.Authorization/locks") => {
                format!("{vault}/providers/Microsoft.Authorization/locks/l1")
            }
            name if name.starts_with("Microsoft.Authorization/") => {
                format!("{vault}/providers/Microsoft.Authorization/roleAssignments/r1")
            }
            _ => vault.to_owned(),
        };
        let body = json!({
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": {
                    "signalType": "Activity Log", "monitorCondition": "Fired",
                    "monitoringService": "Activity Log - Administrative", "alertTargetIDs": [target],
                    "firedDateTime": "2026-11-01T10:00:00Z"
                },
                "alertContext": {
                    "authorization": {"action": operation, "scope": target}, "operationName": operation,
                    "status": "Succeeded", "eventTimestamp": "2026-11-01T09:55:00Z", "eventDataId": "e1"
                }
            }
        });
        let said = format!("{:?}", read(body.to_string().as_bytes()));
        assert!(said.contains("Signal"), "{operation} was read as {said}");
    }
}

#[test]
fn event_grid_sends_what_is_read_of_keys() {
    let events = bicep("infra/modules/key-events.bicep");
    let vault =
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v1";
    let mut kinds = BTreeSet::new();
    for name in events.source().split('\'').filter(|word| word.starts_with("Microsoft.KeyVault.")) {
        let event = json!([{
            "id": "e1", "topic": vault, "subject": "k1", "eventType": name, "eventTime": "2026-11-01T10:00:00Z",
            "dataVersion": "1", "metadataVersion": "1",
            "data": {"Id": "https://v1.vault.azure.net/keys/k1/1", "VaultName": "v1", "ObjectType": "Key", "ObjectName": "k1"}
        }]);
        kinds.insert(format!("{:?}", read(event.to_string().as_bytes())));
    }
    for kind in
        [SignalKind::KeyNearExpiry, SignalKind::KeyExpired, SignalKind::KeyRotated, SignalKind::AccessPolicyChanged]
    {
        assert!(kinds.iter().any(|said| said.contains(&format!("{kind:?}"))), "nothing sends {kind:?}: {kinds:?}");
    }
}
