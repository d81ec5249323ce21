//! Whatever a link scanner, an outsider, or a nervous finger does: nothing changes; and one person's answer counts once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keymend::domain::incident::{Incident, Phase};
use keymend::domain::policy::Preset;
use keymend::domain::remedy::Remedy;
use keymend::notify::links::Links;
use keymend::notify::secret::Secret;
use keymend::notify::signed_link::LinkKeys;
use keymend::web::pages::{Access, Answers, Readers, SignIn, Site};
use reqwest::Method;
use serde_json::json;

use crate::stage::{Page, client, open, sent, story, until};
use crate::stepped::Stage;

const READERS: &str = "7d1a0000-0000-4000-8000-000000000001";
const APPROVERS: &str = "7d1a0000-0000-4000-8000-000000000003";
const HEADER: &str = "x-ms-client-principal";
const SECRET: &str = "a secret of this test, of thirty-two bytes or more";

/// A form that must change nothing: who sends it, from which origin, what is in it; the status, and what is said.
type Refused<'a> = (&'a str, (Option<&'a str>, Option<&'a str>, Vec<(&'a str, &'a str)>, u16, &'a str));

/// A story that waits for a person, and the pages of it behind a sign-in.
struct Desk {
    stage: Stage,
    incident: Incident,
    address: String,
}

impl Desk {
    async fn new() -> Self {
        let mut stage = story("vault-deleted", Preset::Guarded).await;
        let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;
        let readers = Readers::Of(vec![READERS.to_owned()]);
        let access = Access::SignIn(SignIn { trusted: true, readers, approvers: vec![APPROVERS.to_owned()] });
        let keys = LinkKeys::new(&[Secret::new(SECRET)]).unwrap();
        let site = Site::new(access, Links::default(), None, Vec::new()).answering(Answers { keys, weak: false });
        let address = open(site, stage.house.store(), stage.clock.clone()).await;
        Self { stage, incident, address }
    }

    fn page(&self) -> String {
        format!("{}/api/incidents/{}", self.address, self.incident.id)
    }

    async fn look(&self, who: &str) -> Page {
        sent(client().get(self.page()).header(HEADER, who).header("accept", "text/html")).await
    }

    /// The ticket of the first form that the reader is shown.
    async fn ticket(&self, who: &str) -> String {
        let page = self.look(who).await;
        ticket_of(&page).unwrap_or_else(|| panic!("no form is shown:\n{}", page.words()))
    }

    async fn send(&self, who: Option<&str>, origin: Option<&str>, fields: &[(&str, &str)]) -> Page {
        let mut request = posted(&format!("{}/answer", self.page()), fields);
        if let Some(who) = who {
            request = request.header(HEADER, who);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        sent(request).await
    }

    async fn answer(&self, who: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Some(who), Some(&self.address), fields).await
    }

    async fn stored(&self) -> Incident {
        self.stage.house.store().incident(&self.incident.id).await.unwrap().unwrap().0
    }

    fn changes(&self) -> usize {
        self.stage.cloud.tally().changes
    }
}

/// A form, as a browser sends it.
fn posted(address: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = client().post(address).header("accept", "text/html").body(body);
    request.header("content-type", "application/x-www-form-urlencoded")
}

fn ticket_of(page: &Page) -> Option<String> {
    let (_, rest) = page.text.split_once("name=\"ticket\" value=\"")?;
    rest.split_once('"').map(|(ticket, _)| ticket.to_owned())
}

fn person(name: &str, groups: &[&str]) -> String {
    let mut claims = vec![
        json!({ "typ": "preferred_username", "val": name }),
        json!({ "typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": format!("oid-{name}") }),
    ];
    claims.extend(groups.iter().map(|group| json!({ "typ": "groups", "val": group })));
    STANDARD.encode(json!({ "auth_typ": "aad", "claims": claims }).to_string())
}

fn ada() -> String {
    person("ada@contoso.example", &[APPROVERS])
}

fn bob() -> String {
    person("bob@contoso.example", &[APPROVERS])
}

#[tokio::test]
async fn whoever_only_looks_or_is_no_approver_changes_nothing() {
    let mut desk = Desk::new().await;
    let (before, changes) = (desk.stored().await, desk.changes());
    let (ada, bob, reader) = (ada(), bob(), person("eve@contoso.example", &[READERS]));
    let ticket = desk.ticket(&ada).await;
    let bobs = desk.ticket(&bob).await;
    assert_ne!(ticket, bobs, "a ticket is of one person");
    let (here, yes) = (desk.address.clone(), ("sure", "yes"));
    let approve = |ticket: &'static str| vec![("ticket", ticket), ("answer", "approve"), yes];
    let own: &'static str = ticket.clone().leak();

    // A scanner follows the links, in every way it knows.
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"] {
        for path in ["", "/answer", "/answer?answer=approve&sure=yes"] {
            for purpose in ["", "prefetch"] {
                let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), desk.page() + path);
                let page = sent(request.header(HEADER, &ada).header("sec-purpose", purpose)).await;
                assert!([200, 405].contains(&page.status), "{method} {path}: {}", page.status);
            }
        }
    }
    desk.look(&reader).await.says("You may read this and not decide");
    assert!(ticket_of(&desk.look(&reader).await).is_none());

    let altered = format!("{}x{}", &own[..40], &own[41..]);
    let altered: &'static str = altered.leak();
    let forms: [Refused<'_>; 12] = [
        ("nobody", (None, Some(&*here), approve(own), 401, "Sign in first")),
        ("a reader", (Some(&*reader), Some(&*here), approve(own), 403, "cannot be believed")),
        ("another's ticket", (Some(&*bob), Some(&*here), approve(own), 403, "cannot be believed")),
        ("no origin", (Some(&*ada), None, approve(own), 403, "did not come from Keymend's own page")),
        ("null origin", (Some(&*ada), Some("null"), approve(own), 403, "did not come from")),
        ("foreign origin", (Some(&*ada), Some("https://evil.example"), approve(own), 403, "did not come from")),
        ("no ticket", (Some(&*ada), Some(&*here), vec![("answer", "approve"), yes], 403, "cannot be believed")),
        ("altered ticket", (Some(&*ada), Some(&*here), approve(altered), 403, "cannot be believed")),
        ("no box", (Some(&*ada), Some(&*here), vec![("ticket", own), ("answer", "approve")], 400, "not ticked")),
        ("no word", (Some(&*ada), Some(&*here), vec![("ticket", own), yes], 400, "no answer that Keymend knows")),
        ("twice", (Some(&*ada), Some(&*here), [approve(own), approve(own)].concat(), 400, "no answer")),
        ("odd word", (Some(&*ada), Some(&*here), vec![("ticket", own), ("answer", "Approve")], 400, "no answer")),
    ];
    for (what, (who, origin, fields, status, said)) in forms {
        let page = desk.send(who, origin, &fields).await;
        assert_eq!(page.status, status, "{what}: {}", page.words());
        page.says(said);
    }
    let huge = "x".repeat(20_000);
    assert_eq!(desk.answer(&ada, &[("ticket", own), ("answer", "reject"), ("why", &huge)]).await.status, 400);

    // A link to the page is no ticket, and a ticket of another incident is none here.
    let keys = LinkKeys::new(&[Secret::new(SECRET)]).unwrap();
    let asked = before.approval.clone().unwrap();
    let link =
        keys.sign(&keymend::notify::signed_link::Claim::link(&before.id, Some(&asked.plan_hash), asked.answer_by));
    desk.answer(&ada, &[("ticket", &link), ("answer", "reject")]).await.says("cannot be believed");
    let foreign = LinkKeys::new(&[Secret::new("another secret of thirty-two bytes and more")]).unwrap();
    let other = foreign.sign(&keys.read(own, desk.stage.clock.now()).unwrap());
    desk.answer(&ada, &[("ticket", &other), ("answer", "reject")]).await.says("cannot be believed");

    let after = desk.stored().await;
    assert_eq!((after.approval.clone(), after.hold.clone(), after.forms_used.len()), (before.approval, None, 0));
    // An old page does not count, however long it was open.
    desk.stage.happen(&[], 31).await;
    let page = desk.answer(&ada, &approve(own)).await;
    assert_eq!(page.status, 410, "{}", page.words());
    page.says("This page was open for too long");
    assert_eq!(desk.changes(), changes, "nothing was changed in Azure");
    assert!(desk.stored().await.approval.unwrap().decision.is_none());
}

