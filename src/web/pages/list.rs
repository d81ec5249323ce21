//! The list of incidents.

use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use super::access::Reader;
use super::filter::{Filter, ON_A_PAGE, SEARCHED, Show};
use super::html::{Html, line, text};
use super::reply::Reply;
use super::shell::{Pace, Page};
use super::standing::{open_question, standing};
use super::view::clock::{since, time, until};
use super::view::face::Face;
use crate::domain::incident::Incident;
use crate::notify::texts::clocks::{date_and_clock, length};
use crate::notify::texts::words::count;
use crate::store::Result;
use crate::web::App;

/// Answers with the list.
pub(super) async fn answer(app: &App, reply: &Reply, reader: &Reader, uri: &Uri) -> Result<Response> {
    let (filter, now) = (Filter::of(uri), app.clock.now());
    // Whatever is open is always read, however much has happened since it was opened.
    let open = app.store.incidents(true, SEARCHED).await?;
    let past = match filter.show {
        Show::Open => Vec::new(),
        Show::Past | Show::All => app.store.incidents(false, filter.reads(open.len())).await?,
    };
    let cut = past.len() >= SEARCHED || open.len() >= SEARCHED;
    let past = past.into_iter().filter(|incident| incident.ended_at.is_some() && filter.takes(incident));
    let mut found: Vec<Incident> = open.iter().filter(|incident| filter.takes(incident)).cloned().collect();
    if reply.json {
        let found: Vec<_> = found.into_iter().chain(past).map(|incident| incident.summary(now)).collect();
        return Ok(reply.document(&json!(found)));
    }
    let mut past: Vec<Incident> = past.skip((filter.page - 1) * ON_A_PAGE).take(ON_A_PAGE + 1).collect();
    let older = past.len() > ON_A_PAGE;
    past.truncate(ON_A_PAGE);
    if filter.page > 1 {
        found.clear();
    }
    found.extend(past);
    let list = List { filter, open, shown: found, older, cut };
    Ok(reply.page(&list.page(reader, now), now))
}

struct List {
    filter: Filter,
    /// All that are open, shown or not.
    open: Vec<Incident>,
    shown: Vec<Incident>,
    older: bool,
    cut: bool,
}

impl List {
    fn page(&self, reader: &Reader, now: Timestamp) -> Page {
        let open = self.open.len();
        let waiting = self.open.iter().filter(|incident| open_question(incident).is_some()).count();
        let state = match (open, waiting) {
            (0, _) => "Nothing is going on".to_owned(),
            (open, 0) => count(open, "incident is open", "incidents are open"),
            (open, waiting) => format!(
                "{}, {} for your decision",
                count(open, "incident is open", "incidents are open"),
                if waiting == open && open == 1 { "and waits".to_owned() } else { count(waiting, "waits", "wait") }
            ),
        };
        let heading = if self.filter.show == Show::Past { "Past incidents".to_owned() } else { state };
        let tone = if open > 0 { "h1 class=\"list alarmed\"" } else { "h1 class=\"list\"" };
        let main = Html::default()
            .element(tone, text(&heading))
            .html(self.search())
            .html(self.rows(now))
            .maybe(self.cut.then(|| {
                let said = format!("Only the newest {SEARCHED} incidents were looked through.");
                Html::default().element("p class=\"soft\"", text(said))
            }))
            .html(self.pager());
        Page {
            title: format!("{heading} · Keymend"),
            status: heading,
            pace: if open > 0 { Pace::Live } else { Pace::Slow },
            to_list: false,
            reader: reader.name.clone(),
            main,
        }
    }

