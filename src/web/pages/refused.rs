//! Pages that say why there is no other one, and what to do now.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

use super::access::{How, Reader, Refusal};
use super::html::{Html, text};
use super::reply::Reply;
use super::shell::{Pace, Page};

/// After how many seconds to try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

fn page(title: &str, to_list: bool, inside: Html) -> Page {
    let main = Html::default()
        .element("section class=\"card plain\"", Html::default().element("h1", text(title)).html(inside));
    Page { title: title.to_owned(), status: title.to_owned(), pace: Pace::Never, to_list, reader: String::new(), main }
}

pub(super) fn paragraphs(lines: &[&str]) -> Html {
    Html::default().each(lines, |one| Html::default().element("p", text(one)))
}

/// Why somebody may not see a page.
pub(super) fn refused(reply: &Reply, why: &Refusal) -> Response {
    let by_hand = "Who has a shell where Keymend runs reads the same with: keymend incidents list";
    let (status, title, lines): (StatusCode, &str, Vec<String>) = match why {
        Refusal::Off => (
            StatusCode::FORBIDDEN,
            "The pages are switched off",
            vec![
                "Nobody was said to be allowed to see them. Say who in keymend.toml under [pages], or in the app setting \
                 KEYMEND_PAGES_ACCESS; docs/pages.md tells how."
                    .to_owned(),
            ],
        ),
        Refusal::NotHere => (
            StatusCode::FORBIDDEN,
            "These pages are for this machine alone",
            vec![
                "Keymend listens on this machine only, and what was asked for came under another name or through a proxy. \
                 Open it as http://localhost, or say in keymend.toml under [pages] who else may see it."
                    .to_owned(),
            ],
        ),
        Refusal::Unchecked => (
            StatusCode::FORBIDDEN,
            "Sign-in is wanted, and nobody checks it",
            vec![
                "The settings ask for sign-in by the platform (App Service Authentication), and it is not known to be on \
                 here. Switch it on, with Entra ID, and require it for everything but the alerts; docs/pages.md tells how."
                    .to_owned(),
            ],
        ),
        Refusal::NotSignedIn => (
            StatusCode::UNAUTHORIZED,
            "Sign in first",
            vec![
                "You are not signed in. Open /.auth/login/aad on this host, sign in, and come back.".to_owned(),
                "If you are sent here again, App Service Authentication does not cover this path; docs/pages.md tells how \
                 it must be set up."
                    .to_owned(),
            ],
        ),
        Refusal::Principal(unreadable) => (
            StatusCode::FORBIDDEN,
            "Your sign-in cannot be read",
            vec![
                format!("The platform says who you are in a form that Keymend cannot read: {unreadable}."),
                "Sign out (/.auth/logout) and in again. If that does not help, whoever set up the sign-in must look at it."
                    .to_owned(),
            ],
        ),
        Refusal::NotAllowed { name, too_many_groups } => (
            StatusCode::FORBIDDEN,
            "You may not see this",
            vec![
                format!("You are signed in as {name}, and none of your groups or roles is named under [pages]."),
                if *too_many_groups {
                    "You are in more groups than a sign-in can name, so Keymend sees none of them. Ask for an app role \
                     instead: docs/pages.md tells how."
                        .to_owned()
                } else {
                    "Ask whoever runs Keymend to name one of them under [pages] readers, or to add you to a group that is."
                        .to_owned()
                },
            ],
        ),
        Refusal::NoLink => (
            StatusCode::FORBIDDEN,
            "Follow the link in the message",
            vec!["Incidents are seen here only by the link in a message about them; there is no list.".to_owned()],
        ),
        Refusal::BadLink => (
            StatusCode::FORBIDDEN,
            "This link does not open this incident",
            vec![
                "It was changed, is for another incident, or is too old. Follow the link in the newest message.".to_owned(),
            ],
        ),
    };
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain([by_hand]).collect();
    tracing::info!(?why, "somebody was not shown a page");
    reply.refusal(status, title, &page(title, false, paragraphs(&lines)))
}

/// There is no such incident.
pub(super) fn no_incident(reply: &Reply, id: &str, reader: &Reader) -> Response {
    let shown: String = id.chars().take(60).collect();
    let inside = Html::default()
        .element("p", text(format!("No incident is called {shown}.")))
        .html(paragraphs(&["Ids look like km-20261124-0207-7f3k. Was the end of the address cut off in a message?"]));
    let title = "There is no such incident";
    reply.refusal(StatusCode::NOT_FOUND, title, &page(title, reader.how != How::Link, inside))
}

/// There is nothing at that path.
pub(super) fn nothing_here(headers: &HeaderMap, uri: &Uri) -> Response {
    let title = "There is nothing here";
    Reply::new(headers, uri).refusal(StatusCode::NOT_FOUND, title, &page(title, true, Html::default()))
}

/// The store does not answer.
pub(super) fn store_fails(reply: &Reply) -> Response {
    let title = "Keymend cannot read its store";
    let lines = paragraphs(&[
        "What is known of incidents cannot be read just now. This page is tried again in a moment; the log says why.",
        "Whether Keymend itself works is told at /api/health.",
    ]);
    let mut sad = page(title, false, lines);
    sad.pace = Pace::Live;
    let mut response = reply.refusal(StatusCode::SERVICE_UNAVAILABLE, title, &sad);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// The front page.
pub(super) fn front() -> Response {
    let inside = Html::default()
        .element("p", text("Keymend repairs lost access of Azure SQL to its encryption key, and says what it did."))
        .raw("<p><a class=\"button\" href=\"/api/incidents\">See the incidents</a></p>");
    let reply = Reply::new(&HeaderMap::new(), &Uri::from_static("/"));
    reply.refusal(StatusCode::OK, "Keymend", &page("Keymend", false, inside))
}
