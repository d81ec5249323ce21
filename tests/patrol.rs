//! The patrol by itself: nobody rings, and what it finds is told, once, and not against a person's will.

#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stepped;

use jiff::SignedDuration;
use keymend::domain::incident::{ApprovalDecision, Incident, Phase};
use keymend::domain::notice::Situation;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::{Actor, Break, Fault, FaultKind, KeyRef, What, World};
use keymend::drill::judge::is_warning;
use keymend::patrol::PatrolSettings;
use keymend::posture::finding::Level;
use keymend::posture::report::Report;
use keymend::posture::survey::{roots, survey};
use keymend::store::{NewJob, POSTURE, Work};
use stepped::Stage;

/// A pipeline: its application, and that one's object id.
const PIPELINE: (&str, &str) = ("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");

fn revoke(server: Option<&str>) -> Break {
    let bob = Actor::person("bob@contoso.example");
    Break::new(What::RevokePermission { server: server.map(str::to_owned) }).by(bob)
}

#[tokio::test]
async fn what_a_person_closed_before_anything_was_down_stays_closed() {
    what_was_closed_stays_closed(0).await;
}

#[tokio::test]
async fn what_a_person_closed_with_databases_down_stays_closed() {
    what_was_closed_stays_closed(30).await;
}

async fn what_was_closed_stays_closed(before_closing: i64) {
    let mut stage = Stage::open(World::shared_vault(2, 1), Preset::Observe, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 5).await;
    stage.happen(&[revoke(Some("sql-01"))], 5).await;
    let incidents = stage.incidents().await;
    assert_eq!(incidents.len(), 1, "the patrol saw it");
    stage.happen(&[], before_closing).await;
    let closed = stage.incidents_command(&["close", incidents[0].id.0.as_str(), "--why", "we are moving this server"]);
    assert!(closed.status.success(), "{}", String::from_utf8_lossy(&closed.stderr));

    stage.happen(&[], 90).await;
    let incidents = stage.incidents().await;
    assert_eq!(incidents.len(), 1, "it is still broken, and closed: {incidents:#?}");
    assert_eq!(incidents[0].phase, Phase::Closed);

    stage.happen(&[revoke(Some("sql-02"))], 5).await;
    assert_eq!(stage.incidents().await.len(), 2, "another loss is told");
    stage.house.stop().await;
}

#[tokio::test]
async fn what_is_lost_between_two_rounds_is_mended_before_the_next() {
    for seconds in [0, 20, 40] {
        let mut stage = Stage::open(World::standard(), Preset::Auto, PatrolSettings::default()).await;
        stage.pass(&[], SignedDuration::from_secs(600 + seconds)).await;
        let lost = Break::new(What::DisableKey(KeyRef::default())).by(Actor::application(PIPELINE.0, PIPELINE.1));
        // A glance comes every 15 seconds, or a tenth later; the incident waits five for more.
        let asked = stage.pass(&[lost], SignedDuration::from_secs(17 + 5)).await;
        let mended = asked.iter().any(|one| one.is_write() && one.effect);
        assert!(mended, "lost {seconds} s after a minute began: {:#?}", stage.incidents().await);
        stage.house.stop().await;
    }
}

#[tokio::test]
async fn what_may_break_next_is_judged_once_a_day_as_the_audit_judges_it() {
    let mut world = World::shared_vault(3, 2);
    world.vaults[0].purge_protection = false;
    let mut stage = Stage::open(world, Preset::Auto, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 10).await;
    let judged = stage.house.store().facts(POSTURE).await.unwrap();
    let [(_, found, at)] = &judged[..] else { panic!("one vault, judged: {judged:#?}") };
    let estate = survey(&stage.azure(), roots(&stage.policy().scope), &|_| true, &|_| ()).await;
    let audit = Report::of(&estate, stage.policy(), Vec::new());
    for level in Level::ALL {
        assert_eq!(found["found"][level.word()], audit.count(level), "{}: {:#?}", level.word(), audit.findings);
    }
    assert!(found["weighty"].to_string().contains("purge-protection|"), "{found}");
    assert!(stage.incidents().await.is_empty(), "nobody is woken by it");
    stage.happen(&[], 120).await;
    assert_eq!(stage.house.store().facts(POSTURE).await.unwrap()[0].2, *at, "once a day");
    stage.house.stop().await;
}

#[tokio::test]
async fn the_same_loss_after_a_repair_is_news() {
    let mut stage = Stage::open(World::standard(), Preset::Guarded, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 5).await;
    for times in 1..=2 {
        stage.happen(&[revoke(None)], 45).await;
        assert_eq!(stage.incidents().await.len(), times);
    }
    stage.house.stop().await;
}