    fn search(&self) -> Html {
        let tabs = Html::default().each(Show::ALL, |(show, _, words)| {
            let there = Filter { show, page: 1, ..self.filter.clone() };
            let link = Html::default().raw("<a").attribute("href", there.address());
            let link = if show == self.filter.show { link.raw(" aria-current=\"page\"") } else { link };
            link.raw(">").text(words).raw("</a>")
        });
        let show = (self.filter.show != Show::All).then(|| {
            let word = if self.filter.show == Show::Open { "open" } else { "past" };
            Html::default().raw("<input type=\"hidden\" name=\"show\"").attribute("value", word).raw(">")
        });
        Html::default()
            .element("nav class=\"tabs\" aria-label=\"Which incidents\"", tabs)
            .raw("<form class=\"search\" role=\"search\" method=\"get\" action=\"/api/incidents\" data-keep=\"search\">")
            .maybe(show)
            .raw("<label for=\"q\">Vault, server, database, cause</label><div><input id=\"q\" name=\"q\" type=\"search\"")
            .raw(" maxlength=\"200\" autocomplete=\"off\" spellcheck=\"false\"")
            .attribute("value", &self.filter.search)
            .raw("><button>Search</button></div></form>")
    }

    fn rows(&self, now: Timestamp) -> Html {
        if self.shown.is_empty() {
            let searched = !self.filter.search.is_empty();
            let said = if searched { "No incident was found." } else { "There are no incidents." };
            return Html::default().element("p class=\"none\"", text(said));
        }
        let rows = Html::default().each(&self.shown, |incident| row(incident, now));
        Html::default().element("ul class=\"rows\"", rows)
    }

    fn pager(&self) -> Html {
        let link = |page: usize, words: &'static str| {
            let there = Filter { page, ..self.filter.clone() };
            Html::default().raw("<a").attribute("href", there.address()).raw(">").raw(words).raw("</a>")
        };
        let newer = (self.filter.page > 1).then(|| link(self.filter.page - 1, "Newer"));
        let older = self.older.then(|| link(self.filter.page + 1, "Older"));
        if newer.is_none() && older.is_none() {
            return Html::default();
        }
        Html::default().element("nav class=\"pager\" aria-label=\"Pages\"", Html::default().maybe(newer).maybe(older))
    }
}

fn row(incident: &Incident, now: Timestamp) -> Html {
    let face = Face::of(incident, &standing(incident, now));
    let (down, all) = incident.down_of_all();
    let place = incident.vault.as_ref().map(|vault| format!("key vault {}", vault.vault_name()));
    let servers = count(incident.members.len(), "server", "servers");
    let place = place.into_iter().chain((incident.members.len() > 1).then_some(servers));
    let place: Vec<String> = place.collect();
    let facts = match (all, incident.ended_at) {
        (0, _) => None,
        (_, Some(_)) => None,
        (all, None) => Some(Html::default().raw("<b>").text(format!("{down} of {all} down")).raw("</b>")),
    };
    let when = match incident.ended_at {
        None => since(incident, now),
        Some(ended) => Html::default()
            .html(time(incident.opened_at, &date_and_clock(incident.opened_at)))
            .text(format!(", took {}", length(ended.duration_since(incident.opened_at)))),
    };
    let left = incident.ended_at.is_none().then(|| until(incident, now)).flatten();
    let facts = facts.into_iter().chain(place.into_iter().map(text)).chain([when]);
    let facts = Html::default().each(facts, |fact| Html::default().element("li", fact));
    let next = match (&incident.end, incident.ended_at) {
        (Some(end), Some(_)) => text(end),
        _ => line(&face.what_next()),
    };
    let address = format!("{}/{}", super::INCIDENTS, incident.id);
    Html::default()
        .raw("<li")
        .attribute("class", format!("row {}", face.tone))
        .raw("><a")
        .attribute("href", address)
        .raw("><span class=\"pill\">")
        .text(&face.banner)
        .raw("</span><span class=\"head\">")
        .line(&face.headline)
        .raw("</span></a><ul class=\"facts\">")
        .html(facts)
        .raw("</ul>")
        .maybe(left.map(|left| Html::default().element("p class=\"left\"", left)))
        .element("p class=\"next\"", next)
        .raw("<p class=\"id\">")
        .text(&incident.id.0)
        .raw("</p></li>")
}
