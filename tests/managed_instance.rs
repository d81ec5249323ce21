//! A loss that Keymend cannot repair yet must reach a person, and nothing may be written.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

use jiff::SignedDuration;
use keymend::clock::{Clock, add};
use keymend::domain::incident::Phase;
use keymend::domain::policy::Policy;
use keymend::drill::cloud::world::{SUBSCRIPTION, TOKEN};
use keymend::drill::cloud::{Cloud, World};
use keymend::drill::{house, judge};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_instance_that_lost_its_key_calls_a_person() {
    let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
    let stage = clock.busy();
    let cloud = Cloud::new(World::standard(), clock.clone());
    let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut policy = Policy::default();
    policy.scope.subscriptions.push(SUBSCRIPTION.to_owned());
    let house = house::build(&policy, &running.url(), TOKEN, folder.path(), &clock).await.unwrap();
    let database = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/managedInstances/contoso-mi/databases/ledger"
    );
    let body = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/0a"),
                "alertRule": "tde", "signalType": "Activity Log", "monitorCondition": "Fired",
                "monitoringService": "Activity Log - Administrative", "alertTargetIDs": [database.to_lowercase()],
            },
            "alertContext": {
                "eventSource": "Administrative", "eventTimestamp": "2026-11-24T01:55:00+00:00",
                "eventDataId": "e1", "operationName": "Microsoft.Sql/managedServers/databases/write", "status": "Started",
                "properties": { "eventName": "MakeManagedDbInaccessible", "entity": database },
            },
        },
    });
    let answer = reqwest::Client::new().post(house.webhook()).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    drop(stage);
    let end = add(clock.now(), SignedDuration::from_mins(5));
    drop(clock.idle_until(end).await);
    let incidents = house.store().incidents(false, 10).await.unwrap();
    assert_eq!(incidents.len(), 1, "the alert ended in silence");
    assert_eq!(incidents[0].phase, Phase::Escalated);
    let card = cloud.inbox().into_iter().find(|posted| posted.sink == "teams").expect("the team was told");
    let text = card.body.to_string();
    assert!(text.contains("contoso-mi") && text.contains("extendedAccessibilityInfo"), "{text}");
    assert_eq!(cloud.requests().iter().filter(|exchange| judge::is_write(exchange)).count(), 0);
    house.stop().await;
    running.stop().await;
}
