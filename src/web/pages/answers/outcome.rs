//! What came of an answer, for the person who gave it.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::ticket::May;
use crate::notify::texts::clocks::date_and_clock;
use crate::responder::answer::{Answer, By, Refusal};
use crate::web::pages::access::{How, Reader};
use crate::web::pages::html::{Html, text};
use crate::web::pages::refused::paragraphs;
use crate::web::pages::reply::Reply;
use crate::web::pages::shell::{Pace, Page};

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Recorded {
        what: &'static str,
        by: String,
        at: Timestamp,
    },
    /// The same person gave the same answer before.
    Before {
        what: &'static str,
        by: String,
        at: Timestamp,
    },
    NotFromHere,
    NoForm,
    NotSure,
    NameMissing,
    BadTicket,
    OldTicket,
    MayNot(May),
    NoIncident,
    StoreFails,
    Refused(Refusal),
}

impl Outcome {
    /// A refusal; the second press of the same button is none.
    pub fn refused(refusal: Refusal, answer: &Answer, by: &By) -> Self {
        match (&refusal, answer) {
            (Refusal::Decided { approved: true, by: first, at }, Answer::Approve { .. }) if *first == by.name => {
                Self::Before { what: "approved", by: first.clone(), at: *at }
            }
            (Refusal::Decided { approved: false, by: first, at }, Answer::Reject { .. }) if *first == by.name => {
                Self::Before { what: "rejected", by: first.clone(), at: *at }
            }
            (Refusal::Held { by: first, at, .. }, Answer::Hold { .. }) if *first == by.name => {
                Self::Before { what: "held", by: first.clone(), at: *at }
            }
            _ => Self::Refused(refusal),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Recorded { .. } | Self::Before { .. } => StatusCode::OK,
            Self::NoForm | Self::NotSure => StatusCode::BAD_REQUEST,
            Self::NotFromHere | Self::NameMissing | Self::BadTicket | Self::MayNot(_) => StatusCode::FORBIDDEN,
            Self::OldTicket | Self::Refused(Refusal::RanOut { .. } | Refusal::SettingsRanOut { .. }) => {
                StatusCode::GONE
            }
            Self::NoIncident => StatusCode::NOT_FOUND,
            Self::StoreFails => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(_) => StatusCode::CONFLICT,
        }
    }

    /// A title, and what it means and what to do now.
    fn words(&self) -> (String, Vec<String>) {
        let say = |title: &str, lines: &[&str]| (title.to_owned(), lines.iter().map(|&one| one.to_owned()).collect());
        let nothing = "Nothing was changed by what you sent.";
        match self {
            Self::Recorded { what, by, at } | Self::Before { what, by, at } => {
                let again = matches!(self, Self::Before { .. });
                let title = if again { format!("Already {what}") } else { capital(what) };
                let who = format!("{what} by {by} at {}.", date_and_clock(*at));
                (title, vec![capital(&who), next(what).to_owned()])
            }
            Self::NotFromHere => say(
                "This did not come from Keymend's own page",
                &[nothing, "An answer is given on the incident's page, in a browser. Open it, and answer there."],
            ),
            Self::NoForm => say("This is no answer that Keymend knows", &[nothing, "Answer on the incident's page."]),
            Self::NotSure => say(
                "The box is not ticked",
                &[nothing, "Read what exactly will change, tick the box beside it, and approve again."],
            ),
            Self::NameMissing => say(
                "The server's name is missing",
                &[nothing, "Nobody signs in here, so the server's name has to be typed, as the page shows it."],
            ),
            Self::BadTicket => say(
                "This answer cannot be believed",
                &[
                    nothing,
                    "It was made for somebody else, for another incident, or was changed. Open the incident anew.",
                ],
            ),
            Self::OldTicket => say(
                "This page was open for too long",
                &[nothing, "Much can have changed since. Open the incident anew, look, and answer then."],
            ),
            Self::MayNot(May::NotYou) => say(
                "You may read this and not decide",
                &[nothing, "Somebody of the groups named under [pages] approvers can."],
            ),
            Self::MayNot(May::OtherLink | May::LateLink) => say(
                "This link does not count for this question any more",
                &[nothing, "Follow the link in the newest message."],
            ),
            Self::MayNot(_) => say(
                "Nothing can be decided in a browser here",
                &[nothing, "Whoever has a shell where Keymend runs decides with: keymend incidents approve ID"],
            ),
            Self::NoIncident => say("There is no such incident", &[nothing]),
            Self::StoreFails => say(
                "Your answer could not be kept",
                &[nothing, "Keymend's store does not answer, or was busy. Go back and try again."],
            ),
            Self::Refused(refusal) => refused(refusal, nothing),
        }
    }
}

