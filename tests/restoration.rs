//! What Azure dropped: put back, asked for, left alone or only told, whatever happens meanwhile.

#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stepped;

use jiff::SignedDuration;
use keymend::domain::incident::{ApprovalDecision, Incident, Phase};
use keymend::domain::policy::{Mode, Policy, Preset};
use keymend::domain::remedy::Remedy;
use keymend::domain::restoration::{Fate, Restoration};
use keymend::drill::cloud::{Break, Exchange, Fault, FaultKind, KeyRef, What, World};
use keymend::drill::judge;
use keymend::patrol::PatrolSettings;
use keymend::store::{NewJob, Work};
use serde_json::Value;
use stepped::Stage;

/// Minutes; a short one, so that the stories are short.
const WINDOW: u32 = 5;
/// Pool, read scale, auto-pause, tags of two databases, both retentions, failover group.
const CHANGES: usize = 8;

fn under(preset: Preset, mode: Option<Mode>) -> Policy {
    let remedies = mode.map(|mode| (Remedy::RestoreSettings, mode)).into_iter().collect();
    Policy { preset, remedies, window_minutes: WINDOW, ..Policy::default() }
}

fn world() -> World {
    let mut world = World::standard();
    world.timing.window_minutes = WINDOW;
    world
}

/// The patrol knows the databases; then a loss that only a person may undo, and does after the window.
async fn past_the_window(policy: Policy) -> Stage {
    let mut stage = Stage::open_under(world(), policy, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 3).await;
    let right = || "Microsoft.Authorization/roleAssignments/write".to_owned();
    let lost = [
        Break::new(What::RevokeResponderRight { action: right() }),
        Break::new(What::RevokePermission { server: None }),
    ];
    stage.happen(&lost, 20).await;
    assert!(stage.cloud.statuses().values().all(|status| status == "Inaccessible"));
    assert_ne!(settings(&stage), as_at_first(), "nothing was dropped");
    stage.happen(&[Break::new(What::GrantPermission { server: None })], 0).await;
    stage
}

/// Every database's settings, as the cloud itself has them.
fn settings(stage: &Stage) -> Value {
    let world = stage.cloud.world();
    let all = world["servers"][0]["databases"].as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap().to_owned(), one["settings"].clone())).collect()
}

fn as_at_first() -> Value {
    let all = World::standard().servers[0].databases.clone();
    all.into_iter().map(|spec| (spec.name.clone(), serde_json::to_value(&spec).unwrap())).collect()
}

/// Changes of databases and failover groups that took effect.
fn changes(stage: &Stage) -> Vec<Exchange> {
    let of = |one: &Exchange| one.url.contains("/databases/") || one.url.contains("/failoverGroups/");
    stage.asked().into_iter().filter(|one| one.effect && judge::is_write(one) && of(one)).collect()
}

async fn incident(stage: &Stage) -> Incident {
    let mut all = stage.incidents().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn restoration(incident: &Incident) -> &Restoration {
    incident.restoration.as_ref().expect("settings were compared")
}

/// What became of a setting, by database and name.
fn fate<'a>(incident: &'a Incident, database: &str, setting: &str) -> &'a Fate {
    let mut items = restoration(incident).items.iter();
    let found = items.find(|item| item.database.name == database && item.setting == setting);
    &found.unwrap_or_else(|| panic!("{setting} of {database}: {:#?}", restoration(incident).items)).fate
}

/// The text of every message whose type ends with this.
fn told(stage: &Stage, kind: &str) -> Vec<String> {
    let mut all: Vec<Value> = stage.cloud.inbox().into_iter().map(|posted| posted.body).collect();
    all.retain(|body| body["type"].as_str().is_some_and(|it| it.ends_with(kind)));
    all.into_iter().map(|body| body["data"]["text"].as_str().unwrap().to_owned()).collect()
}

