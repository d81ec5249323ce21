//! What each channel makes of a receiver that fails.

use futures::future::join_all;
use keymend::domain::notice::Situation;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::notify::{Channel, Parcel};

use crate::kit::{Sky, notice, permanent, retry, say, sky, status};

/// Channels, and a situation that each sends something for.
const ALL: [(&str, Situation); 7] = [
    ("teams", Situation::FirstNotice),
    ("webhook", Situation::FirstNotice),
    ("slack", Situation::FirstNotice),
    ("servicenow", Situation::FirstNotice),
    ("pagerduty", Situation::Escalated),
    ("jsm", Situation::Escalated),
    ("jira", Situation::FirstNotice),
];
/// Those whose answers say more than a status.
const ANSWERING: [&str; 5] = ["slack", "servicenow", "pagerduty", "jsm", "jira"];

#[tokio::test]
async fn what_may_pass_is_tried_again_and_the_next_attempt_arrives() {
    let kinds = [
        FaultKind::Throttle { retry_after: 37 },
        status(500),
        status(503),
        status(408),
        FaultKind::Reset,
        FaultKind::Timeout,
    ];
    for (name, situation) in ALL {
        let mut stages = Vec::new();
        for kind in &kinds {
            let sky = sky().await;
            stages.push((kind, sky.channel(name), sky));
        }
        // Side by side: silence takes its time.
        join_all(stages.iter().map(|(kind, channel, sky)| passes(kind, sky, &**channel, name, situation))).await;
    }
}

async fn passes(kind: &FaultKind, sky: &Sky, channel: &dyn Channel, name: &str, situation: Situation) {
    let notice = notice(situation, 1);
    sky.cloud.fault(Fault::new(kind.clone(), &format!("/sink/{name}"), 1));
    let (after, why) = retry(channel.send(&Parcel::of(&notice)).await);
    assert!(why.contains(name), "{why}");
    assert_eq!(sky.asked(name).len(), 1, "{name}: one attempt, no more, after {kind:?}");
    if matches!(kind, FaultKind::Throttle { .. }) {
        assert_eq!(after.map(|after| after.as_secs()), Some(37), "{name}");
    }
    let again = channel.send(&Parcel::of(&notice)).await;
    assert!(again.is_ok(), "{name} after {kind:?}: {again:?}");
}

#[tokio::test]
async fn a_refusal_is_permanent_and_says_what_to_do() {
    for (name, situation) in ALL {
        for code in [400, 403, 404] {
            let sky = sky().await;
            sky.cloud.fault(Fault::new(status(code), &format!("/sink/{name}"), 1));
            let why = permanent(sky.channel(name).send(&Parcel::of(&notice(situation, 1))).await);
            assert!(why.contains(name) && why.contains(&code.to_string()) && why.len() > 40, "{why}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for (name, situation) in ALL {
        let sky = sky().await;
        let kind = FaultKind::Say {
            status: 307,
            content_type: "text/plain".to_owned(),
            text: String::new(),
            location: Some(format!("{}/sink/elsewhere", sky.running.url())),
        };
        sky.cloud.fault(Fault::new(kind, &format!("/sink/{name}"), 1));
        let why = permanent(sky.channel(name).send(&Parcel::of(&notice(situation, 1))).await);
        assert!(why.contains("redirects"), "{why}");
        assert!(sky.asked("elsewhere").is_empty(), "{name} went elsewhere");
    }
}

#[tokio::test]
async fn a_success_that_is_none_is_no_success() {
    let pages = [
        say(200, "text/html", "<html><body>Your instance is hibernating</body></html>"),
        say(200, "application/json", "{\"result\": "),
        say(200, "application/json", "[1, 2]"),
        say(202, "application/json", ""),
        say(200, "application/json", "{}"),
        FaultKind::Truncated,
    ];
    for (name, situation) in ALL.into_iter().filter(|(name, _)| ANSWERING.contains(name)) {
        for kind in &pages {
            let sky = sky().await;
            sky.cloud.fault(Fault::new(kind.clone(), &format!("/sink/{name}"), 1));
            let (_, why) = retry(sky.channel(name).send(&Parcel::of(&notice(situation, 1))).await);
            assert!(why.contains(name), "{why}");
            assert_eq!(sky.asked(name).len(), 1, "{name} suffered {kind:?}");
        }
    }
}

#[tokio::test]
async fn what_a_vendor_repeats_of_our_secrets_is_not_told() {
    let echo = "{\"message\": \"key drill-genie-key is wrong\", \"errors\": [\"d0000000000000000000000000000001\"], \
                \"errorMessages\": [\"token drill-jira-token\"], \"error\": {\"message\": \"drill-client-secret\"}}";
    for (name, situation) in ALL {
        let sky = sky().await;
        sky.cloud.fault(Fault::new(say(422, "application/json", echo), &format!("/sink/{name}"), 1));
        permanent(sky.channel(name).send(&Parcel::of(&notice(situation, 1))).await);
    }
}
