//! What people read, at the moments of a story when they look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keymend::domain::incident::Phase;
use keymend::domain::notice::Situation;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Break, What, World};
use keymend::drill::house;
use keymend::notify::Channel;
use keymend::notify::links::Links;
use keymend::notify::route::Routed;
use keymend::patrol::PatrolSettings;
use keymend::web::pages::{Access, Site};
use reqwest::Method;
use serde_json::Value;

use crate::stage::{approve, channel, client, doors, open, read, sent, story, teams, until};
use crate::stepped::Stage;

fn anybody() -> Site {
    Site::new(Access::Open { here_only: false }, Links::default(), None, vec![channel("teams")])
}

#[tokio::test]
async fn a_story_is_told_from_the_question_to_the_end() {
    let mut stage = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;
    let (list, id) = (stage.house.pages(), incident.id.clone());
    let page = format!("{list}/{id}");
    // Until the Activity Log tells who did it.
    stage.happen(&[], 6).await;

    let asked = read(&page).await;
    assert_eq!((asked.status, asked.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    asked
        .says("APPROVAL NEEDED by 02:32 UTC")
        .says("Recover the deleted key vault contoso-kv for contoso-sql?")
        .says("Restore key access before 02:32 UTC (30-minute rule of Azure SQL)")
        .says("Decision needed")
        .says(&incident.approval.as_ref().unwrap().plan.code())
        .says("vault: soft-deleted → active")
        .says("bob@contoso.example deleted key vault contoso-kv at 02:02 UTC")
        .says("BROKEN Key vault : contoso-kv is deleted")
        .says("As long as nobody answers, nothing is changed.")
        .says("az keyvault recover --name contoso-kv")
        .says("teams delivered");
    let front = read(&list).await;
    front.says("1 incident is open, and waits for your decision").says("Recover the deleted key vault").says(&id.0);
    assert!(front.text.contains(&format!("href=\"/api/incidents/{id}\"")), "{}", front.text);

    approve(&stage, &incident).await;
    let healed = until(&mut stage, |it| it.ended_at.is_some()).await;
    let after = read(&page).await;
    after
        .says("RESOLVED")
        .says("are online again")
        .says("Recovered the deleted key vault contoso-kv at")
        .says("Azure's correlation id")
        .says("3 databases were affected")
        .never_says("Decision needed")
        .never_says("az keyvault recover");
    let entries = healed.timeline.len();
    assert!(after.text.matches("<b class=\"kind\">").count() == entries, "all {entries} lines of the story");
    // How long it took is what it took, also for whoever reads it the next morning.
    let end = healed.ended_at.unwrap().strftime("%H:%M UTC)").to_string();
    after.says(&format!(" to {end}, inside the self-heal window"));
    stage.happen(&[], 90).await;
    read(&page).await.says(&format!(" to {end}, inside the self-heal window"));
    read(&list).await.says("Nothing is going on").says("RESOLVED");
    read(&format!("{list}?show=open")).await.says("There are no incidents.");
    for (search, found) in [("contoso-kv", 1), ("BILLING", 1), ("vault_deleted healed", 1), ("contoso-kv nowhere", 0)] {
        let page = sent(client().get(format!("{list}?show=past&q={}", search.replace(' ', "+")))).await;
        assert_eq!(page.text.matches("class=\"row ").count(), found, "{search}");
    }
    stage.house.stop().await;
}

#[tokio::test]
async fn a_channel_is_not_behind_with_what_it_is_not_told_of() {
    let mut stage = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;
    let only = |name: &str, situation| Arc::new(Routed::new(teams(name), [situation].into())) as Arc<dyn Channel>;
    let channels = vec![only("pager", Situation::DeadlineNear), only("behind", Situation::ApprovalAsked)];
    let site = Site::new(Access::Open { here_only: false }, Links::default(), None, channels);
    let address = open(site, stage.house.store(), stage.clock.clone()).await;
    let page = read(&format!("{address}/api/incidents/{}", incident.id)).await;
    page.says("behind not delivered yet").never_says("pager");
    assert_eq!(page.words().matches("behind not delivered yet").count(), 1, "the question alone was for it");
    stage.house.stop().await;
}

#[tokio::test]
async fn whoever_is_called_reads_what_to_do_first() {
    let mut stage = story("deliberate-revocation", Preset::Auto).await;
    let incident = until(&mut stage, |it| it.phase == Phase::Escalated).await;
    let page = read(&format!("{}/{}", stage.house.pages(), incident.id)).await;
    page.says("A PERSON IS NEEDED").says("Find out whether this was intended.").says("az keyvault key set-attributes");
    let words = page.words();
    assert!(words.find("Do this") < words.find("Why automation stopped"), "{words}");
    assert!(words.find("Do this") < words.find("Timeline"), "{words}");
    stage.house.stop().await;
}

#[tokio::test]
async fn the_same_for_programs() {
    let mut stage = story("permission-revoked-rbac", Preset::Observe).await;
    let incident = until(&mut stage, |it| it.notices.len() > 1).await;
    let (list, client) = (stage.house.pages(), client());
    let page = format!("{list}/{}", incident.id);
    read(&page).await.says("OBSERVED ONLY, NOTHING IS CHANGED").says("az role assignment create");

    for request in [client.get(&page).header("accept", "application/json"), client.get(format!("{page}?format=json"))] {
        let answer = sent(request).await;
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        let document = answer.json();
        assert_eq!(document["id"], incident.id.0);
        assert_eq!(document["restore_before"], incident.restore_before().to_string());
        assert_eq!(document["timeline"].as_array().unwrap().len(), incident.timeline.len());
    }
    let all = sent(client.get(&list).header("accept", "application/json")).await.json();
    assert_eq!((&all[0]["id"], &all[0]["phase"]), (&Value::from(incident.id.0.as_str()), &Value::from("diagnosed")));
    let none = sent(client.get(format!("{list}/km-none")).header("accept", "application/json")).await;
    assert_eq!((none.status, none.json()["error"].is_string()), (404, true));
    let unread = sent(client.get(format!("{list}/km-none"))).await;
    unread.says("There is no such incident").says("No incident is called km-none.");
    assert_eq!(unread.status, 404);
    let front = list.trim_end_matches("api/incidents");
    assert_eq!(sent(client.get(front)).await.json()["service"], "keymend");
    assert!(read(front).await.text.contains("href=\"/api/incidents\""));
    stage.house.stop().await;
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let mut stage = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;
    let (list, client) = (stage.house.pages(), client());
    let page = format!("{list}/{}", incident.id);
    // Messages are on their way to the channels while the first one is read.
    stage.happen(&[], 1).await;
    let first = read(&page).await;
    let again = |mark: &str| client.get(&page).header("if-none-match", mark).header("accept", "text/html");
    let same = sent(again(&first.headers["etag"])).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(same.headers["x-keymend-time"], stage.clock.now().to_string(), "clocks go on from it");
    stage.happen(&[], 3).await;
    let later = sent(again(&first.headers["etag"])).await;
    assert_eq!(later.status, 200, "minutes have passed");
    assert_ne!(later.headers["etag"], first.headers["etag"]);

    let head = sent(client.request(Method::HEAD, &page).header("accept", "text/html")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], read(&page).await.text.len().to_string());
    for (method, status) in [(Method::POST, 405), (Method::PUT, 405), (Method::DELETE, 405)] {
        assert_eq!(sent(client.request(method, &page)).await.status, status);
    }
    stage.house.stop().await;
}

#[tokio::test]
async fn pages_may_load_what_is_from_here_and_nothing_else() {
    let address = doors(anybody(), &[], "2026-11-24T02:00:00Z".parse().unwrap()).await;
    let page = read(&format!("{address}/api/incidents")).await;
    page.says("Nothing is going on").says("There are no incidents.");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !page.text.contains(" style=") && ![" onclick", " onload", " onerror"].iter().any(|it| page.text.contains(it)),
        "nothing inline: {}",
        page.text
    );
    assert_eq!(
        (&*page.headers["x-frame-options"], &*page.headers["referrer-policy"]),
        ("DENY", "same-origin"),
        "a form says from where"
    );
    assert_eq!(page.headers["cache-control"], "no-store", "what is on a page is nobody else's");
    for (name, kind) in [("keymend.css", "text/css"), ("keymend.js", "text/javascript")] {
        let start = page.text.find(&format!("/api/assets/{name}?v=")).unwrap_or_else(|| panic!("{}", page.text));
        let link: String = page.text[start..].chars().take_while(|c| *c != '"').collect();
        let asset = read(&format!("{address}{link}")).await;
        assert_eq!(asset.status, 200);
        assert!(asset.headers["content-type"].starts_with(kind));
        assert!(asset.headers["cache-control"].contains("immutable"));
    }
    assert_eq!(read(&format!("{address}/api/assets/other.js")).await.status, 404);
}