fn refused(refusal: &Refusal, nothing: &str) -> (String, Vec<String>) {
    let (title, why) = match refusal {
        Refusal::Decided { approved, by, at } => {
            let what = if *approved { "approved" } else { "rejected" };
            (format!("It was {what} already"), format!("By {by} at {}. A decision stands.", date_and_clock(*at)))
        }
        Refusal::Changed { waits, .. } | Refusal::OtherCode { waits, .. } => (
            "The situation changed while you looked".to_owned(),
            format!(
                "Another plan waits now, with the code {waits}. A new request was sent; look at it before you answer."
            ),
        ),
        Refusal::RanOut { at, .. } => (
            "It is too late for this question".to_owned(),
            format!("It ran out at {}. If a repair still makes sense, a new request was sent.", date_and_clock(*at)),
        ),
        Refusal::SettingsRanOut { at, .. } => (
            "It is too late for this question".to_owned(),
            format!(
                "It ran out at {}. The settings stay as they are; the page says how to put them back.",
                date_and_clock(*at)
            ),
        ),
        Refusal::Ended { at, why, .. } => {
            ("The incident is over".to_owned(), format!("It ended at {}: {why}", date_and_clock(*at)))
        }
        Refusal::NothingAsked { phase, .. } => {
            ("Nothing waits for an answer".to_owned(), format!("The incident is {phase}."))
        }
        Refusal::Held { by, at, .. } => (
            format!("{by} holds this incident"),
            format!("Since {}. Nothing is changed before it is released.", date_and_clock(*at)),
        ),
        Refusal::NotHeld { .. } => {
            ("Nobody holds this incident".to_owned(), "So there is nothing to release.".to_owned())
        }
        Refusal::Repeated => {
            ("This was sent before".to_owned(), "A form counts once. Open the incident anew.".to_owned())
        }
        Refusal::NoReason => ("A reason is missing".to_owned(), "Say why.".to_owned()),
    };
    (title, vec![why, nothing.to_owned()])
}

fn next(what: &str) -> &'static str {
    match what {
        "approved" => {
            "Before anything is sent, Keymend looks again: only this very plan may run, once. The team is told of each step."
        }
        "rejected" => "Nothing is changed. The incident stays open and is watched.",
        "held" | "taken over" => {
            "Keymend watches and changes nothing until the incident is released. The team is told."
        }
        _ => "Keymend goes on from what it sees now.",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The page that says it.
pub(super) fn page(reply: &Reply, id: &str, reader: &Reader, outcome: &Outcome) -> Response {
    let (title, lines) = outcome.words();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let back = (!matches!(outcome, Outcome::NoIncident)).then(|| {
        Html::default()
            .raw("<p><a class=\"button\"")
            .attribute("href", format!("/api/incidents/{id}{}", reply.link_query()))
            .raw(">Back to the incident</a></p>")
    });
    let inside = Html::default().element("h1", text(&title)).html(paragraphs(&lines)).maybe(back);
    let page = Page {
        title: format!("{title} · Keymend"),
        status: title.clone(),
        pace: Pace::Never,
        to_list: reader.how != How::Link,
        reader: reader.name.clone(),
        main: Html::default().element("section class=\"card plain\"", inside),
    };
    reply.refusal(outcome.status(), &title, &page)
}
