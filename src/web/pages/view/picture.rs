//! The chain from server to database, drawn: on its side where there is room, upright on a phone. Every link's state has a
//! shape and a word, not a colour alone, and the list below says the same in text.

use crate::domain::diagnosis::{Diagnosis, Link, LinkState};
use crate::domain::incident::Incident;
use crate::markup::shortened;
use crate::notify::texts::link_name;
use crate::notify::texts::words::{clean, count};
use crate::web::pages::html::Html;

/// The links in the order in which they depend on each other.
const ORDER: [Link; 6] = [Link::Identity, Link::Vault, Link::Firewall, Link::Key, Link::Permission, Link::Database];

struct Node {
    title: &'static str,
    name: String,
    state: Option<LinkState>,
}

impl Node {
    const fn class(&self) -> &'static str {
        match self.state {
            Some(LinkState::Ok) => "node ok",
            Some(LinkState::Broken) => "node bad",
            Some(LinkState::Unknown) => "node unk",
            None => "node",
        }
    }

    const fn word(&self) -> &'static str {
        match self.state {
            Some(LinkState::Ok) => "OK",
            Some(LinkState::Broken) => "BROKEN",
            Some(LinkState::Unknown) => "UNKNOWN",
            None => "",
        }
    }
}

/// Both drawings; the style sheet shows one.
#[must_use]
pub fn chain(incident: &Incident, diagnosis: &Diagnosis) -> Html {
    let nodes = nodes(incident, diagnosis);
    let broken: Vec<&str> =
        nodes.iter().filter(|node| node.state == Some(LinkState::Broken)).map(|node| node.title).collect();
    let said = match broken.as_slice() {
        [] => "No link is broken.".to_owned(),
        links => format!("Broken: {}.", links.join(", ")),
    };
    let said = format!("From the server to its databases, link by link. {said} The list below says the same in words.");
    Html::default()
        .raw("<div class=\"chain\">")
        .html(drawing("wide", "0 0 1058 96", &said, &nodes, lying))
        .html(drawing("tall", "0 0 300 372", &said, &nodes, standing))
        .raw("</div>")
}

fn drawing(
    kind: &'static str,
    view: &'static str,
    said: &str,
    nodes: &[Node],
    node: fn(usize, &Node, Option<&Node>) -> Html,
) -> Html {
    let (title, description) = (format!("chain-{kind}"), format!("chain-{kind}-said"));
    Html::default()
        .raw("<svg role=\"img\"")
        .attribute("class", kind)
        .attribute("viewBox", view)
        .attribute("aria-labelledby", format!("{title} {description}"))
        .raw("><title")
        .attribute("id", title)
        .raw(">The chain from server to database</title><desc")
        .attribute("id", description)
        .raw(">")
        .text(said)
        .raw("</desc>")
        .each(nodes.iter().enumerate(), |(place, it)| node(place, it, nodes.get(place + 1)))
        .raw("</svg>")
}

fn nodes(incident: &Incident, diagnosis: &Diagnosis) -> Vec<Node> {
    let servers: Vec<&str> = incident.servers().map(|server| server.name()).collect();
    let server = match servers.as_slice() {
        [one] => (*one).to_owned(),
        many => count(many.len(), "server", "servers"),
    };
    let vault = incident.vault.as_ref().map(|vault| vault.vault_name().to_owned()).unwrap_or_default();
    let mut keys: Vec<&str> =
        incident.members.values().filter_map(|it| it.protector.as_ref()).map(|it| it.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let key = match keys.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        many => count(many.len(), "key", "keys"),
    };
    let (down, all) = incident.down_of_all();
    let databases = match (all, incident.ended_at) {
        (0, _) => String::new(),
        (all, Some(_)) => count(all, "database", "databases"),
        (all, None) => format!("{down} of {all} down"),
    };
    let mut nodes = vec![Node { title: "Server", name: server, state: None }];
    nodes.extend(ORDER.iter().map(|link| {
        let name = match link {
            Link::Vault => vault.clone(),
            Link::Key => key.clone(),
            Link::Database => databases.clone(),
            _ => String::new(),
        };
        let state = diagnosis.checks.iter().find(|check| check.link == *link).map(|check| check.state);
        Node { title: link_name(*link), name, state: Some(state.unwrap_or(LinkState::Unknown)) }
    }));
    nodes
}

