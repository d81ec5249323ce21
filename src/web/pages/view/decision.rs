//! The question that waits for a person: what is asked, what exactly would change, until when, under which code.
//!
//! [`slot`] is where it is answered.

use jiff::Timestamp;

use super::clock::left;
use super::face::{Face, own_sections};
use super::parts::{parts, sections};
use crate::domain::incident::{Approval, Incident};
use crate::domain::notice::Notice;
use crate::notify::texts::clocks::clock;
use crate::notify::texts::message::Section;
use crate::notify::texts::plan_sentence;
use crate::web::App;
use crate::web::pages::access::Reader;
use crate::web::pages::answers::form;
use crate::web::pages::html::{Html, line, text};
use crate::web::pages::standing::open_question;

/// The section of the message that says how to answer.
const HOW: &str = "Your decision";

/// What whoever makes the answer's form is given.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Of which incident.
    pub incident: &'a Incident,
    /// The question.
    pub approval: &'a Approval,
    /// Who reads the page.
    pub reader: &'a Reader,
    /// The house.
    pub app: &'a App,
    /// When.
    pub now: Timestamp,
    /// How to answer without a form, as the message says it.
    pub by_command: Option<Section>,
}

/// The box, if a question is open.
#[must_use]
pub fn card(
    incident: &Incident,
    notice: &Notice,
    face: &Face,
    reader: &Reader,
    app: &App,
    now: Timestamp,
) -> Option<Html> {
    let approval = open_question(incident)?;
    let (how, rest): (Vec<Section>, Vec<Section>) =
        own_sections(face, notice).into_iter().partition(|section| section.title == Some(HOW));
    let asked = Asked { incident, approval, reader, app, now, by_command: how.into_iter().next() };
    let inside = Html::default()
        .element("h2", text("Decision needed"))
        .element("p class=\"question\"", line(&plan_sentence(&approval.plan).say("?")))
        .html(until(approval, now))
        .html(sections(&rest))
        .element("p class=\"unanswered\"", line(&face.next))
        .raw("<div id=\"answer\" class=\"answer\">")
        .html(slot(&asked))
        .raw("</div>");
    Some(Html::default().element("section class=\"card decision\" aria-label=\"Decision needed\"", inside))
}

fn until(approval: &Approval, now: Timestamp) -> Html {
    let by = if approval.answer_by > now {
        Html::default()
            .text(clock(approval.answer_by, now))
            .text(" (")
            .html(left(approval.answer_by, now))
            .text(" left)")
    } else {
        Html::default().text(format!("{}: it is later now", clock(approval.answer_by, now)))
    };
    let code: String = approval.plan_hash.chars().take(8).collect();
    let pairs = Html::default()
        .raw("<div>")
        .element("dt", text("Answer by"))
        .element("dd", by)
        .raw("</div><div>")
        .element("dt", text("Code of the plan"))
        .element("dd class=\"code\"", text(code))
        .raw("</div>");
    Html::default().element("dl class=\"pair\"", pairs)
}

/// Where the question is answered. A form that is put here carries `data-keep` with the plan's hash: what somebody typed
/// into it then outlives the page's renewal as long as the question is the same.
fn slot(asked: &Asked<'_>) -> Html {
    let form = form::question(asked.incident, asked.approval, asked.reader, asked.app, asked.now);
    let by_command = asked.by_command.as_ref().map(|section| {
        let inside = Html::default()
            .raw("<summary>Answer without this page</summary>")
            .html(parts(section.parts.get(1..).unwrap_or_default()));
        Html::default().element("details class=\"inner\" data-fold=\"answer-by-command\"", inside)
    });
    Html::default().element("h3", text(HOW)).html(form).maybe(by_command)
}
