//! Slack: what is shown, and what nobody can slip in.

use keymend::domain::notice::Situation;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::notify::Parcel;
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{notice, permanent, say, sky};
use crate::samples;

fn texts<'a>(value: &'a Value, of: &str) -> Vec<&'a str> {
    match value {
        Value::Object(map) if map.get("type").is_some_and(|kind| kind == of) => {
            map.get("text").and_then(Value::as_str).into_iter().collect()
        }
        Value::Object(map) => map.values().flat_map(|value| texts(value, of)).collect(),
        Value::Array(list) => list.iter().flat_map(|value| texts(value, of)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_kind_of_message_is_taken() {
    let sky = sky().await;
    let channel = sky.channel("slack");
    let all = samples::all();
    for (name, notice) in &all {
        channel.send(&Parcel::of(notice)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let messages = sky.list("slack", "messages");
    assert_eq!(messages.len(), all.len());
    for message in messages {
        assert_eq!((&message["unfurl_links"], &message["mrkdwn"]), (&Value::Bool(false), &Value::Bool(false)));
    }
}

#[tokio::test]
async fn slacks_own_words_say_what_to_do() {
    let cases =
        [("no_service", "Make a new one"), ("channel_is_archived", "archived"), ("action_prohibited", "administrator")];
    for (word, part) in cases {
        let sky = sky().await;
        sky.cloud.fault(Fault::new(say(403, "text/html", word), "/sink/slack", 1));
        let why = permanent(sky.channel("slack").send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await);
        assert!(why.contains(word) && why.contains(part), "{why}");
    }
    let sky = sky().await;
    sky.cloud.fault(Fault::new(say(403, "text/html", "<p>T0/B0/drill</p>"), "/sink/slack", 1));
    permanent(sky.channel("slack").send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await);
    sky.cloud.fault(Fault::new(FaultKind::Truncated, "/sink/slack", 1));
    crate::kit::retry(sky.channel("slack").send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_never_become_markup(text in "[ -~\u{e4}\u{200b}]{0,300}", name in "(<!channel>|<https://evil\\|x>|\\*b\\*|&amp;|[ -~]{1,40})") {
        let mut notice = notice(Situation::Diagnosed, 1);
        notice.reason = Some(text.clone());
        notice.databases[0].name = name;
        let remark = text.clone();
        let parcel = Parcel { notice: &notice, kept: None, remark: Some(&remark) };
        let body = keymend::notify::slack::body(&parcel, &keymend::notify::links::Links::default());
        // Our own headings alone are markup.
        for heading in texts(&body, "mrkdwn") {
            prop_assert!(heading.starts_with('*') && heading.trim_matches('*').chars().all(|c| c.is_alphanumeric() || " ,'".contains(c)), "{}", heading);
        }
        for plain in texts(&body, "plain_text").into_iter().chain(body["text"].as_str()) {
            prop_assert!(!plain.contains('<') && !plain.contains('>'), "{}", plain);
        }
    }
}