/// A mark of its own shape for each state, around the origin.
fn mark(node: &Node) -> Html {
    Html::default().raw(match node.state {
        Some(LinkState::Ok) => "<circle r=\"9\" class=\"shape\"/><path class=\"sign\" d=\"M-4 0l3 3.5 5.500-7\"/>",
        Some(LinkState::Broken) => {
            "<path class=\"shape\" d=\"M-4-10h8l6 6v8l-6 6h-8l-6-6v-8z\"/><path class=\"sign\" d=\"M-4-4l8 8M4-4l-8 8\"/>"
        }
        Some(LinkState::Unknown) => {
            "<path class=\"shape\" d=\"M0-12l12 12-12 12-12-12z\"/><text class=\"ask\" y=\"5\" text-anchor=\"middle\">?</text>"
        }
        None => "<rect x=\"-9\" y=\"-9\" width=\"18\" height=\"18\" rx=\"3\" class=\"shape\"/><path class=\"sign\" d=\"M-5-3h10M-5 3h10\"/>",
    })
}

/// Moves what is drawn around the origin.
fn at(x: usize, y: usize, inside: Html) -> Html {
    Html::default().raw("<g").attribute("transform", format!("translate({x} {y})")).raw(">").html(inside).raw("</g>")
}

fn words(class: &'static str, x: usize, y: usize, anchor: &'static str, said: &str) -> Html {
    if said.is_empty() {
        return Html::default();
    }
    Html::default()
        .raw("<text")
        .attribute("class", class)
        .attribute("x", x.to_string())
        .attribute("y", y.to_string())
        .attribute("text-anchor", anchor)
        .raw(">")
        .text(said)
        .raw("</text>")
}

fn short(name: &str, most: usize) -> String {
    shortened(&clean(name, 200), most)
}

/// Whether the line from one node to the next leads through a broken link.
fn is_cut(node: &Node, next: &Node) -> bool {
    [node, next].iter().any(|node| node.state == Some(LinkState::Broken))
}

fn lying(place: usize, node: &Node, next: Option<&Node>) -> Html {
    let x = place * 153 + 2;
    let line = next.map(|next| {
        let kind = if is_cut(node, next) { "line cut" } else { "line" };
        Html::default().raw("<path").attribute("class", kind).attribute("d", format!("M{} 48h17", x + 136)).raw("/>")
    });
    let inside = Html::default()
        .raw("<rect width=\"136\" height=\"92\" rx=\"10\" class=\"box\"/>")
        .html(at(20, 23, mark(node)))
        .html(words("word", 36, 28, "start", node.word()))
        .html(words("title", 11, 55, "start", node.title))
        .html(words("name", 11, 76, "start", &short(&node.name, 18)));
    let group = Html::default().raw("<g").attribute("class", node.class()).raw(">").html(at(x, 2, inside)).raw("</g>");
    Html::default().maybe(line).html(group)
}

fn standing(place: usize, node: &Node, next: Option<&Node>) -> Html {
    let y = place * 54 + 2;
    let line = next.map(|next| {
        let kind = if is_cut(node, next) { "line cut" } else { "line" };
        Html::default().raw("<path").attribute("class", kind).attribute("d", format!("M22 {}v12", y + 43)).raw("/>")
    });
    let inside = Html::default()
        .raw("<rect width=\"296\" height=\"43\" rx=\"9\" class=\"box\"/>")
        .html(at(22, 22, mark(node)))
        .html(words("title", 42, if node.name.is_empty() { 27 } else { 19 }, "start", node.title))
        .html(words("name", 42, 35, "start", &short(&node.name, 28)))
        .html(words("word", 284, 27, "end", node.word()));
    let group = Html::default().raw("<g").attribute("class", node.class()).raw(">").html(at(2, y, inside)).raw("</g>");
    Html::default().maybe(line).html(group)
}