#[tokio::test]
async fn a_throttled_round_stops_and_the_next_goes_on() {
    let mut stage = Stage::open(World::shared_vault(30, 1), Preset::Auto, PatrolSettings::default()).await;
    stage.happen(&[], 5).await;
    let usual = stage.happen(&[], 10).await.len();
    let fault = Fault {
        method: None,
        path: "/providers/Microsoft.KeyVault/".to_owned(),
        kind: FaultKind::Throttle { retry_after: 30 },
        times: None,
        for_seconds: Some(600),
        after_effect: false,
    };
    stage.cloud.fault(fault);
    let throttled = stage.happen(&[], 10).await;
    let refused = throttled.iter().filter(|one| one.status == 429).count();
    assert!(refused > 0, "it was throttled");
    // A vault's requests that were under way together may all be refused; then nothing more is sent.
    assert!(refused <= 10 * 4, "{refused} refused in ten rounds");
    assert!(throttled.len() < usual, "{} requests, {usual} in usual rounds", throttled.len());
    assert!(stage.incidents().await.is_empty(), "being throttled is no loss");
    stage.happen(&[revoke(None)], 5).await;
    assert!(stage.first_write().is_some(), "the rounds went on");
    stage.house.stop().await;
}

#[tokio::test]
async fn an_incident_that_lost_its_pass_gets_another() {
    let mut stage = Stage::open(World::standard(), Preset::Observe, PatrolSettings::default()).await;
    stage.happen(&[revoke(None)], 5).await;
    let incidents = stage.incidents().await;
    let store = stage.house.store();
    let pass = Work::Pass { incident: incidents[0].id.clone() };
    // As a crash of the store's machine would leave it: the job is gone, the incident is open.
    let due = store.next_due().await.unwrap().unwrap();
    let keymend::store::Handout::Yours(job) =
        store.lease_by_key(&pass.key(), due, SignedDuration::from_mins(1)).await.unwrap()
    else {
        panic!("the pass waits");
    };
    store.complete(&job, due).await.unwrap();
    assert!(!store.knows_job(&pass.key()).await.unwrap());
    let looked = incidents[0].timeline.len();

    stage.happen(&[], 60).await;
    assert!(store.knows_job(&pass.key()).await.unwrap(), "it has a pass again");
    assert!(stage.incidents().await[0].timeline.len() > looked, "and was looked at");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_pass_that_was_set_aside_is_not_revived() {
    let mut stage = Stage::open(World::standard(), Preset::Observe, PatrolSettings::default()).await;
    stage.happen(&[revoke(None)], 5).await;
    let store = stage.house.store();
    let pass = Work::Pass { incident: stage.incidents().await[0].id.clone() };
    assert!(store.set_aside(&pass.key(), "it always fails", stage.clock.now()).await.unwrap());
    stage.happen(&[], 30).await;
    let aside = store.poison().await.unwrap();
    assert!(aside.iter().any(|(key, _)| *key == pass.key()), "{aside:?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_managed_instance_that_nobody_rings_for_is_found() {
    let mut stage = Stage::open(World::instance(), Preset::Auto, PatrolSettings::default()).await;
    stage.happen(&[], 5).await;
    stage.happen(&[revoke(None)], 4).await;
    assert!(stage.first_write().is_some(), "{:#?}", stage.incidents().await);
    stage.house.stop().await;
}

/// The standard world, whose key expires so many hours after the beginning.
fn expiring_in(hours: f64) -> World {
    let mut world = World::standard();
    for version in world.vaults.iter_mut().flat_map(|vault| &mut vault.keys).flat_map(|key| &mut key.versions) {
        version.expires_in_days = Some(hours / 24.0);
    }
    world
}

/// Incidents that are more than a warning, and how many warnings were given.
async fn beside_warnings(stage: &Stage) -> (Vec<Incident>, usize) {
    let (warnings, incidents): (Vec<_>, Vec<_>) = stage.incidents().await.into_iter().partition(is_warning);
    (incidents, warnings.len())
}

/// A person answers, on the story's clock.
async fn answer(stage: &Stage, incident: &Incident, approved: bool) {
    let (store, now) = (stage.house.store(), stage.clock.now());
    let (mut incident, version) = store.incident(&incident.id).await.unwrap().unwrap();
    incident.approval.as_mut().unwrap().decision = Some(ApprovalDecision { approved, by: "ada".to_owned(), at: now });
    let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now };
    store.save(&incident, Some(version), &[pass], &[], now).await.unwrap();
}

fn told(incident: &Incident, situation: Situation) -> usize {
    incident.notices.iter().filter(|told| told.situation == situation).count()
}

#[tokio::test]
async fn a_date_that_was_just_given_is_asked_about_and_a_no_outlives_it() {
    let mut stage = Stage::open(World::standard(), Preset::Auto, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 40).await;
    let date = Break::new(What::DateKey { key: KeyRef::default(), hours: 2.0 });
    stage.happen(&[date], 5).await;
    let (incidents, warnings) = beside_warnings(&stage).await;
    assert_eq!((incidents.len(), warnings), (1, 0), "the question tells of the date: {incidents:#?}");
    assert_eq!(incidents[0].phase, Phase::AwaitingApproval);
    let asked = incidents[0].approval.as_ref().unwrap();
    assert_eq!(asked.answer_by.to_string(), "2026-11-24T04:40:00Z", "when it expires");
    assert!(asked.why.contains("may have been meant"), "{}", asked.why);
    answer(&stage, &incidents[0], false).await;

    stage.happen(&[], 180).await;
    let (incidents, _) = beside_warnings(&stage).await;
    assert_eq!(incidents.len(), 1);
    assert!(!incidents[0].inaccessible().is_empty(), "the key has expired and the databases are down");
    assert_eq!(stage.first_write(), None, "and it was meant");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_key_is_extended_once_and_then_asked_about() {
    let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
    policy.gates.repeat_within_hours = 1;
    let mut stage = Stage::open_under(expiring_in(12.0), policy, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 60).await;
    let (incidents, _) = beside_warnings(&stage).await;
    assert_eq!((incidents.len(), incidents[0].ended_at.is_some()), (1, true), "extended: {incidents:#?}");
    // Long before it comes within the day, so that nobody has just given it that date.
    let date = Break::new(What::DateKey { key: KeyRef::default(), hours: 26.0 });
    stage.happen(&[date], 180).await;
    let (mut incidents, _) = beside_warnings(&stage).await;
    incidents.retain(|incident| incident.ended_at.is_none());
    let asked = incidents[0].approval.as_ref().expect("it is asked about");
    assert!(asked.why.contains("was extended at 2026-11-24"), "{}", asked.why);
    assert_eq!(incidents.len(), 1);
    stage.house.stop().await;
}

#[tokio::test]
async fn a_rotated_key_is_left_to_expire() {
    let mut stage = Stage::open(expiring_in(12.0), Preset::Auto, PatrolSettings::rounds_only()).await;
    let rotate = What::ReplaceKey { key: KeyRef::default(), new_version_only: true };
    stage.happen(&[Break::new(rotate)], 60).await;
    let (incidents, warnings) = beside_warnings(&stage).await;
    assert_eq!((incidents.len(), warnings), (0, 1), "{incidents:#?}");
    assert_eq!(stage.first_write(), None);
    stage.house.stop().await;
}

#[tokio::test]
async fn a_loss_while_somebody_is_asked_about_a_date_is_found_as_soon_as_ever() {
    let mut stage = Stage::open(expiring_in(12.0), Preset::Guarded, PatrolSettings::default()).await;
    // Right after a look of SQL's.
    stage.happen(&[], 41).await;
    assert_eq!(beside_warnings(&stage).await.0[0].phase, Phase::AwaitingApproval);
    stage.happen(&[revoke(None)], 4).await;
    assert!(stage.first_write().is_some(), "{:#?}", beside_warnings(&stage).await.0);
    stage.happen(&[], 60).await;
    assert_eq!(stage.cloud.world()["losses"], 0, "no database went down");
    let (incidents, _) = beside_warnings(&stage).await;
    assert!(incidents.iter().any(|one| one.phase == Phase::AwaitingApproval), "the date is asked about again");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_recalled_and_becomes_the_loss() {
    let mut stage = Stage::open(expiring_in(2.0), Preset::Guarded, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 50).await;
    let (incidents, _) = beside_warnings(&stage).await;
    assert_eq!((incidents[0].phase, told(&incidents[0], Situation::DeadlineNear)), (Phase::AwaitingApproval, 0));
    stage.happen(&[], 20).await;
    assert_eq!(told(&beside_warnings(&stage).await.0[0], Situation::DeadlineNear), 1, "an hour ahead");
    stage.happen(&[], 65).await;
    let (incidents, _) = beside_warnings(&stage).await;
    assert_eq!(incidents.len(), 1, "one incident from the date to the loss: {incidents:#?}");
    assert!(!incidents[0].inaccessible().is_empty());
    assert_eq!(incidents[0].loss().to_string(), "2026-11-24T04:00:00Z");
    assert_eq!(told(&incidents[0], Situation::ApprovalAsked), 2, "asked anew, for what is lost now");
    answer(&stage, &incidents[0], true).await;
    stage.happen(&[], 60).await;
    let (incidents, warnings) = beside_warnings(&stage).await;
    assert_eq!((incidents.len(), incidents[0].phase, warnings), (1, Phase::Healed, 0), "{incidents:#?}");
    stage.house.stop().await;
}

#[tokio::test]
async fn told_once_a_month_ahead_it_comes_back_by_itself_for_every_warning_and_extends() {
    let mut world = expiring_in(31.0 * 24.0);
    world.alerts.event_grid = true;
    let no_patrol = PatrolSettings { enabled: false, ..PatrolSettings::default() };
    let mut stage = Stage::open(world, Preset::Auto, no_patrol).await;
    let mut given = Vec::new();
    for day in 1..=31 {
        stage.happen(&[], 24 * 60).await;
        let (incidents, warnings) = beside_warnings(&stage).await;
        if warnings > given.len() {
            given.push(31 - day);
        }
        if day < 30 {
            assert_eq!(incidents.len(), 0, "{incidents:#?}");
        }
    }
    assert_eq!(given, [29, 13, 6, 2], "30, 14, 7 and 3 days ahead, seen at the end of the day");
    let (incidents, _) = beside_warnings(&stage).await;
    assert_eq!((incidents.len(), incidents[0].phase), (1, Phase::Healed), "{incidents:#?}");
    assert_eq!(stage.cloud.world()["losses"], 0);
    stage.house.stop().await;
}
