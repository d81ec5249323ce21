//! Who may see the pages: whoever the settings name, and nobody else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use keymend::domain::incident::Phase;
use keymend::notify::links::Links;
use keymend::web::pages::{Access, How, Readers, SignIn, Signed, Site};
use serde_json::json;

use crate::hostile::incident;
use crate::stage::{Page, client, doors, sent};

const DBAS: &str = "7d1a0000-0000-4000-8000-000000000001";
const OTHERS: &str = "7d1a0000-0000-4000-8000-000000000002";
const APPROVERS: &str = "7d1a0000-0000-4000-8000-000000000003";

fn now() -> Timestamp {
    "2026-11-24T02:10:00Z".parse().unwrap()
}

async fn open(access: Access) -> String {
    let site = Site::new(access, Links::default(), None, Vec::new());
    doors(site, &[incident("x", Phase::Diagnosed, now())], now()).await
}

fn principal(groups: &[&str]) -> String {
    let mut claims = vec![json!({ "typ": "preferred_username", "val": "ada@contoso.example" })];
    claims.extend(groups.iter().map(|group| json!({ "typ": "groups", "val": group })));
    STANDARD.encode(json!({ "auth_typ": "aad", "claims": claims }).to_string())
}

fn sign_in(trusted: bool, readers: Readers) -> Access {
    Access::SignIn(SignIn { trusted, readers, approvers: vec![APPROVERS.to_owned()] })
}

async fn with(address: &str, path: &str, headers: &[(&str, &str)]) -> Page {
    let request = client().get(format!("{address}{path}")).header("accept", "text/html");
    sent(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

const LIST: &str = "/api/incidents";
const ONE: &str = "/api/incidents/km-20261124-0202-evil";
const HEADER: &str = "x-ms-client-principal";

#[tokio::test]
async fn who_signed_in_and_is_in_a_group_reads() {
    let readers = || Readers::Of(vec![DBAS.to_uppercase(), "Keymend.Reader".to_owned()]);
    let address = open(sign_in(true, readers())).await;
    let (dba, other, both) = (principal(&[DBAS]), principal(&[OTHERS]), principal(&[OTHERS, APPROVERS]));
    let role = STANDARD.encode(
        json!({ "role_typ": "r", "claims": [{ "typ": "oid", "val": "0b2f" }, { "typ": "r", "val": "Keymend.Reader" }] })
            .to_string(),
    );
    for path in [LIST, ONE] {
        for (who, status, said) in [
            (Some(dba.as_str()), 200, "ada@contoso.example"),
            (Some(&role), 200, "contoso-sql"),
            (Some(&both), 200, "contoso-sql"),
            (Some(&other), 403, "You may not see this You are signed in as ada@contoso.example"),
            (None, 401, "Sign in first"),
            (Some("{}"), 403, "Your sign-in cannot be read"),
            (Some(&"A".repeat(15_000)), 403, "Your sign-in cannot be read"),
        ] {
            let headers: Vec<(&str, &str)> = who.iter().map(|who| (HEADER, *who)).collect();
            let page = with(&address, path, &headers).await;
            assert_eq!(page.status, status, "{path} {said}: {}", page.words());
            page.says(said);
            if status != 200 {
                page.never_says("contoso-sql").never_says("km-2026112");
            }
        }
        let twice = with(&address, path, &[(HEADER, &other), (HEADER, &dba)]).await;
        assert_eq!(twice.status, 401, "two of them are none");
    }
    let unread = sent(client().get(format!("{address}{ONE}")).header("accept", "application/json")).await;
    assert_eq!((unread.status, unread.json()["error"].as_str()), (401, Some("Sign in first")));
}

#[tokio::test]
async fn nobody_is_believed_where_nobody_checks() {
    for (access, said) in [
        (sign_in(false, Readers::AnyoneSignedIn), "nobody checks it"),
        (sign_in(true, Readers::Of(Vec::new())), "You may not see this"),
        (Access::Off, "The pages are switched off"),
        (Access::Link(Signed::default()), "Follow the link in the message"),
    ] {
        let address = open(access).await;
        for path in [LIST, ONE] {
            let page = with(&address, path, &[(HEADER, &principal(&[DBAS, ""]))]).await;
            assert_eq!(page.status, 403, "{said}");
            page.says(said).never_says("contoso-sql");
        }
        assert_eq!(with(&address, "/api/assets/keymend.css", &[]).await.status, 200, "the refusal is styled");
    }
    let address = open(sign_in(true, Readers::AnyoneSignedIn)).await;
    assert_eq!(with(&address, ONE, &[(HEADER, &principal(&[]))]).await.status, 200);
    assert_eq!(with(&address, ONE, &[]).await.status, 401);
}

#[tokio::test]
async fn a_link_opens_its_incident_alone() {
    let signed = Signed::by(|incident, t| incident == "km-20261124-0202-evil" && t == "good+/=");
    let address = open(Access::Link(signed)).await;
    let page = with(&address, &format!("{ONE}?t=good%2B%2F%3D"), &[]).await;
    assert_eq!(page.status, 200);
    page.says("CAUSE FOUND").never_says("all incidents");
    assert!(page.text.contains("?format=json&amp;t=good%2B%2F%3D"), "the JSON is behind the same link");
    for (path, said) in [
        (format!("{ONE}?t=bad"), "This link does not open this incident"),
        ("/api/incidents/km-another?t=good%2B%2F%3D".to_owned(), "This link does not open this incident"),
        (format!("{LIST}?t=good%2B%2F%3D"), "there is no list"),
        (ONE.to_owned(), "Follow the link"),
    ] {
        let page = with(&address, &path, &[]).await;
        assert_eq!(page.status, 403, "{path}");
        page.says(said).never_says("contoso-sql");
    }
}

#[tokio::test]
async fn what_is_open_here_is_open_here_alone() {
    let address = open(Access::Open { here_only: true }).await;
    assert_eq!(with(&address, ONE, &[]).await.status, 200);
    for headers in [[("host", "keymend.evil.example")], [("x-forwarded-for", "203.0.113.7")], [("via", "1.1 proxy")]] {
        let page = with(&address, ONE, &headers).await;
        assert_eq!(page.status, 403, "{headers:?}");
        page.says("These pages are for this machine alone").never_says("contoso-sql");
    }
    let everywhere = open(Access::Open { here_only: false }).await;
    assert_eq!(with(&everywhere, ONE, &[("host", "keymend.contoso.example")]).await.status, 200);
}

#[test]
fn only_approvers_who_signed_in_may_answer() {
    let access = sign_in(true, Readers::AnyoneSignedIn);
    let as_of = |groups: &[&str]| {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert(HEADER, principal(groups).parse().unwrap());
        access.admit(&headers, &"/api/incidents".parse().unwrap(), None).unwrap()
    };
    assert!(access.may_answer(&as_of(&[APPROVERS])));
    assert!(!access.may_answer(&as_of(&[DBAS])));
    let open = Access::Open { here_only: false };
    let reader = open.admit(&reqwest::header::HeaderMap::new(), &"/".parse().unwrap(), None).unwrap();
    assert_eq!(reader.how, How::Open);
    assert!(!open.may_answer(&reader) && !access.may_answer(&reader));
}
