//! The Teams flow that gives receipts, and signing in to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use keymend::domain::notice::Situation;
use keymend::drill::cloud::Fault;
use keymend::notify::secret::Secret;
use keymend::notify::teams::{Flow, Teams, TeamsOptions};
use keymend::notify::{Bearer, Channel, Parcel};

use crate::kit::{Sky, notice, permanent, retry, say, sky, status, story, tell};

#[derive(Debug, Default)]
struct Identity(AtomicUsize);

#[async_trait]
impl Bearer for Identity {
    async fn token(&self) -> Result<Secret, String> {
        Ok(Secret::new(format!("token-{}", self.0.load(Ordering::SeqCst))))
    }

    fn refused(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn flow(sky: &Sky, bearer: Option<Arc<dyn Bearer>>) -> Teams {
    let url = Secret::new(format!("{}/sink/flow?sig=s3cr3t", sky.running.url()));
    let options = TeamsOptions { flow: Flow::Receipt, bearer, ..TeamsOptions::default() };
    Teams::new("teams", url, options, sky.clock.clone()).unwrap()
}

#[tokio::test]
async fn one_card_is_kept_up_to_date_and_each_step_is_below_it() {
    let sky = sky().await;
    tell(&flow(&sky, Some(Arc::new(Identity::default()))), &story()).await.unwrap();
    let messages = sky.list("flow", "messages");
    let [message] = messages.as_slice() else { panic!("{messages:#?}") };
    assert_eq!(message["updates"], 4);
    assert!(message["card"].to_string().contains("RESOLVED"), "the card shows the newest state");
    let replies = message["replies"].as_array().unwrap();
    assert_eq!(replies.len(), 4);
    assert!(replies[1].to_string().contains("APPROVAL NEEDED"));
}

#[tokio::test]
async fn a_card_that_is_gone_is_posted_anew_and_a_late_message_does_not_change_it() {
    let sky = sky().await;
    let channel = flow(&sky, Some(Arc::new(Identity::default())));
    let kept = serde_json::json!({"message_id": "deleted", "shows": 1});
    let next = notice(Situation::Diagnosed, 2);
    let kept = channel.send(&Parcel { notice: &next, kept: Some(&kept), remark: None }).await.unwrap().unwrap();
    let late = notice(Situation::FirstNotice, 1);
    channel.send(&Parcel { notice: &late, kept: Some(&kept), remark: Some("It comes late.") }).await.unwrap();
    let messages = sky.list("flow", "messages");
    assert_eq!((messages.len(), &messages[0]["updates"]), (1, &serde_json::json!(0)));
    assert!(messages[0]["card"].to_string().contains("CAUSE"));
    assert!(messages[0]["replies"][0].to_string().contains("It comes late."));
}

#[tokio::test]
async fn a_flow_that_fails_is_tried_again_and_another_flow_is_told_apart() {
    let sky = sky().await;
    let channel = flow(&sky, Some(Arc::new(Identity::default())));
    let first = notice(Situation::FirstNotice, 1);
    sky.cloud.fault(Fault::new(say(502, "application/json", "{\"error\": \"too many\"}"), "/sink/flow", 1));
    retry(channel.send(&Parcel::of(&first)).await);
    sky.cloud.fault(Fault::new(say(202, "application/json", ""), "/sink/flow", 1));
    let (_, why) = retry(channel.send(&Parcel::of(&first)).await);
    assert!(why.contains("infra/teams-flow"), "{why}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let sky = sky().await;
    let identity = Arc::new(Identity::default());
    let channel = flow(&sky, Some(identity.clone()));
    sky.cloud.fault(Fault::new(status(401), "/sink/flow", 1));
    channel.send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await.unwrap();
    assert_eq!(identity.0.load(Ordering::SeqCst), 1);
    let why = permanent(flow(&sky, None).send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await);
    assert!(why.contains("teams.auth") && !why.contains("s3cr3t"), "{why}");
}

#[test]
fn the_shipped_flow_has_every_answer_that_keymend_understands() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/infra/teams-flow/definition.json");
    let flow: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let cases = flow["actions"]["By_op"]["cases"].as_object().unwrap();
    let mut ops: Vec<&str> = cases.values().map(|case| case["case"].as_str().unwrap()).collect();
    ops.sort_unstable();
    assert_eq!(ops, ["post", "reply", "update"]);
    for case in cases.values() {
        let actions = case["actions"].as_object().unwrap();
        let responses: Vec<_> = actions.values().filter(|action| action["type"] == "Response").collect();
        let good = responses.iter().find(|one| one["inputs"]["statusCode"] == 200).expect("a success");
        assert!(good["inputs"]["body"]["messageId"].is_string() && good["inputs"]["body"]["ok"] == true);
        assert!(responses.iter().any(|one| one["inputs"]["body"]["error"].is_string()), "a failure");
        // Every response waits for an action that is there.
        for response in responses {
            let after = response["runAfter"].as_object().unwrap();
            assert!(after.keys().all(|name| actions.contains_key(name)) && !after.is_empty(), "{response}");
        }
    }
}
