//! Which databases it is about, by server, and which of them are down.

use crate::domain::incident::{Incident, Member};
use crate::notify::links::Links;
use crate::notify::texts::words::{clean, count};
use crate::web::pages::html::{Html, text};

/// Databases of a server that are named before the rest is folded …
const NAMED: usize = 12;
/// … and so many at most.
const MOST_NAMES: usize = 100;
/// With more servers, each has one line.
const FEW_SERVERS: usize = 8;
/// So many servers have a line.
const MOST_SERVERS: usize = 150;
/// Of so many servers a line names databases; the others count them.
const NAMING: usize = 60;

/// The card, once a server is known.
#[must_use]
pub fn card(incident: &Incident, links: &Links) -> Option<Html> {
    if incident.members.is_empty() {
        return None;
    }
    let (down, all) = incident.down_of_all();
    let heading = match (all, down, incident.ended_at.is_some()) {
        (0, ..) => "Servers".to_owned(),
        (1, 1, _) => "1 database, and it is down".to_owned(),
        (all, 0, true) => count(all, "database was affected", "databases were affected"),
        (all, down, _) => format!("{}, {down} down", count(all, "database", "databases")),
    };
    // The worst first.
    let mut members: Vec<&Member> = incident.members.values().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.inaccessible.len()));
    let inside = if members.len() <= FEW_SERVERS {
        Html::default().each(members, |member| in_full(member, links))
    } else {
        crowd(&members)
    };
    let inside = Html::default().element("h2", text(heading)).html(inside);
    Some(Html::default().element("section class=\"card\" aria-label=\"Databases\"", inside))
}

/// A database and how it is. Nothing is called up that was not looked at.
fn database(member: &Member, name: &str) -> Html {
    let (class, word) = match (member.inaccessible.contains(name), member.observed_at.is_some()) {
        (true, _) => ("mark bad", "DOWN"),
        (false, true) => ("mark ok", "NOT DOWN"),
        (false, false) => ("mark unk", "NOT LOOKED AT YET"),
    };
    Html::default()
        .raw("<li")
        .attribute("class", class)
        .raw("><b class=\"word\">")
        .raw(word)
        .raw("</b> <span>")
        .text(clean(name, 128))
        .raw("</span></li>")
}

/// All names, those that are down first.
fn names(member: &Member) -> Vec<&String> {
    let up = member.databases.difference(&member.inaccessible);
    member.inaccessible.iter().chain(up).collect()
}

fn in_full(member: &Member, links: &Links) -> Html {
    let names = names(member);
    let (shown, rest) = names.split_at(names.len().min(NAMED));
    let list = |names: &[&String]| {
        Html::default().element("ul class=\"marks names\"", Html::default().each(names, |name| database(member, name)))
    };
    let more = (!rest.is_empty()).then(|| {
        let (listed, left) = rest.split_at(rest.len().min(MOST_NAMES));
        Html::default()
            .raw("<details")
            .attribute("data-fold", member.server.key())
            .raw("><summary>")
            .text(format!("{} more", rest.len()))
            .raw("</summary>")
            .html(list(listed))
            .maybe((!left.is_empty()).then(|| {
                let said = format!("and {} more, which are in the JSON of this page", left.len());
                Html::default().element("p class=\"soft\"", text(said))
            }))
            .raw("</details>")
    });
    let none =
        names.is_empty().then(|| Html::default().element("p class=\"soft\"", text("None named, none seen down.")));
    Html::default()
        .raw("<h3><a rel=\"noreferrer\"")
        .attribute("href", links.resource(&member.server))
        .raw(">")
        .text(clean(member.server.name(), 80))
        .raw("</a></h3>")
        .maybe(none)
        .maybe((!shown.is_empty()).then(|| list(shown)))
        .maybe(more)
}

/// A line each.
fn crowd(members: &[&Member]) -> Html {
    let (shown, rest) = members.split_at(members.len().min(MOST_SERVERS));
    let rows = Html::default().each(shown.iter().enumerate(), |(place, member)| line(place, member));
    let table = Html::default()
        .raw("<table><thead><tr><th scope=\"col\">Server</th><th scope=\"col\">Down</th><th scope=\"col\">Databases</th></tr></thead>")
        .element("tbody", rows)
        .raw("</table>");
    Html::default()
        .raw("<details data-fold=\"servers\"><summary>")
        .text(format!("{} by name", count(members.len(), "server", "servers")))
        .raw("</summary>")
        .html(table)
        .maybe((!rest.is_empty()).then(|| {
            let said = format!("and {} more servers, which are in the JSON of this page", rest.len());
            Html::default().element("p class=\"soft\"", text(said))
        }))
        .raw("</details>")
}

fn line(place: usize, member: &Member) -> Html {
    let names = names(member);
    let few = if place < NAMING { NAMED } else { 0 };
    let shown: Vec<String> = names.iter().take(few).map(|name| clean(name, 40)).collect();
    let said = match (shown.is_empty(), names.len() - shown.len()) {
        (true, 0) => String::new(),
        (true, all) => all.to_string(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    };
    Html::default()
        .raw("<tr><th scope=\"row\">")
        .text(clean(member.server.name(), 80))
        .raw("</th><td>")
        .text(format!("{} of {}", member.inaccessible.len(), names.len()))
        .raw("</td><td>")
        .text(said)
        .raw("</td></tr>")
}
