//! PagerDuty and Jira Service Management: who is called, and when not.

use keymend::domain::notice::Situation;
use keymend::domain::plan::NeedsPerson;
use keymend::notify::pagerduty::{PagerDuty, PagerDutyOptions};
use keymend::notify::secret::Secret;
use keymend::notify::{Channel, ChannelError, Parcel};

use crate::kit::{Sky, notice, sky, story, tell};

fn pagerduty(sky: &Sky, options: PagerDutyOptions) -> PagerDuty {
    let base = format!("{}/sink/pagerduty/v2", sky.running.url());
    let key = Secret::new("d0000000000000000000000000000001");
    PagerDuty::new("pagerduty", &key, PagerDutyOptions { base, ..options }, sky.clock.clone()).unwrap()
}

/// Sends what the channel takes, as the responder does.
async fn taken(channel: &dyn Channel) {
    let all: Vec<_> = story().into_iter().filter(|notice| channel.takes(notice.situation)).collect();
    tell(channel, &all).await.unwrap();
}

#[tokio::test]
async fn a_loss_that_is_being_mended_wakes_nobody_and_a_question_does() {
    let sky = sky().await;
    let (pagerduty, jsm) = (sky.channel("pagerduty"), sky.channel("jsm"));
    for channel in [&pagerduty, &jsm] {
        assert!(!channel.takes(Situation::FirstNotice) && !channel.takes(Situation::Diagnosed));
        assert!(channel.takes(Situation::Escalated) && channel.takes(Situation::Resolved));
        taken(&**channel).await;
    }
    let alerts = sky.list("pagerduty", "alerts");
    let actions: Vec<&str> =
        alerts[0]["log"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!((alerts.len(), actions), (1, vec!["trigger", "resolve"]));
    assert_eq!((alerts[0]["severity"].as_str(), alerts[0]["state"].as_str()), (Some("critical"), Some("resolved")));
    assert_eq!(sky.list("pagerduty", "changes").len(), 1);
    let alerts = sky.list("jsm", "alerts");
    assert_eq!((alerts.len(), alerts[0]["priority"].as_str()), (1, Some("P1")));
    assert_eq!(alerts[0]["status"], "closed");
    assert!(alerts[0]["notes"][0].as_str().unwrap().starts_with("RESOLVED"));
}

#[tokio::test]
async fn keymends_own_troubles_are_a_warning() {
    let sky = sky().await;
    let mut escalated = notice(Situation::Escalated, 1);
    escalated.needs_person = Some(NeedsPerson::SetAside);
    for name in ["pagerduty", "jsm"] {
        sky.channel(name).send(&Parcel::of(&escalated)).await.unwrap();
    }
    assert_eq!(sky.list("pagerduty", "alerts")[0]["severity"], "warning");
    assert_eq!(sky.list("jsm", "alerts")[0]["priority"], "P3");
}

#[tokio::test]
async fn an_alert_is_acknowledged_only_where_that_is_wanted() {
    for acknowledge in [false, true] {
        let sky = sky().await;
        let channel = pagerduty(&sky, PagerDutyOptions { acknowledge, ..PagerDutyOptions::default() });
        tell(&channel, &story()[2..4]).await.unwrap();
        let state = if acknowledge { "acknowledged" } else { "triggered" };
        assert_eq!(sky.list("pagerduty", "alerts")[0]["state"], state);
    }
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_taken() {
    let sky = sky().await;
    let mut long = notice(Situation::Escalated, 1);
    long.reason = Some("why ".repeat(5000));
    let one = long.databases[0].clone();
    for n in 0..4000 {
        let mut more = one.clone();
        more.name = format!("database-{n}-{}", "x".repeat(100));
        long.databases.push(more);
    }
    for name in ["pagerduty", "jsm", "servicenow", "jira", "slack"] {
        sky.channel(name).send(&Parcel::of(&long)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn more_than_pagerduty_takes_waits() {
    let sky = sky().await;
    let channel = pagerduty(&sky, PagerDutyOptions::default());
    let mut refused = None;
    for n in 1..=121 {
        refused = channel.send(&Parcel::of(&notice(Situation::Escalated, n))).await.err();
        assert_eq!(refused.is_some(), n == 121, "{n}: {refused:?}");
    }
    assert!(matches!(refused, Some(ChannelError::Retry { after: Some(_), .. })), "{refused:?}");
    assert_eq!(sky.asked("pagerduty").len(), 120);
}

#[tokio::test]
async fn a_key_of_the_wrong_kind_is_refused_at_once() {
    let sky = sky().await;
    let error =
        PagerDuty::new("pagerduty", &Secret::new("short-secret"), PagerDutyOptions::default(), sky.clock.clone());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("32 letters and digits") && !error.contains("short-secret"), "{error}");
}
