//! The pages that people read: the list of incidents, and one incident.
//!
//! | file | job |
//! |---|---|
//! | [`access`] | who may see them; [`principal`]: who signed in |
//! | [`site`] | what the pages know of the house |
//! | [`standing`] | an incident as the message that would be sent now: all sentences are those of the messages |
//! | [`html`] | markup in which nothing is unescaped |
//! | `shell` | the document around every page; `assets`: style and script |
//! | `list`, `filter` | the list, and what of it is shown |
//! | `view` | one incident, a file a card |
//! | `refused` | pages that say why there is none, and what to do |
//! | `reply` | headers, ETag, 304, JSON or HTML |
//!
//! Everything works without the script, which only swaps `<main>` for the newer one, lets clocks tick and adds buttons that
//! copy. Nothing is changed by looking; [`answers`] is the only door that takes an answer.

pub mod access;
pub mod answers;
mod assets;
mod filter;
pub mod html;
mod list;
pub mod principal;
mod refused;
mod reply;
mod shell;
pub mod site;
pub mod standing;
pub mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get};

pub use access::{Access, How, Reader, Readers, Refusal, SignIn, Signed};
pub use answers::Answers;
pub use site::Site;

use super::App;
use crate::domain::incident::IncidentId;
use reply::Reply;
pub(super) use reply::accepts;

/// Where the list is; an incident is one below it.
pub(super) const INCIDENTS: &str = "/api/incidents";
const ASSETS: &str = "/api/assets/";

/// The routes.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(INCIDENTS, get(answer))
        .route("/api/incidents/", get(answer))
        .route("/api/incidents/{id}", get(answer))
        .route("/api/incidents/{id}/answer", any(answer))
        .route("/api/assets/{name}", get(answer))
}

/// Whether a path is one of the pages', as the Functions host compares it: in any case.
pub(super) fn is_page(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path == INCIDENTS || path.starts_with("/api/incidents/") || path.starts_with(ASSETS)
}

/// Answers `GET` and `HEAD` of any of them, and takes answers by `POST`.
pub(super) async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if let Some(id) = answered(head.uri.path()) {
        if head.method == Method::POST {
            return answers::take(&app, &id, &head.headers, &head.uri, body).await;
        }
        let why = "an answer is sent by the form on the incident's page; this path takes POST alone";
        return super::answer::refuse(StatusCode::METHOD_NOT_ALLOWED, why);
    }
    if head.method != Method::GET && head.method != Method::HEAD {
        let why = "pages are only read: this path takes GET and HEAD";
        return super::answer::refuse(StatusCode::METHOD_NOT_ALLOWED, why);
    }
    let path = head.uri.path().to_ascii_lowercase();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let response = match path.strip_prefix(ASSETS) {
        Some(name) => assets::answer(name).unwrap_or_else(|| refused::nothing_here(&head.headers, &head.uri)),
        None => page(&app, path, &head.headers, &head.uri).await,
    };
    if head.method == Method::HEAD { without_body(response) } else { response }
}

/// The incident that a path takes an answer for.
fn answered(path: &str) -> Option<String> {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let id = path.strip_prefix(INCIDENTS)?.strip_prefix('/')?.strip_suffix(answers::ANSWER)?;
    (!id.is_empty() && !id.contains('/')).then(|| id.to_owned())
}

/// The front page for a browser: where to go from here.
pub(super) fn front() -> Response {
    refused::front()
}

async fn page(app: &App, path: &str, headers: &HeaderMap, uri: &Uri) -> Response {
    let reply = Reply::new(headers, uri);
    let id = path.strip_prefix(INCIDENTS).unwrap_or_default().trim_start_matches('/');
    let wanted = (!id.is_empty()).then_some(id);
    let reader = match app.pages.access.admit(headers, uri, wanted) {
        Ok(reader) => reader,
        Err(why) => return refused::refused(&reply, &why),
    };
    let answered = match wanted {
        None => list::answer(app, &reply, &reader, uri).await,
        Some(id) => incident(app, &reply, &reader, id).await,
    };
    answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be made: the store does not answer");
        refused::store_fails(&reply)
    })
}

async fn incident(app: &App, reply: &Reply, reader: &Reader, id: &str) -> crate::store::Result<Response> {
    let now = app.clock.now();
    let Some((incident, _)) = app.store.incident(&IncidentId(id.to_owned())).await? else {
        return Ok(refused::no_incident(reply, id, reader));
    };
    if reply.json {
        return Ok(reply.document(&incident.document(now)));
    }
    let told = app.pages.deliveries(&*app.store, &incident).await;
    Ok(reply.page(&view::page(&incident, &told, app, reader, &reply.json_address(), now), now))
}

fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = axum::body::HttpBody::size_hint(&body).exact() {
        head.headers.insert(axum::http::header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, axum::body::Body::empty())
}
