//! What the Action Group posts, when, and how often.

use keymend::drill::cloud::world::EventNameIn;
use keymend::drill::cloud::{Actor, Break, Fault, FaultKind, KeyRef, What, World};
use serde_json::Value;

use crate::sky::{SERVER, SUB, Sky};

/// A cloud whose alerts go to its own sink.
async fn watched(world: World) -> Sky {
    let sky = Sky::new(world).await;
    sky.cloud.deliver_to(format!("{}/sink/webhook", sky.running.url()));
    sky
}

fn posted(sky: &Sky) -> Vec<Value> {
    sky.cloud.inbox().into_iter().map(|posted| posted.body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_for_each_database_after_the_logs_delay() {
    let mut sky = watched(World::standard().activity_log_minutes(12.0)).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(10).await;
    assert_eq!(sky.access("orders"), "losing");
    assert!(sky.cloud.deliveries().is_empty(), "nothing is told before the log shows it");
    sky.pass(15).await;
    let bodies = posted(&sky);
    assert_eq!(bodies.len(), 3);
    let mut targets: Vec<&str> =
        bodies.iter().map(|body| body["data"]["essentials"]["alertTargetIDs"][0].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets[1], format!("{SUB}{SERVER}/databases/orders").to_lowercase());
    let context = &bodies[0]["data"]["alertContext"];
    assert_eq!(context["properties"]["eventName"], "MakeDatabaseInaccessible");
    assert_eq!(context["status"], "Started");
    assert_eq!(context["caller"], Value::Null, "the service does it; nobody is named");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_hide_the_name_or_be_of_the_older_schema() {
    let mut world = World::standard();
    world.alerts.event_name_in = EventNameIn::Nowhere;
    let mut sky = watched(world).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(32).await;
    let text = posted(&sky)[0].to_string();
    assert!(!text.contains("MakeDatabase") && !text.contains("lost access"), "{text}");

    let mut world = World::standard();
    world.alerts.common_schema = false;
    let mut sky = watched(world).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(32).await;
    let body = &posted(&sky)[0];
    assert_eq!(body["schemaId"], "Microsoft.Insights/activityLogs");
    assert_eq!(body["data"]["context"]["activityLog"]["properties"]["eventName"], "MakeDatabaseInaccessible");
}

#[tokio::test(flavor = "multi_thread")]
async fn causes_and_health_are_told_where_the_world_has_rules_for_them() {
    let mut world = World::standard();
    world.alerts.cause_alerts = true;
    world.alerts.resource_health = true;
    let mut sky = watched(world).await;
    let by = Actor::person("ops@contoso.com");
    sky.cloud.break_it(&Break::new(What::DeleteVault { vault: None }).by(by));
    sky.pass(35).await;
    let bodies = posted(&sky);
    let deletion =
        bodies.iter().find(|body| body["data"]["alertContext"]["operationName"] == "Microsoft.KeyVault/vaults/delete");
    assert_eq!(deletion.unwrap()["data"]["alertContext"]["caller"], "ops@contoso.com");
    assert!(bodies.iter().any(|body| body["data"]["essentials"]["monitoringService"] == "Resource Health"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_tried_six_times_and_then_left_alone() {
    let mut sky = watched(World::standard()).await;
    let busy = FaultKind::Status { status: 503, code: "busy".to_owned() };
    sky.cloud.fault(Fault::new(busy, "/sink/webhook", 6));
    sky.does(What::PostAlert { server: None, database: None });
    sky.pass(2).await;
    let deliveries = sky.cloud.deliveries();
    assert_eq!(deliveries.len(), 6);
    let began = deliveries[0].at;
    let after: Vec<i64> = deliveries.iter().map(|one| one.at.duration_since(began).as_secs()).collect();
    assert_eq!(after, [0, 5, 25, 30, 70, 75]);
    sky.does(What::PostAlert { server: None, database: None });
    sky.pass(1).await;
    let quiet = sky.cloud.deliveries();
    assert_eq!((quiet.len(), quiet[6].status), (7, None), "what is due in the quiet minutes is lost");
    sky.pass(16).await;
    sky.does(What::PostAlert { server: None, database: None });
    sky.pass(1).await;
    assert_eq!(sky.cloud.deliveries().last().unwrap().status, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_invitation_is_not_tried_again() {
    let mut sky = watched(World::standard()).await;
    let failed = FaultKind::Status { status: 500, code: "oops".to_owned() };
    sky.cloud.fault(Fault::new(failed, "/sink/webhook", 1));
    sky.does(What::PostAlert { server: None, database: None });
    sky.pass(3).await;
    assert_eq!(sky.cloud.deliveries().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_can_come_twice_and_are_then_the_same() {
    let mut world = World::standard();
    world.alerts.copies = 2;
    let mut sky = watched(world).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(34).await;
    let mut ids: Vec<String> = sky.cloud.deliveries().into_iter().map(|delivery| delivery.event).collect();
    assert_eq!(ids.len(), 6);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_vault_under_forty_servers_is_four_hundred_alerts() {
    let mut sky = watched(World::shared_vault(40, 10)).await;
    sky.does(What::DeleteVault { vault: None });
    sky.pass(34).await;
    let targets: std::collections::BTreeSet<String> = posted(&sky)
        .iter()
        .map(|body| body["data"]["essentials"]["alertTargetIDs"][0].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(targets.len(), 400);
    assert!(sky.cloud.deliveries().iter().all(|delivery| delivery.status == Some(200)));
}
