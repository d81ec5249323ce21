//! Signs of life through channels that were silent for long.

use std::sync::Arc;

use jiff::SignedDuration;
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::{Clock, add};
use keymend::domain::policy::Policy;
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::drill::voices::{Voices, channels};
use keymend::ids::Ids;
use keymend::responder::heartbeat::Heartbeat;
use keymend::responder::{Responder, Wake};
use keymend::store::{SqliteStore, Store};

use crate::kit::{PATIENCE, Sky, pages, sky};

/// A responder on a day after the beginning, on a clock that hardly moves.
fn on_day(sky: &Sky, store: &Arc<dyn Store>, day: i64) -> Responder {
    let begin = "2026-01-01T00:00:00Z".parse().unwrap();
    let clock = Clock::scaled(add(begin, SignedDuration::from_hours(24 * day)), 0.001);
    let endpoints = Endpoints::simulated(&sky.running.url()).unwrap();
    let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
    Responder {
        store: store.clone(),
        azure: Azure::new(endpoints, credential, clock.clone(), Ids::random()).unwrap(),
        channels: channels(Voices::AllWithin(PATIENCE), &sky.running.url(), pages(), &clock).unwrap().into(),
        policy: Arc::new(Policy::default()),
        ids: Ids::random(),
        wake: Wake::default(),
        keep_incidents: None,
        heartbeat: Some(Heartbeat { every: SignedDuration::from_hours(24 * 30), sender: "drill".to_owned() }),
        clock,
    }
}

async fn house_keeping(responder: &Responder) {
    responder.keep_house().await;
    let opening = tokio::sync::Mutex::new(());
    for name in ["teams", "slack", "servicenow", "jira", "pagerduty", "jsm", "webhook"] {
        responder.called_for(&format!("heartbeat:{name}"), &opening).await.unwrap();
    }
}

fn slack(sky: &Sky) -> usize {
    sky.list("slack", "messages").iter().filter(|one| one.to_string().contains("HEARTBEAT")).count()
}

#[tokio::test]
async fn one_after_thirty_silent_days_however_many_processes_there_are() {
    let sky = sky().await;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("k.db")).unwrap());
    for day in [0, 10, 20] {
        house_keeping(&on_day(&sky, &store, day)).await;
        assert_eq!(slack(&sky), 0, "nothing on day {day}");
    }
    let (one, two) = (on_day(&sky, &store, 31), on_day(&sky, &store, 31));
    futures::join!(house_keeping(&one), house_keeping(&two));
    assert_eq!(slack(&sky), 1);
    assert_eq!(sky.asked("teams").len(), 1);
    assert!(sky.asked("pagerduty").is_empty() && sky.asked("jsm").is_empty(), "pagers are left in peace");
    assert_eq!(sky.count("POST", "/api/now/table"), 0, "ServiceNow is only asked");
    assert!(sky.count("GET", "/api/now/table") >= 1);
    house_keeping(&on_day(&sky, &store, 40)).await;
    assert_eq!(slack(&sky), 1, "not before another thirty");
    house_keeping(&on_day(&sky, &store, 62)).await;
    assert_eq!(slack(&sky), 2);
}

#[tokio::test]
async fn one_that_cannot_be_sent_is_told_of() {
    let sky = sky().await;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("k.db")).unwrap());
    house_keeping(&on_day(&sky, &store, 0)).await;
    let fault = Fault { for_seconds: Some(3600), times: None, ..Fault::new(FaultKind::Reset, "/sink/slack", 1) };
    sky.cloud.fault(fault);
    // Each attempt on a later day, so that it is due.
    for day in 31..=42 {
        let responder = on_day(&sky, &store, day);
        house_keeping(&responder).await;
    }
    assert!(sky.asked("slack").len() >= 10, "it was tried {} times", sky.asked("slack").len());
    let incidents = store.incidents(false, 10).await.unwrap();
    let [incident] = incidents.as_slice() else { panic!("{incidents:#?}") };
    assert!(incident.set_aside.contains("heartbeat:slack"), "{incident:#?}");
    let notice = store.fact("notice", &incident.notices[0].kept).await.unwrap().expect("a message of it").0;
    assert!(notice.to_string().contains("sign of life through the channel slack"), "{notice:#}");
}