#[tokio::test]
async fn of_fifty_answers_at_once_one_counts() {
    let mut desk = Desk::new().await;
    let people = [ada(), bob()];
    let tickets = [desk.ticket(&people[0]).await, desk.ticket(&people[1]).await];
    let before = desk.changes();
    let all = (0..50).map(|number| {
        let (who, ticket) = (&people[number % 2], &tickets[number % 2]);
        let word = if number % 2 == 0 { "approve" } else { "reject" };
        let desk = &desk;
        async move { desk.answer(who, &[("ticket", ticket), ("answer", word), ("sure", "yes")]).await }
    });
    let pages = futures::future::join_all(all.collect::<Vec<_>>()).await;
    let stored = desk.stored().await;
    let decision = stored.approval.unwrap().decision.unwrap();
    let done = if decision.approved { "Approved" } else { "Rejected" };
    let first = pages.iter().filter(|page| page.status == 200 && !page.words().contains("Already")).count();
    assert_eq!(first, 1, "one is told that it counted");
    for page in &pages {
        match page.status {
            200 => assert!(page.words().to_lowercase().contains(&done.to_lowercase()), "{}", page.words()),
            409 => {
                page.says(&format!("It was {} already By {}", done.to_lowercase(), decision.by));
            }
            other => panic!("{other}: {}", page.words()),
        }
    }
    assert_eq!(pages.iter().filter(|page| page.status == 409).count(), 25, "the other side is told so");
    let said = stored.timeline.iter().filter(|entry| entry.text.contains("on the incident's page")).count();
    assert_eq!(said, 1);
    desk.stage.happen(&[], 3).await;
    let recovered =
        desk.stored().await.attempts.iter().filter(|one| one.change.remedy() == Remedy::RecoverVault).count();
    assert_eq!(recovered, usize::from(decision.approved), "approved, it is recovered once; rejected, never");
    assert_eq!(desk.changes() > before, decision.approved);
}

