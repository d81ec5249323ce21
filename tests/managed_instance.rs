//! A managed instance that lost its role on the vault is found by the alert that Azure was seen to send, and repaired.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

use jiff::SignedDuration;
use keymend::clock::{Clock, add};
use keymend::domain::incident::Phase;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::{SUBSCRIPTION, TOKEN};
use keymend::drill::cloud::{Break, Cloud, What, World};
use keymend::drill::{house, judge};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_instance_that_lost_its_role_gets_it_back() {
    let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
    let stage = clock.busy();
    let cloud = Cloud::new(World::instance().activity_log_minutes(600.0), clock.clone());
    let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
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
                "eventSource": "Administrative", "eventTimestamp": "2026-11-24T02:10:00+00:00",
                "eventDataId": "e1", "operationName": "Microsoft.Sql/managedServers/databases/write", "status": "Started",
                "properties": { "eventName": "MakeManagedDbInaccessible", "entity": database },
            },
        },
    });
    cloud.break_it(&Break::new(What::RevokePermission { server: None }));
    // Time stands still while the stage is held, so it is handed over to the wait, which hands it back.
    let lost = add(clock.now(), SignedDuration::from_mins(15));
    drop(stage);
    let stage = clock.idle_until(lost).await;
    let answer = keymend::tls::client().build().unwrap().post(house.webhook()).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    drop(stage);
    let end = add(clock.now(), SignedDuration::from_mins(180));
    drop(clock.idle_until(end).await);
    let incidents = house.store().incidents(false, 10).await.unwrap();
    assert_eq!(incidents.len(), 1, "the alert ended in silence");
    assert_eq!(incidents[0].phase, Phase::Healed, "{:?}", incidents[0].timeline);
    assert_eq!(cloud.world()["servers"][0]["key_access"], "ok");
    let writes: Vec<_> = cloud.requests().into_iter().filter(judge::is_write).collect();
    assert_eq!(writes.len(), 1, "one role assignment: {writes:?}");
    house.stop().await;
    running.stop().await;
}
