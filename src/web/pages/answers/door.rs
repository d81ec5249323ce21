//! `POST /api/incidents/{id}/answer`.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use jiff::Timestamp;

use super::origin;
use super::outcome::{Outcome, page};
use super::ticket::{Answers, May, person};
use crate::domain::incident::{Incident, IncidentId};
use crate::notify::signed_link::Claim;
use crate::responder::answer::{Answer, By, NotKept, keep};
use crate::web::App;
use crate::web::pages::access::{How, Reader};
use crate::web::pages::refused;
use crate::web::pages::reply::Reply;

/// What stands behind an incident's address.
pub(in crate::web::pages) const ANSWER: &str = "/answer";
/// The longest form, in bytes.
const LONGEST: usize = 16 * 1024;

/// What a form said.
#[derive(Debug, Default)]
struct Form {
    ticket: String,
    answer: String,
    why: String,
    server: String,
    sure: bool,
}

/// Takes an answer.
pub(in crate::web::pages) async fn take(app: &App, id: &str, headers: &HeaderMap, uri: &Uri, body: Body) -> Response {
    let reply = Reply::new(headers, uri);
    let reader = match app.pages.access.admit(headers, uri, Some(id)) {
        Ok(reader) => reader,
        Err(why) => return refused::refused(&reply, &why),
    };
    let outcome = match decide(app, id, headers, &reader, body).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    tracing::info!(incident = %id.escape_default(), reader = %reader.name.escape_debug(), ?outcome, "an answer was given");
    page(&reply, id, &reader, &outcome)
}

async fn decide(app: &App, id: &str, headers: &HeaderMap, reader: &Reader, body: Body) -> Result<Outcome, Outcome> {
    if !origin::is_ours(headers, app.pages.url.as_ref()) {
        return Err(Outcome::NotFromHere);
    }
    let form = read(headers, body).await?;
    let answers = app.pages.answers.as_ref().ok_or(Outcome::MayNot(May::Nobody))?;
    let now = app.clock.now();
    let claim = claimed(answers, &form, id, reader, now)?;
    let weak = match app.pages.may(reader, claim.plan.as_deref(), now) {
        May::Answer { weak } => weak,
        other => return Err(Outcome::MayNot(other)),
    };
    let incident = IncidentId(id.to_owned());
    let (stored, _) =
        app.store.incident(&incident).await.map_err(|_| Outcome::StoreFails)?.ok_or(Outcome::NoIncident)?;
    if weak && !names_server(&form.server, &stored) {
        return Err(Outcome::NameMissing);
    }
    let answer = answer_of(&form, claim.plan.is_some())?;
    let by = By { name: name(reader), way: "on the incident's page" };
    let kept = keep(&*app.store, &app.clock, &incident, &answer, &by, claim.plan.as_deref(), claim.form.as_deref());
    match kept.await {
        Ok(said) => {
            app.wake.now(&app.clock);
            Ok(Outcome::Recorded { what: said.what, by: said.by, at: said.at })
        }
        Err(NotKept::Refused(refusal)) => Err(Outcome::refused(refusal, &answer, &by)),
        Err(NotKept::NotFound(_)) => Err(Outcome::NoIncident),
        Err(NotKept::Busy | NotKept::Store(_)) => Err(Outcome::StoreFails),
    }
}

/// The form's ticket: ours, for this incident and this reader, and not too old.
fn claimed(answers: &Answers, form: &Form, id: &str, reader: &Reader, now: Timestamp) -> Result<Claim, Outcome> {
    let claim = answers.keys.read(&form.ticket, now).map_err(|_| Outcome::BadTicket)?;
    let for_them = claim.form.is_some() && claim.reader.as_deref() == Some(person(reader).as_str());
    if claim.incident.0 != id || !for_them {
        return Err(Outcome::BadTicket);
    }
    if claim.is_over(now) { Err(Outcome::OldTicket) } else { Ok(claim) }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Form, Outcome> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded";
    let bytes = to_bytes(body, LONGEST).await.map_err(|_| Outcome::NoForm)?;
    if !is_form {
        return Err(Outcome::NoForm);
    }
    let mut form = Form::default();
    for (name, value) in url::form_urlencoded::parse(&bytes) {
        let place = match &*name {
            "ticket" => &mut form.ticket,
            "answer" => &mut form.answer,
            "why" => &mut form.why,
            "server" => &mut form.server,
            "sure" => {
                form.sure = value == "yes";
                continue;
            }
            _ => return Err(Outcome::NoForm),
        };
        if !place.is_empty() {
            return Err(Outcome::NoForm);
        }
        *place = value.into_owned();
    }
    Ok(form)
}

/// What the form wants. The forms of a question can do all but release.
fn answer_of(form: &Form, about_plan: bool) -> Result<Answer, Outcome> {
    let why = Some(form.why.trim().to_owned()).filter(|why| !why.is_empty());
    match form.answer.as_str() {
        "approve" if about_plan && !form.sure => Err(Outcome::NotSure),
        "approve" if about_plan => Ok(Answer::Approve { code: None }),
        "reject" if about_plan => Ok(Answer::Reject { code: None, why }),
        "hold" => Ok(Answer::Hold { why, taken_over: false }),
        "take_over" => Ok(Answer::Hold { why, taken_over: true }),
        "release" => Ok(Answer::Release { why }),
        _ => Err(Outcome::NoForm),
    }
}

fn names_server(typed: &str, incident: &Incident) -> bool {
    incident.servers().any(|server| server.name().eq_ignore_ascii_case(typed.trim()))
}

fn name(reader: &Reader) -> String {
    match reader.how {
        How::SignedIn => reader.name.clone(),
        How::Link => "somebody with the link of a message".to_owned(),
        How::Open => "somebody at this machine".to_owned(),
    }
}