#[tokio::test]
async fn an_approval_mends_and_everybody_is_told_who() {
    let mut desk = Desk::new().await;
    let ada = ada();
    let ticket = desk.ticket(&ada).await;
    let fields = [("ticket", &*ticket), ("answer", "approve"), ("sure", "yes"), ("why", "asked <b>security</b>")];
    let page = desk.answer(&ada, &fields).await;
    assert_eq!(page.status, 200, "{}", page.words());
    page.says("Approved by ada@contoso.example at").says("Back to the incident");
    desk.answer(&ada, &fields).await.says("Already approved");
    let healed = until(&mut desk.stage, |it| it.phase == Phase::Healed).await;
    assert!(healed.timeline.iter().any(|entry| entry.text.starts_with("ada@contoso.example approved the plan")));
    for word in ["CHANGE MADE", "RESOLVED"] {
        let told = desk.stage.cloud.inbox().iter().any(|one| {
            let card = one.body.to_string();
            one.sink == "teams"
                && card.contains(word)
                && card.contains("Approved by  ")
                && card.contains("ada@contoso.example")
        });
        assert!(told, "the message {word} says who approved");
    }
    let page = desk.look(&ada).await;
    page.says("RESOLVED").says("ada@contoso.example approved the plan");
    assert!(ticket_of(&page).is_none(), "nothing is left to answer");
    let late = desk.answer(&ada, &fields).await;
    // Over, or too old a page: it is one or the other by how soon it healed.
    assert!([409, 410].contains(&late.status), "{}", late.words());
}

