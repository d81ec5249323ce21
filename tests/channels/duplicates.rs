//! The same notice again, after a crash or a lost answer: nobody is called or told twice where the service can tell.

use keymend::domain::notice::Situation;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::notify::Parcel;

use crate::kit::{notice, retry, sky, story, tell};

#[tokio::test]
async fn what_was_sent_and_not_recorded_is_sent_again_without_a_second_ticket() {
    let sky = sky().await;
    let all = story();
    for name in ["servicenow", "jira", "pagerduty", "jsm"] {
        let channel = sky.channel(name);
        // Each is sent twice, and the second time nothing is known of the first.
        for notice in &all {
            for _ in 0..2 {
                if name == "jira" && notice.sequence == 1 {
                    // Its search lags behind.
                    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
                }
                channel.send(&Parcel::of(notice)).await.unwrap();
            }
        }
    }
    let tickets = sky.tickets();
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0]["work_notes"].as_array().unwrap().len(), 4, "{:#}", tickets[0]);
    assert_eq!(tickets[0]["state"], "6");
    let issues = sky.list("jira", "issues");
    assert_eq!((issues.len(), issues[0]["status"].as_str()), (1, Some("Done")));
    assert_eq!(issues[0]["comments"].as_array().unwrap().len(), 4, "{:#}", issues[0]["comments"]);
    assert_eq!(sky.list("pagerduty", "alerts").len(), 1);
    assert_eq!(sky.list("jsm", "alerts").len(), 1);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_looked_for_before_another() {
    for (name, path) in [("servicenow", "/api/now/table/incident"), ("jira", "/rest/api/3/issue")] {
        let sky = sky().await;
        let channel = sky.channel(name);
        let first = notice(Situation::FirstNotice, 1);
        sky.cloud.fault(Fault::new(FaultKind::Timeout, path, 1).method("POST").after_effect());
        retry(channel.send(&Parcel::of(&first)).await);
        // At once, the service may not know of it yet; it is not created anew.
        let again = channel.send(&Parcel::of(&first)).await;
        if name == "jira" {
            let (after, _) = retry(again);
            assert!(after.is_some_and(|after| after.as_secs() <= 10), "{after:?}");
            tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
            channel.send(&Parcel::of(&first)).await.unwrap();
        } else {
            again.unwrap();
        }
        assert_eq!(sky.tickets().len() + sky.list("jira", "issues").len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_creation_that_did_not_happen_is_made_up_for_but_not_at_once() {
    let sky = sky().await;
    let channel = sky.channel("servicenow");
    let first = notice(Situation::FirstNotice, 1);
    sky.fault("/api/now/table/incident", "POST", FaultKind::Timeout, 1);
    retry(channel.send(&Parcel::of(&first)).await);
    let (after, why) = retry(channel.send(&Parcel::of(&first)).await);
    assert!(after.is_some() && why.contains("may still show up"), "{why}");
    assert_eq!(sky.count("POST", "/api/now/table/incident"), 1, "no second one while the first is in doubt");
    assert!(sky.tickets().is_empty());
}

#[tokio::test]
async fn what_comes_late_opens_nothing_again() {
    let sky = sky().await;
    for name in ["servicenow", "jira", "pagerduty", "jsm"] {
        let channel = sky.channel(name);
        let mut all = story();
        let late = all.remove(2);
        let kept = tell(&*channel, &all).await.unwrap();
        channel.send(&Parcel { notice: &late, kept: kept.as_ref(), remark: Some("It comes late.") }).await.unwrap();
    }
    let ticket = &sky.tickets()[0];
    assert_eq!(ticket["state"], "6", "it stays resolved");
    let notes = ticket["work_notes"].as_array().unwrap();
    assert!(notes.last().unwrap().as_str().unwrap().starts_with("It comes late."), "and the message is in it");
    assert_eq!(sky.list("jira", "issues")[0]["status"], "Done");
    assert!(sky.list("pagerduty", "alerts").iter().all(|alert| alert["state"] == "resolved"));
    assert!(sky.list("jsm", "alerts").iter().all(|alert| alert["status"] == "closed"));
}