#[tokio::test]
async fn a_long_list_is_turned_page_by_page() {
    let at = |minute: i64| "2026-11-24T02:00:00Z".parse::<jiff::Timestamp>().unwrap() + crate::stage::minutes(minute);
    let incidents: Vec<_> = (0..30)
        .map(|number| {
            let id = keymend::domain::incident::IncidentId(format!("km-20261124-0200-{number:04}"));
            let key = keymend::domain::incident::IncidentKey(format!("vault:v{number}"));
            let mut incident = keymend::domain::incident::Incident::open(id, key, 30, at(number));
            if number != 3 {
                incident.finish(Phase::Closed, "it was nothing", at(number + 5));
            }
            incident
        })
        .collect();
    let list = format!("{}/api/incidents", doors(anybody(), &incidents, at(60)).await);
    let first = read(&list).await;
    assert_eq!(first.text.matches("class=\"row ").count(), 26, "the open one, and 25 past ones");
    first.says("km-20261124-0200-0029").says("Older").never_says("Newer").says("1 incident is open");
    assert!(first.words().find("km-20261124-0200-0003") < first.words().find("km-20261124-0200-0029"));
    let second = read(&format!("{list}?page=2")).await;
    assert_eq!(second.text.matches("class=\"row ").count(), 4);
    second.says("km-20261124-0200-0001").says("Newer").never_says("Older");
    second.says("1 incident is open").never_says("Nothing is going on");
    let open = read(&format!("{list}?show=open")).await;
    assert_eq!(open.text.matches("class=\"row ").count(), 1);
    let past = read(&format!("{list}?show=past&page=2")).await;
    assert_eq!(past.text.matches("class=\"row ").count(), 4);
}