#[tokio::test]
async fn who_holds_it_keeps_everything_from_being_changed() {
    let mut desk = Desk::new().await;
    let (ada, bob) = (ada(), bob());
    let before = desk.changes();
    let (of_ada, of_bob) = (desk.ticket(&ada).await, desk.ticket(&bob).await);
    let page =
        desk.answer(&ada, &[("ticket", &of_ada), ("answer", "take_over"), ("why", "security is looking at it")]).await;
    assert_eq!(page.status, 200, "{}", page.words());
    page.says("Taken over by ada@contoso.example");
    // Somebody who still has the question open approves it.
    let page = desk.answer(&bob, &[("ticket", &of_bob), ("answer", "approve"), ("sure", "yes")]).await;
    assert_eq!(page.status, 409, "{}", page.words());
    page.says("ada@contoso.example holds this incident");
    let held = until(&mut desk.stage, |it| it.phase == Phase::Escalated).await;
    desk.stage.happen(&[], 45).await;
    assert_eq!(desk.changes(), before, "nothing is changed, also after the window");
    assert!(held.notices.len() >= 4, "the team is told: {:#?}", held.notices);
    let told = desk.stage.cloud.inbox().iter().any(|one| {
        let body = one.body.to_string();
        body.contains("ON HOLD, BY A PERSON") && body.contains("security is looking at it")
    });
    assert!(told, "a message says who has it in hand");
    let page = desk.look(&bob).await;
    page.says("ada@contoso.example has taken this incident over").says("security is looking at it");
    let ticket = ticket_of(&page).unwrap();
    desk.answer(&bob, &[("ticket", &ticket), ("answer", "release")]).await.says("Released by bob@contoso.example");
    let asks = until(&mut desk.stage, |it| it.phase == Phase::AwaitingApproval).await;
    assert!(asks.hold.is_none());
    let ticket = desk.ticket(&bob).await;
    desk.answer(&bob, &[("ticket", &ticket), ("answer", "approve"), ("sure", "yes")]).await.says("Approved by bob");
    until(&mut desk.stage, |it| it.phase == Phase::Healed).await;
    assert!(desk.changes() > before);
}

/// Without a sign-in, where that was set by name: the link of the message, and the server's name typed.
#[tokio::test]
async fn the_button_of_a_card_leads_to_the_question() {
    let mut stage = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;
    let cards: Vec<String> =
        stage.cloud.inbox().into_iter().filter(|one| one.sink == "teams").map(|one| one.body.to_string()).collect();
    let asks = cards.iter().find(|card| card.contains("APPROVAL NEEDED")).unwrap();
    let card: serde_json::Value = serde_json::from_str(asks).unwrap();
    let first = card["attachments"][0]["content"]["actions"][0].clone();
    assert_eq!(first["title"], "Review and decide", "one button decides, and it is the first");
    let link = first["url"].as_str().unwrap().to_owned();
    let page = sent(client().get(&link).header("accept", "text/html")).await;
    page.says("Decision needed").says("Type the server's name, contoso-sql");
    let (ticket, before) = (ticket_of(&page).unwrap(), stage.cloud.tally().changes);
    let origin: url::Url = link.parse().unwrap();
    let send = async |server: &str| {
        let fields = [("ticket", &*ticket), ("answer", "approve"), ("sure", "yes"), ("server", server)];
        let request = posted(&format!("{}/{}/answer", stage.house.pages(), incident.id), &fields);
        sent(request.header("origin", origin.origin().ascii_serialization())).await
    };
    for wrong in ["", "contoso-sql-2", "yes"] {
        let page = send(wrong).await;
        assert_eq!(page.status, 403, "{}", page.words());
        page.says("The server's name is missing");
    }
    assert_eq!(stage.cloud.tally().changes, before);
    send("Contoso-SQL ").await.says("Approved by somebody at this machine");
    until(&mut stage, |it| it.phase == Phase::Healed).await;
}
