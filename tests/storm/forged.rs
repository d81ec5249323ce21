//! Whoever knows the webhook's secret can name any resource. It costs a glance, and nobody is woken.

use jiff::SignedDuration;
use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Plane, World};
use keymend::drill::judge::is_write;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::kit::{Storm, all_rights_removed, policy};

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
const POSTS: usize = 1000;
/// How many servers of the subscription are made up. Each is named many times.
const MADE_UP: usize = 50;

/// An alert, as the Action Group would post it, that `target` has lost its key.
fn alert(target: &str, id: u64) -> Value {
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertTargetIDs": [target.to_lowercase()],
                "signalType": "Activity Log",
                "monitorCondition": "Fired",
                "monitoringService": "Activity Log - Administrative",
                "firedDateTime": "2026-11-24T02:00:00.0000000Z",
            },
            "alertContext": {
                "authorization": { "action": "Microsoft.Sql/servers/databases/write", "scope": target },
                "eventDataId": format!("{id:032x}"),
                "eventSource": "Administrative",
                "eventTimestamp": "2026-11-24T01:59:00.0000000+00:00",
                "operationName": "Microsoft.Sql/servers/databases/write",
                "status": "Started",
                "properties": { "eventName": "MakeDatabaseInaccessible" },
            },
        },
    })
}

/// Made-up servers in scope, servers of foreign subscriptions, and names that try to be more than names.
fn forgeries(seed: u64) -> Vec<Value> {
    let mut rng = StdRng::seed_from_u64(seed);
    let server = |subscription: &str, name: &str| {
        format!(
            "/subscriptions/{subscription}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}/databases/db"
        )
    };
    let mut all: Vec<Value> = (0..POSTS as u64)
        .map(|n| {
            let target = match n % 4 {
                0 | 1 => server(SUBSCRIPTION, &format!("made-up-{}", rng.random_range(0..MADE_UP))),
                2 => server(&uuid::Uuid::from_u128(rng.random()).to_string(), "contoso-sql"),
                _ => {
                    let odd = ["..", "%2e%2e", "a?b=c", "a#b", "a%2fdatabases%2fb", "*", "é", "", "a b", "'or'1'='1"];
                    server(SUBSCRIPTION, odd.choose(&mut rng).unwrap_or(&""))
                }
            };
            alert(&target, n)
        })
        .collect();
    all.shuffle(&mut rng);
    all
}

#[tokio::test]
async fn forged_alerts_cost_a_glance_and_wake_nobody() {
    let world = World::standard().activity_log_minutes(3.0);
    let policy = policy(Preset::Auto, &world);
    let mut storm = Storm::new(world, &policy, 1).await;
    storm.post(&forgeries(1)).await;
    storm.pass(SignedDuration::from_mins(60)).await;
    // What is not even a resource id is malformed (400) or nothing of ours (200); no answer is a failure of ours.
    assert!(storm.answers.keys().all(|status| matches!(status, 200 | 202 | 400)), "{:?}", storm.answers);
    assert_eq!(storm.answers.values().sum::<usize>(), POSTS);
    let told = storm.incidents().await.iter().filter(|incident| !incident.notices.is_empty()).count();
    assert_eq!(told, 0, "nobody is told of what is not there");
    assert!(storm.cloud.inbox().is_empty());
    let requests = storm.cloud.requests();
    assert!(!requests.iter().any(is_write), "a forged alert changes nothing");
    let arm: Vec<&str> = requests.iter().filter(|one| one.plane == Plane::Arm).map(|one| one.url.as_str()).collect();
    let distinct = MADE_UP + 10;
    assert!(arm.len() <= 3 * distinct, "{} requests for {distinct} names", arm.len());
    let astray: Vec<&&str> = arm.iter().filter(|url| !url.contains(SUBSCRIPTION)).collect();
    assert!(astray.is_empty(), "requests outside the scope: {astray:?}");
    assert_eq!(storm.store.poison().await.unwrap(), []);
    storm.stop().await;
}

/// A server that exists and is well: it is watched for a while, and nobody hears of it.
#[tokio::test]
async fn forged_alerts_about_a_healthy_server_wake_nobody() {
    let world = World::standard();
    let policy = policy(Preset::Auto, &world);
    let target = format!("{}/databases/no-such-database", world.server_id("contoso-sql"));
    let mut storm = Storm::new(world, &policy, 1).await;
    let forged: Vec<Value> = (0..200).map(|n| alert(&target, n)).collect();
    storm.post(&forged).await;
    storm.pass(SignedDuration::from_mins(60)).await;
    let incident = storm.only_incident().await;
    assert_eq!(incident.phase, Phase::Closed, "{:?}", incident.end);
    assert!(incident.notices.is_empty() && storm.cloud.inbox().is_empty());
    assert!(!storm.cloud.requests().iter().any(is_write));
    storm.assert_all_taken().await;
    storm.stop().await;
}

/// A real loss in the middle of a flood of forged alerts is repaired as if there were none.
#[tokio::test]
async fn a_real_loss_is_found_among_forged_alerts() {
    let world = World::standard().activity_log_minutes(3.0);
    let policy = policy(Preset::Guarded, &world);
    let mut storm = Storm::new(world, &policy, 2).await;
    storm.cloud.break_it(&all_rights_removed());
    let forged = forgeries(2);
    let mut forged = forged.chunks(20);
    for _ in 0..80 {
        let mut bodies = forged.next().unwrap_or_default().to_vec();
        let real = storm.fresh();
        bodies.extend(storm.doubled(&real));
        storm.post(&bodies).await;
        storm.pass(SignedDuration::from_secs(60)).await;
    }
    let incident = storm.only_incident().await;
    assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
    storm.assert_online();
    let accounts = Accounts::of(&storm.cloud);
    assert_eq!(accounts.writes.len(), 1, "{:?}", accounts.writes_in_words());
    let first_alert = incident.opened_at;
    let waited = accounts.writes[0].at.duration_since(first_alert);
    assert!(waited <= SignedDuration::from_mins(2), "the repair waited {waited:?} for the forged alerts");
    storm.stop().await;
}