/// 100 servers with 100 databases each, all down: told quickly, in little, and everything counted.
#[tokio::test]
async fn a_storm_is_a_small_page() {
    let mut stage = Stage::open(World::shared_vault(6, 2), Preset::Guarded, PatrolSettings::rounds_only()).await;
    stage.happen(&[Break::new(What::DeleteVault { vault: None })], 15).await;
    let (mut incident, now) = (stage.incidents().await.remove(0), stage.clock.now());
    let (member, attempt) = (incident.members.values().next().unwrap().clone(), incident.attempts.clone());
    incident.members.clear();
    for number in 0..100 {
        let mut server = member.clone();
        let id = member.server.to_string().replace("sql-01", &format!("sql-of-the-business-unit-{number:03}"));
        server.server = keymend::domain::resource_id::ResourceId::parse(&id).unwrap();
        server.databases = (0..100).map(|database| format!("database-of-a-customer-{database:03}")).collect();
        server.inaccessible.clone_from(&server.databases);
        incident.members.insert(server.server.key().to_owned(), server);
        incident.attempts.extend(attempt.clone());
        for line in 0..4 {
            let text = format!("line {line}: 100 databases on sql-of-the-business-unit-{number:03} inaccessible");
            incident.note(now, keymend::domain::incident::EntryKind::Checked, text);
        }
    }
    let (down, all) = incident.down_of_all();
    assert_eq!((incident.members.len(), down, all), (100, 10_000, 10_000), "the storm is there");
    let address = doors(anybody(), &[incident.clone()], now).await;
    let began = Instant::now();
    let page = read(&format!("{address}/api/incidents/{}", incident.id)).await;
    let took = began.elapsed();
    page.says("10000 databases").says("100 servers by name").says("100 of 100");
    println!("a page of 100 servers and 10,000 databases: {} bytes, {took:?}", page.text.len());
    assert!(page.text.len() < 300_000, "{} bytes", page.text.len());
    assert!(took < Duration::from_secs(3), "{took:?}, in a build that is not optimised");
    stage.house.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_is_said_and_tried_again() {
    let folder = house::Folder::new(None, "fails", Preset::Observe).unwrap();
    let file = folder.path().join("keymend.db");
    let store = std::sync::Arc::new(keymend::store::SqliteStore::open(&file).unwrap());
    let clock = keymend::clock::Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
    let list = format!("{}/api/incidents", open(anybody(), store, clock).await);
    assert_eq!(read(&list).await.status, 200);
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("DROP TABLE incident").unwrap();
    for address in [list.clone(), format!("{list}/km-x")] {
        let page = read(&address).await;
        assert_eq!((page.status, page.headers["retry-after"].as_str()), (503, "5"));
        page.says("Keymend cannot read its store").never_says("no such");
    }
}
