//! One incident: the most urgent first, so that the top of a phone's screen is enough.
//!
//! | file | card |
//! |---|---|
//! | [`face`] | the phase, the headline, what it means |
//! | [`clock`] | what is left, and since when |
//! | [`decision`] | the question that waits for a person |
//! | `cause` | what is wrong, who did it, how we know; `picture`: the chain drawn |
//! | `changes` | what was changed from what to what |
//! | `by_hand` | what to do without Keymend |
//! | `databases` | which are down |
//! | `story` | the timeline, and the messages that were sent |
//! | `evidence` | ids and everything that was read |
//! | [`parts`] | sections of a message as HTML |

mod by_hand;
mod cause;
mod changes;
pub mod clock;
mod databases;
pub mod decision;
mod evidence;
pub mod face;
pub mod parts;
mod picture;
mod story;

use jiff::Timestamp;

use super::access::{How, Reader};
use super::answers::form;
use super::html::{Html, line, text};
use super::shell::{Pace, Page};
use super::site::Deliveries;
use super::standing::standing;
use crate::domain::incident::Incident;
use crate::domain::notice::Notice;
use crate::notify::links::Links;
use crate::notify::texts::message::{Link, Section};
use crate::web::App;
use face::{Face, own_sections};

/// The page of one incident.
pub(super) fn page(
    incident: &Incident,
    told: &Deliveries,
    app: &App,
    reader: &Reader,
    json: &str,
    now: Timestamp,
) -> Page {
    let notice = standing(incident, now);
    let face = Face::of(incident, &notice);
    let links = &app.pages.links;
    let decision = decision::card(incident, &notice, &face, reader, app, now);
    // On top where somebody holds it; below where nobody does.
    let hold =
        if decision.is_some() && incident.hold.is_none() { None } else { form::hold(incident, reader, app, now) };
    let (hold_above, hold_below) = if incident.hold.is_some() { (hold, None) } else { (None, hold) };
    let main = banner(incident, &notice, &face, now)
        .maybe(hold_above)
        .html(decision.unwrap_or_else(|| now_card(&notice, &face)))
        .html(shortcuts(&notice, links))
        .maybe(cause::card(incident, &notice))
        .maybe(changes::card(incident, &notice))
        .maybe(by_hand::card(incident, &notice))
        .maybe(hold_below)
        .maybe(databases::card(incident, links))
        .html(story::timeline(incident))
        .maybe(story::told(incident, told, now))
        .html(evidence::card(incident, &notice, json));
    Page {
        title: format!("{}: {} · Keymend", face.banner, face.headline),
        status: format!("{}. {}", face.banner, face.headline),
        pace: pace(incident),
        to_list: reader.how != How::Link,
        reader: reader.name.clone(),
        main,
    }
}

fn pace(incident: &Incident) -> Pace {
    match incident.ended_at {
        None => Pace::Live,
        Some(_) if incident.is_restoring() => Pace::Live,
        Some(_) => Pace::Slow,
    }
}

fn banner(incident: &Incident, notice: &Notice, face: &Face, now: Timestamp) -> Html {
    let inside = Html::default()
        .element("p class=\"phase\"", text(&face.banner))
        .element("h1", line(&face.headline))
        .element("p class=\"meaning\"", line(&face.meaning));
    Html::default()
        .raw("<section")
        .attribute("class", format!("banner {}", face.tone))
        .raw(">")
        .html(inside)
        .html(clock::card(incident, notice, now))
        .raw("</section>")
}

/// What is to be done, for those who are called.
const TO_DO: &str = "Do this";

/// What is wanted of whoever reads it, and what happens now.
fn now_card(notice: &Notice, face: &Face) -> Html {
    let (todo, rest): (Vec<Section>, Vec<Section>) =
        own_sections(face, notice).into_iter().partition(|section| section.title == Some(TO_DO));
    let next = (!face.next.is_empty()).then(|| {
        let heading = if todo.is_empty() { "h2" } else { "h3" };
        Html::default().element(heading, text("What happens next")).element("p class=\"next\"", line(&face.next))
    });
    if todo.is_empty() && rest.is_empty() && next.is_none() {
        return Html::default();
    }
    let inside = match todo.first() {
        Some(todo) => Html::default()
            .element("h2", text(TO_DO))
            .html(parts::parts(&todo.parts))
            .html(parts::sections(&rest))
            .maybe(next),
        None => Html::default().maybe(next).html(parts::sections(&rest)),
    };
    Html::default().element("section class=\"card now\" aria-label=\"Now\"", inside)
}

/// Into the portal, and to the team's own instructions.
fn shortcuts(notice: &Notice, links: &Links) -> Html {
    let all = crate::notify::texts::message(notice).links;
    // This very page is no way elsewhere.
    let elsewhere = all.iter().filter(|link| !matches!(link, Link::Incident { .. } | Link::Decide { .. }));
    let known = elsewhere.filter_map(|link| Some((link.title(), name(link), links.url(link)?)));
    let items = Html::default().each(known, |(title, name, url)| {
        Html::default()
            .raw("<a rel=\"noreferrer\"")
            .attribute("href", url)
            .raw(">")
            .text(title)
            .maybe(name.map(|name| Html::default().raw(" <span>").text(name).raw("</span>")))
            .raw("</a>")
    });
    if items.is_empty() {
        return items;
    }
    Html::default().element("nav class=\"shortcuts\" aria-label=\"Elsewhere\"", items)
}

fn name(link: &Link) -> Option<&str> {
    match link {
        Link::Database(id) | Link::Server(id) | Link::Vault(id) => Some(id.name()),
        Link::Runbook | Link::Incident { .. } | Link::Decide { .. } => None,
    }
}
