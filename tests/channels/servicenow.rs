//! ServiceNow's own traps.

use keymend::domain::notice::Situation;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::notify::secret::Secret;
use keymend::notify::servicenow::auth::Login;
use keymend::notify::servicenow::{Mode, ServiceNow, ServiceNowOptions};
use keymend::notify::{Channel, Parcel};
use serde_json::json;

use crate::kit::{Sky, notice, permanent, say, sky, status, story, tell};

fn with(sky: &Sky, login: Login, options: ServiceNowOptions) -> ServiceNow {
    let base = format!("{}/sink/servicenow", sky.running.url());
    ServiceNow::new("servicenow", &base, login, options, sky.clock.clone()).unwrap()
}

fn basic() -> Login {
    Login::Basic { user: "keymend".to_owned(), password: Secret::new("drill-password") }
}

#[tokio::test]
async fn one_ticket_with_its_notes_in_order_resolved_in_the_end() {
    let sky = sky().await;
    tell(&*sky.channel("servicenow"), &story()).await.unwrap();
    let tickets = sky.tickets();
    let [ticket] = tickets.as_slice() else { panic!("{tickets:#?}") };
    let text = |name: &str| ticket[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((text("state"), text("close_code")), ("6".to_owned(), "Solution provided".to_owned()));
    assert!(text("close_notes").starts_with("RESOLVED") && text("short_description").chars().count() <= 150);
    assert_eq!((text("impact"), text("urgency")), ("1".to_owned(), "1".to_owned()), "raised when a person was asked");
    let notes: Vec<&str> = ticket["work_notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    let at: Vec<bool> = (2..=5).zip(&notes).map(|(n, note)| note.ends_with(&format!("message {n}"))).collect();
    assert_eq!(at, [true; 4], "{notes:#?}");
    assert_eq!(sky.count("POST", "oauth_token.do"), 1, "one token for all of it");
}

#[tokio::test]
async fn somebody_elses_ticket_is_never_written_to() {
    let sky = sky().await;
    let channel = sky.channel("servicenow");
    // An instance that does not know correlation_id ignores that part of the query, and answers with what it has.
    let others = json!({"result": [
        {"sys_id": "5a2d83f2a6ddc24168379c2164a341d3", "number": "INC0010001", "state": "1", "correlation_id": ""},
        {"sys_id": "15414e06b7cbbc2226ca56d5404e4ec9", "number": "INC0010002", "state": "1", "correlation_id": "monitoring-4711"},
    ]});
    sky.fault("/table/incident", "GET", say(200, "application/json", &others.to_string()), 1);
    channel.send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await.unwrap();
    assert_eq!(sky.count("PATCH", "/table/incident"), 0);
    let all = sky.list("servicenow", "incidents");
    assert_eq!(all.len(), 3, "a ticket of our own beside the two");
    assert!(all.iter().take(2).all(|one| one["work_notes"] == json!([])));
}

#[tokio::test]
async fn of_two_tickets_the_older_is_used() {
    let sky = sky().await;
    let channel = with(&sky, basic(), ServiceNowOptions::default());
    let row = |id: &str, number: &str| json!({"sys_id": id, "number": number, "state": "1", "correlation_id": "km-20261124-0207-7f3k"});
    let two = json!({"result": [row("a1", "INC1"), row("b2", "INC2")]});
    sky.fault("/table/incident", "GET", say(200, "application/json", &two.to_string()), 1);
    sky.fault(
        "/table/incident/a1",
        "PATCH",
        say(200, "application/json", &json!({"result": row("a1", "INC1")}).to_string()),
        1,
    );
    let kept = channel.send(&Parcel::of(&notice(Situation::Diagnosed, 2))).await.unwrap().unwrap();
    assert_eq!(kept["number"], "INC1");
    assert_eq!(sky.count("PATCH", "/table/incident/a1"), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_no_more() {
    let sky = sky().await;
    let channel = sky.channel("servicenow");
    sky.fault("/table/incident", "GET", status(401), 1);
    channel.send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await.unwrap();
    assert_eq!(sky.count("POST", "oauth_token.do"), 2);
    sky.fault("/table/incident", "GET", status(401), 9);
    let why = permanent(channel.send(&Parcel::of(&notice(Situation::Diagnosed, 2))).await);
    assert!(why.contains("servicenow.auth"), "{why}");
    assert_eq!(sky.count("POST", "oauth_token.do"), 3, "asked once more, then stopped");
}

#[tokio::test]
async fn a_wrong_secret_says_where_to_look() {
    let sky = sky().await;
    let login = Login::OAuth { client_id: "drill-client".to_owned(), client_secret: Secret::new("not-the-secret") };
    let channel = with(&sky, login, ServiceNowOptions::default());
    let why = permanent(channel.send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await);
    assert!(why.contains("glide.oauth") && !why.contains("not-the-secret"), "{why}");
    for login in [basic(), Login::ApiKey { key: Secret::new("drill-api-key") }] {
        let channel = with(&sky, login, ServiceNowOptions::default());
        channel.send(&Parcel::of(&notice(Situation::FirstNotice, 1))).await.unwrap();
    }
    assert_eq!(sky.tickets().len(), 1);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_resolved_has_the_message_all_the_same() {
    let sky = sky().await;
    let options = ServiceNowOptions { close_code: String::new(), ..ServiceNowOptions::default() };
    let channel = with(&sky, basic(), options);
    let why = permanent(tell(&channel, &story()).await);
    assert!(why.contains("Data Policy Exception") && why.contains("close_code"), "{why}");
    let ticket = &sky.tickets()[0];
    assert_eq!(ticket["state"], "2");
    let notes = ticket["work_notes"].as_array().unwrap();
    assert!(notes.last().unwrap().as_str().unwrap().starts_with("RESOLVED"), "{notes:#?}");
}

#[tokio::test]
async fn a_ticket_that_a_person_closed_is_left_alone_until_a_person_is_needed() {
    let sky = sky().await;
    let channel = with(&sky, basic(), ServiceNowOptions::default());
    let kept = tell(&channel, &story()[..2]).await.unwrap().unwrap();
    let id = kept["sys_id"].as_str().unwrap();
    let close = json!({"state": "8"});
    let answer = keymend::tls::client()
        .build()
        .unwrap()
        .patch(format!("{}/api/now/table/incident/{id}", sky.running.url()))
        .basic_auth("keymend", Some("drill-password"))
        .header("content-type", "application/json")
        .body(close.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let send = async |notice| channel.send(&Parcel { notice: &notice, kept: Some(&kept), remark: None }).await.unwrap();
    send(notice(Situation::ChangeMade, 3)).await;
    assert_eq!(sky.tickets().len(), 1, "for news nobody opens a cancelled ticket again");
    send(notice(Situation::Escalated, 4)).await;
    let tickets = sky.tickets();
    assert_eq!(tickets.len(), 2, "{tickets:#?}");
    assert_eq!(tickets[1]["urgency"], "1");
}

#[tokio::test]
async fn fields_are_the_customers_and_names_never_become_html() {
    let sky = sky().await;
    let options = ServiceNowOptions {
        fields: [("category".to_owned(), "database".to_owned()), ("u_unknown".to_owned(), "x".to_owned())].into(),
        escalation_group: Some("d625dccec0a8016700a222a0f7900d06".to_owned()),
        ..ServiceNowOptions::default()
    };
    let channel = with(&sky, basic(), options);
    let mut first = notice(Situation::FirstNotice, 1);
    first.reason = Some("[code]<script>alert(1)</script>[/code]".to_owned());
    first.databases[0].name = "[code]x".to_owned();
    let kept = channel.send(&Parcel::of(&first)).await.unwrap();
    let escalated = notice(Situation::Escalated, 2);
    channel.send(&Parcel { notice: &escalated, kept: kept.as_ref(), remark: None }).await.unwrap();
    let ticket = &sky.tickets()[0];
    assert_eq!(ticket["category"], "database");
    assert_eq!(ticket["assignment_group"], "d625dccec0a8016700a222a0f7900d06");
    assert!(!ticket.to_string().contains("[code"), "{ticket:#}");
    let asked = sky.asked("servicenow");
    assert!(asked.iter().filter_map(|one| one.request_body.as_ref()).all(|body| body.get("priority").is_none()));
}

#[tokio::test]
async fn events_for_event_management() {
    let sky = sky().await;
    let options = ServiceNowOptions { mode: Mode::EventManagement, ..ServiceNowOptions::default() };
    let channel = with(&sky, basic(), options);
    tell(&channel, &story()).await.unwrap();
    let events = sky.list("servicenow", "events");
    let severities: Vec<&str> = events.iter().map(|event| event["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["2", "2", "1", "4", "0"]);
    assert!(events.iter().all(|event| event["message_key"] == events[0]["message_key"]));
    assert_eq!(events[4]["resolution_state"], "Closing");
    assert!(events[0]["additional_info"].is_string());
    sky.cloud.fault(Fault::new(FaultKind::Throttle { retry_after: 60 }, "/em/jsonv2", 1));
    let error = channel.send(&Parcel::of(&story()[0])).await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
}

#[tokio::test]
async fn an_id_that_would_change_the_query_is_not_sent() {
    let sky = sky().await;
    let mut first = notice(Situation::FirstNotice, 1);
    first.incident.0 = "km^active=true".to_owned();
    for name in ["servicenow", "jira"] {
        permanent(sky.channel(name).send(&Parcel::of(&first)).await);
        assert!(sky.asked(name).iter().all(|one| one.method != "POST" || one.url.contains("oauth")));
    }
}
