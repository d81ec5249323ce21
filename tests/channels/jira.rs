//! Jira issues.

use keymend::domain::notice::Situation;
use keymend::notify::jira::{Deployment, Jira, JiraOptions};
use keymend::notify::links::Links;
use keymend::notify::secret::Secret;

use crate::kit::{notice, permanent, sky, story, tell};

#[tokio::test]
async fn one_issue_with_comments_in_order_and_done_in_the_end() {
    let sky = sky().await;
    tell(&*sky.channel("jira"), &story()).await.unwrap();
    let issues = sky.list("jira", "issues");
    assert_eq!((issues.len(), issues[0]["status"].as_str()), (1, Some("Done")));
    let comments = issues[0]["comments"].as_array().unwrap();
    for (n, comment) in (2..).zip(comments) {
        assert!(comment.as_str().unwrap().trim_end().ends_with(&format!("message {n}")), "{comment}");
    }
    assert_eq!(comments.len(), 4);
    let labels = issues[0]["fields"]["labels"].as_array().unwrap();
    assert!(labels.iter().any(|label| label == "km-20261124-0207-7f3k"), "{labels:?}");
}

#[tokio::test]
async fn a_transition_that_is_not_there_is_told_with_those_that_are() {
    let sky = sky().await;
    let options = JiraOptions {
        deployment: Deployment::Cloud { user: "keymend@contoso.example".to_owned() },
        project: "OPS".to_owned(),
        issue_type: "Incident".to_owned(),
        fields: std::collections::BTreeMap::new(),
        escalate_transition: None,
        resolve_transition: Some("Finish".to_owned()),
        links: Links::default(),
        timeout: crate::kit::PATIENCE,
    };
    let base = format!("{}/sink/jira", sky.running.url());
    let jira = Jira::new("jira", &base, &Secret::new("drill-jira-token"), options, sky.clock.clone()).unwrap();
    let why = permanent(tell(&jira, &[notice(Situation::FirstNotice, 1), notice(Situation::Resolved, 2)]).await);
    assert!(why.contains("Finish") && why.contains("Start work, Resolve"), "{why}");
    assert_eq!(sky.list("jira", "issues")[0]["comments"].as_array().unwrap().len(), 1, "the message is there");
}