/// A person answers, as `keymend incidents approve` and `reject` do it.
async fn answer(stage: &Stage, approved: bool) {
    let (now, store) = (stage.clock.now(), stage.house.store());
    let id = incident(stage).await.id;
    let (mut incident, version) = store.incident(&id).await.unwrap().unwrap();
    let asked = incident.approval.as_mut().unwrap();
    asked.decision = Some(ApprovalDecision { approved, by: "ada".to_owned(), at: now });
    let pass = NewJob { work: Work::Pass { incident: id }, due: now };
    store.save(&incident, Some(version), &[pass], &[], now).await.unwrap();
}

#[tokio::test]
async fn every_setting_comes_back_by_itself_and_once() {
    let mut stage = past_the_window(under(Preset::Auto, None)).await;
    stage.happen(&[], 40).await;
    let incident = incident(&stage).await;
    assert_eq!(incident.phase, Phase::Healed);
    assert_eq!(settings(&stage), as_at_first());
    assert_eq!(changes(&stage).len(), CHANGES);
    assert_eq!(restoration(&incident).put_back(), restoration(&incident).items.len());
    // First that the outage is over, with what is missing; then what became of it.
    let (resolved, restored) = (told(&stage, "incident.resolved.v1"), told(&stage, "incident.restored.v1"));
    assert_eq!((resolved.len(), restored.len()), (1, 1), "{resolved:?} {restored:?}");
    assert!(
        resolved[0].contains("Dropped by Azure") && resolved[0].contains("elastic pool of billing"),
        "{resolved:?}"
    );
    assert!(restored[0].contains("9 settings put back") && restored[0].contains("fg-orders"), "{restored:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn another_keymend_that_takes_over_at_any_moment_goes_on() {
    let mut stage = past_the_window(under(Preset::Auto, None)).await;
    while !incident(&stage).await.is_restoring() {
        stage.pass(&[], SignedDuration::from_secs(5)).await;
    }
    let mut replaced = 0;
    while incident(&stage).await.is_restoring() && replaced < 100 {
        stage.replace().await;
        // Not in step with anything: whoever is killed ten times at the same moment is set aside, and a person is called.
        stage.pass(&[], SignedDuration::from_secs([7, 23, 11, 17][replaced % 4])).await;
        replaced += 1;
    }
    assert!(replaced > 5, "replaced {replaced} times");
    stage.happen(&[], 10).await;
    assert_eq!(settings(&stage), as_at_first(), "{:#?}", stage.incidents().await);
    assert_eq!(changes(&stage).len(), CHANGES);
    assert_eq!(told(&stage, "incident.restored.v1").len(), 1);
    stage.house.stop().await;
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_change() {
    let mut stage = past_the_window(under(Preset::Auto, None)).await;
    for (method, path) in [("PATCH", "/databases/"), ("PUT", "RetentionPolicies"), ("PATCH", "/failoverGroups/")] {
        let kind = FaultKind::Reset;
        stage.cloud.fault(Fault { after_effect: true, ..Fault::new(kind, path, 2).method(method) });
    }
    stage.happen(&[], 60).await;
    let lost = stage.cloud.requests().iter().filter(|one| one.effect && one.status == 0).count();
    assert!(lost >= 4, "{lost} answers were lost");
    assert_eq!(settings(&stage), as_at_first());
    assert_eq!(changes(&stage).len(), CHANGES);
    stage.house.stop().await;
}

#[tokio::test]
async fn what_somebody_set_while_a_person_was_asked_stays() {
    let mut stage = past_the_window(under(Preset::Guarded, None)).await;
    stage.happen(&[], 40).await;
    let asked = incident(&stage).await;
    assert!(asked.phase == Phase::Healed && asked.is_restoring(), "{:#?}", asked.timeline);
    assert_eq!(changes(&stage).len(), 0, "nobody has approved");
    let questions = told(&stage, "approval.requested.v1");
    assert!(questions.iter().any(|text| text.contains("shall 9 settings")), "{questions:?}");
    let orders = format!("{}/databases/orders", World::standard().server_id("contoso-sql"));
    let tag = What::SetTag { target: Some(orders), name: "owner".to_owned(), value: Some("logistics".to_owned()) };
    stage.happen(&[Break::new(tag)], 1).await;
    answer(&stage, true).await;
    stage.happen(&[], 40).await;
    let done = incident(&stage).await;
    let mut wanted = as_at_first();
    wanted["orders"]["tags"]["owner"] = "logistics".into();
    assert_eq!(settings(&stage), wanted);
    assert!(matches!(fate(&done, "orders", "tag owner"), Fate::Left { why, .. } if why.contains("somebody")));
    assert_eq!(restoration(&done).put_back(), 8);
    let last = told(&stage, "incident.restored.v1");
    assert!(last.len() == 1 && last[0].contains("logistics") && last[0].contains("somebody changed it"), "{last:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_no_is_a_no() {
    let mut stage = past_the_window(under(Preset::Guarded, None)).await;
    stage.happen(&[], 40).await;
    let before = settings(&stage);
    answer(&stage, false).await;
    stage.happen(&[], 60).await;
    let done = incident(&stage).await;
    assert!(!done.is_restoring());
    assert_eq!((settings(&stage), changes(&stage).len()), (before, 0));
    assert!(matches!(fate(&done, "billing", "elastic pool"), Fate::Left { why, .. } if why.contains("does not want")));
    stage.house.stop().await;
}

#[tokio::test]
async fn a_hold_tag_set_before_the_answer_holds_everything() {
    let mut stage = past_the_window(under(Preset::Guarded, None)).await;
    stage.happen(&[], 40).await;
    let before = settings(&stage);
    let target = Some(World::standard().server_id("contoso-sql").to_string());
    let tag = What::SetTag { target, name: "keymend-hold".to_owned(), value: Some("audit".to_owned()) };
    stage.happen(&[Break::new(tag)], 1).await;
    answer(&stage, true).await;
    stage.happen(&[], 40).await;
    let done = incident(&stage).await;
    assert!(!done.is_restoring());
    assert_eq!((settings(&stage), changes(&stage).len()), (before, 0));
    assert!(matches!(fate(&done, "web", "auto-pause delay"), Fate::Left { why, .. } if why.contains("keymend-hold")));
    let last = told(&stage, "incident.restored.v1");
    assert!(last[0].contains("keymend-hold") && last[0].contains("--auto-pause-delay 60"), "{last:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn switched_off_it_is_told_with_the_commands_and_nothing_else() {
    let mut stage = past_the_window(under(Preset::Auto, Some(Mode::Off))).await;
    stage.happen(&[], 40).await;
    let done = incident(&stage).await;
    assert!(done.phase == Phase::Healed && !done.is_restoring());
    assert_eq!(changes(&stage).len(), 0);
    let last = told(&stage, "incident.resolved.v1");
    assert!(last[0].contains("read scale of orders") && last[0].contains("switched restore_settings off"), "{last:?}");
    assert!(last[0].contains("az sql db update") && last[0].contains("--elastic-pool"), "{last:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_new_loss_comes_first_and_the_rest_is_left() {
    let mut stage = past_the_window(under(Preset::Guarded, None)).await;
    stage.happen(&[], 40).await;
    assert!(incident(&stage).await.is_restoring());
    stage.happen(&[Break::new(What::DisableKey(KeyRef::default()))], 45).await;
    let all = stage.incidents().await;
    let first = all.iter().min_by_key(|incident| incident.opened_at).unwrap();
    assert!(all.len() == 2 && !first.is_restoring(), "{:#?}", first.timeline);
    assert!(matches!(fate(first, "orders", "read scale"), Fate::Left { why, .. } if why.contains("comes first")));
    assert_eq!(changes(&stage).len(), 0);
    stage.house.stop().await;
}

#[tokio::test]
async fn without_a_record_it_says_so() {
    // Keymend begins to watch when the databases have long been down.
    let mut stage = Stage::open_under(world(), under(Preset::Auto, None), PatrolSettings::off()).await;
    stage.happen(&[Break::new(What::RevokePermission { server: None })], 25).await;
    stage.watch_by_itself(PatrolSettings::rounds_only()).await;
    stage.happen(&[], 50).await;
    let done = incident(&stage).await;
    assert_eq!(done.phase, Phase::Healed, "{:#?}", done.timeline);
    assert_eq!(restoration(&done).without_snapshot.len(), 3);
    assert_eq!(changes(&stage).len(), 0, "nothing is guessed");
    let last = told(&stage, "incident.resolved.v1");
    assert!(last[0].contains("never recorded") && last[0].contains("retention"), "{last:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_for_an_hour_comes_back_when_it_can() {
    for path in ["RetentionPolicies", "/databases"] {
        let mut stage = past_the_window(under(Preset::Auto, None)).await;
        while stage.cloud.statuses().values().any(|status| status != "Online") {
            stage.happen(&[], 1).await;
        }
        let kind = FaultKind::Status { status: 503, code: "ServiceUnavailable".to_owned() };
        let outage = Fault { times: None, for_seconds: Some(3600), ..Fault::new(kind, path, 1).method("GET") };
        stage.cloud.fault(outage);
        stage.happen(&[], 50).await;
        let failed = stage.cloud.requests().iter().filter(|one| one.status == 503).count();
        assert!(failed > 0, "{path}");
        assert_ne!(settings(&stage), as_at_first(), "{path}");
        stage.happen(&[], 120).await;
        assert_eq!(settings(&stage), as_at_first(), "{path}: {:#?}", incident(&stage).await.timeline);
        assert_eq!(changes(&stage).len(), CHANGES);
        stage.house.stop().await;
    }
}

#[tokio::test]
async fn what_azure_refuses_is_left_and_the_rest_goes_on() {
    let mut stage = past_the_window(under(Preset::Auto, None)).await;
    let action = "Microsoft.Sql/servers/failoverGroups/write".to_owned();
    stage.happen(&[Break::new(What::RevokeResponderRight { action })], 45).await;
    let done = incident(&stage).await;
    let left = fate(&done, "orders", "failover group");
    assert!(matches!(left, Fate::Left { why, .. } if why.contains("failoverGroups/write")), "{left:?}");
    assert_eq!((changes(&stage).len(), restoration(&done).put_back()), (CHANGES - 1, 8));
    stage.house.stop().await;
}

fn retention_reads(asked: &[Exchange]) -> usize {
    asked.iter().filter(|one| one.method == "GET" && one.url.contains("RetentionPolicies")).count()
}

#[tokio::test]
async fn recording_costs_two_requests_a_database_and_day_and_none_while_something_is_wrong() {
    let mut stage =
        Stage::open_under(World::shared_vault(20, 10), under(Preset::Auto, None), PatrolSettings::rounds_only()).await;
    let first = stage.happen(&[], 1).await;
    assert!((2..=300).contains(&retention_reads(&first)), "{} requests in one round", retention_reads(&first));
    let begun = retention_reads(&first) + retention_reads(&stage.happen(&[], 120).await);
    assert_eq!(begun, 2 * 200, "each database once");
    stage.house.stop().await;
    let mut stage =
        Stage::open_under(World::shared_vault(20, 10), under(Preset::Observe, None), PatrolSettings::rounds_only())
            .await;
    let all = ["*".to_owned()].map(|server| Break::new(What::RevokePermission { server: Some(server) }));
    let found = stage.happen(&all, 3).await;
    assert!(retention_reads(&found) < 400, "the patrol was done before anything was wrong");
    assert!(!stage.incidents().await.is_empty());
    assert_eq!(retention_reads(&stage.happen(&[], 20).await), 0);
    stage.house.stop().await;
}
