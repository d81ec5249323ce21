//! The picture: vault, keys, servers, databases, from left to right, coloured by state and told by word and sign too. What
//! is well is gathered into one box where there is much of it, so that it reads with three servers and with two hundred.

use crate::markup::{escaped, shortened};
use crate::posture::report::{Colour, KeyNode, Report, ServerNode, VaultNode};

/// The picture's width; its height follows.
const WIDTH: u32 = 1080;
/// Left edge and width of each column.
const COLUMNS: [(u32, u32); 4] = [(0, 230), (285, 230), (570, 270), (895, 185)];
const ROW: u32 = 46;
const BOX: u32 = 36;
/// Between two vaults.
const GAP: u32 = 22;
/// The headings.
const TOP: u32 = 34;
/// Servers of one key that are drawn one by one; beyond that those that are well are gathered. The second number is for a
/// map of more than [`LARGE`] servers.
const APART: (usize, usize) = (8, 2);
const LARGE: usize = 30;
/// Servers that are not well are drawn one by one up to here.
const MOST: usize = 14;
/// Vaults that are drawn one by one though all is well with them.
const VAULTS: usize = 20;

/// One row of servers: a server, or several gathered.
struct Row {
    colour: Colour,
    title: String,
    under: String,
    databases: usize,
    down: usize,
    hint: String,
}

pub(super) fn picture(report: &Report) -> String {
    let (drawn, gathered) = split(&report.map);
    let mut body = headings();
    let mut y = TOP;
    let apart = apart(report);
    for vault in drawn {
        y = self::vault(&mut body, vault, apart, y) + GAP;
    }
    if !gathered.is_empty() {
        let servers: usize = gathered.iter().map(|vault| servers(vault)).sum();
        let databases: usize =
            gathered.iter().flat_map(|vault| &vault.keys).flat_map(|key| &key.servers).map(|one| one.databases).sum();
        let keys: usize = gathered.iter().map(|vault| vault.keys.len()).sum();
        let boxes = [
            many(gathered.len(), "more key vault"),
            many(keys, "key"),
            many(servers, "server"),
            many(databases, "database"),
        ];
        for (column, title) in boxes.iter().enumerate() {
            node(&mut body, column, y, Colour::Ok, title, "all ok", title);
            if column > 0 {
                link(&mut body, column - 1, y, y, Colour::Ok);
            }
        }
        y += ROW + GAP;
    }
    let height = y.saturating_sub(GAP).max(TOP + ROW);
    format!(
        "<svg class=\"map\" viewBox=\"-2 0 {} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"Which databases depend on which key vault, and how each is\">{body}</svg>",
        WIDTH + 4
    )
}

fn apart(report: &Report) -> usize {
    if report.servers > LARGE { APART.1 } else { APART.0 }
}

/// The same as a list, for a narrow screen.
pub(super) fn list(report: &Report) -> String {
    let (drawn, gathered) = split(&report.map);
    let item = |colour: Colour, text: &str| {
        format!("<li class=\"{}\"><b class=\"sg\">{}</b> {}", class(colour), sign(colour), escaped(text))
    };
    let mut out = "<ul class=\"narrow\">".to_owned();
    for vault in drawn {
        let name = vault.host.split('.').next().unwrap_or_default();
        out.push_str(&item(
            vault.colour,
            &format!("{name}: {}, {}", many(servers(vault), "server"), vault.colour.word()),
        ));
        out.push_str("<ul>");
        for key in &vault.keys {
            let expires =
                key.expires.map_or("no expiry".to_owned(), |at| format!("expires {}", at.strftime("%Y-%m-%d")));
            out.push_str(&item(key.colour, &format!("{}, {expires}", key.name)));
            out.push_str("<ul>");
            for row in rows(key, apart(report)) {
                let down = if row.down > 0 { format!(", {} inaccessible", row.down) } else { String::new() };
                out.push_str(&item(row.colour, &format!("{}: {}{down}", row.title, many(row.databases, "database"))));
                out.push_str("</li>");
            }
            out.push_str("</ul></li>");
        }
        out.push_str("</ul></li>");
    }
    if !gathered.is_empty() {
        out.push_str(&item(Colour::Ok, &format!("{}, all ok", many(gathered.len(), "more key vault"))));
        out.push_str("</li>");
    }
    out.push_str("</ul>");
    out
}

fn split(map: &[VaultNode]) -> (Vec<&VaultNode>, Vec<&VaultNode>) {
    let is_well = |vault: &&VaultNode| worst(vault) == Colour::Ok;
    if map.len() <= VAULTS {
        return (map.iter().collect(), Vec::new());
    }
    map.iter().partition(|vault| !is_well(vault))
}

fn worst(vault: &VaultNode) -> Colour {
    let keys = vault.keys.iter().map(|key| key.colour);
    let servers = vault.keys.iter().flat_map(|key| &key.servers).map(|server| server.colour);
    keys.chain(servers).fold(vault.colour, Colour::max)
}

fn servers(vault: &VaultNode) -> usize {
    vault.keys.iter().map(|key| key.servers.len()).sum()
}

fn many(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn headings() -> String {
    let names = ["Key vault", "Key", "Server", "Databases"];
    let text =
        names.iter().zip(COLUMNS).map(|(name, (x, _))| format!("<text class=\"h\" x=\"{x}\" y=\"16\">{name}</text>"));
    text.collect()
}

/// Draws one vault; answers where it ends.
fn vault(body: &mut String, vault: &VaultNode, apart: usize, top: u32) -> u32 {
    let mut y = top;
    let mut keys = Vec::new();
    let mut inner = String::new();
    for key in &vault.keys {
        let start = y;
        let rows = rows(key, apart);
        let mut ends = Vec::new();
        for row in &rows {
            ends.push((y, row.colour));
            node(&mut inner, 2, y, row.colour, &row.title, &row.under, &row.hint);
            databases(&mut inner, row, y);
            y += ROW;
        }
        y = y.max(start + ROW);
        let middle = middle(start, y);
        ends.iter().for_each(|(end, colour)| curve(&mut inner, 1, middle, *end, *colour));
        key_node(&mut inner, key, middle);
        keys.push((middle, key.colour.max(rows.iter().map(|row| row.colour).max().unwrap_or(Colour::Ok))));
    }
    y = y.max(top + ROW);
    let middle = middle(top, y);
    keys.iter().for_each(|(end, colour)| curve(body, 0, middle, *end, *colour));
    body.push_str(&inner);
    let name = vault.host.split('.').next().unwrap_or_default();
    let under = format!("{} · {}", many(servers(vault), "server"), vault.colour.word());
    node(body, 0, middle, vault.colour, name, &under, &vault.host);
    y
}

/// Where a box stands beside those between `from` and `to`.
const fn middle(from: u32, to: u32) -> u32 {
    from + (to - from - ROW) / 2
}

fn key_node(body: &mut String, key: &KeyNode, y: u32) {
    let version = key
        .version
        .as_deref()
        .and_then(|version| version.get(..8))
        .map(|short| format!("{short}… · "))
        .unwrap_or_default();
    let expires = key.expires.map_or("no expiry".to_owned(), |at| format!("expires {}", at.strftime("%Y-%m-%d")));
    let under = format!("{version}{expires}");
    let hint = format!("{}: {}, {under}", key.name, key.colour.word());
    node(body, 1, y, key.colour, &key.name, &under, &hint);
}

/// The rows of a key: what is not well one by one, the rest gathered where it is much.
fn rows(key: &KeyNode, apart: usize) -> Vec<Row> {
    if key.servers.len() <= apart {
        return key.servers.iter().map(one).collect();
    }
    let (well, ill): (Vec<&ServerNode>, Vec<&ServerNode>) =
        key.servers.iter().partition(|one| one.colour == Colour::Ok);
    let mut rows: Vec<Row> = ill.iter().take(MOST).map(|server| one(server)).collect();
    let rest: Vec<&ServerNode> = ill.into_iter().skip(MOST).collect();
    rows.extend(gather(&rest, "more server"));
    let alone = rows.is_empty();
    rows.extend(gather(&well, if alone { "server" } else { "more server" }));
    rows
}

fn one(server: &ServerNode) -> Row {
    Row {
        colour: server.colour,
        title: server.id.name().to_owned(),
        under: format!("{} · {}", server.id.resource_group().unwrap_or_default(), server.colour.word()),
        databases: server.databases,
        down: server.down,
        hint: server.id.to_string(),
    }
}

fn gather(servers: &[&ServerNode], noun: &str) -> Option<Row> {
    let colour = servers.iter().map(|server| server.colour).max()?;
    let names: Vec<&str> = servers.iter().map(|server| server.id.name()).collect();
    Some(Row {
        colour,
        title: many(servers.len(), noun),
        under: if colour == Colour::Ok { "all ok".to_owned() } else { format!("up to {}", colour.word()) },
        databases: servers.iter().map(|server| server.databases).sum(),
        down: servers.iter().map(|server| server.down).sum(),
        hint: names.join(", "),
    })
}

fn databases(body: &mut String, row: &Row, y: u32) {
    let (colour, under) = match (row.down, row.colour) {
        (0, Colour::Unknown) => (Colour::Unknown, "not all seen".to_owned()),
        (0, _) => (Colour::Ok, "all in service".to_owned()),
        (down, _) => (Colour::Broken, format!("{down} inaccessible")),
    };
    link(body, 2, y, y, colour);
    let title = many(row.databases, "database");
    node(body, 3, y, colour, &title, &under, &format!("{}: {title}, {under}", row.title));
}

fn node(body: &mut String, column: usize, y: u32, colour: Colour, title: &str, under: &str, hint: &str) {
    let (x, width) = COLUMNS[column.min(3)];
    let class = class(colour);
    let fits = usize::try_from(width / 8).unwrap_or(24).saturating_sub(5);
    let small = usize::try_from(width / 6).unwrap_or(30).saturating_sub(6);
    body.push_str(&format!(
        "<g class=\"n {class}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"6\"/>\
         <text class=\"s\" x=\"{}\" y=\"{}\">{}</text><text class=\"t\" x=\"{}\" y=\"{}\">{}</text>\
         <text class=\"u\" x=\"{}\" y=\"{}\">{}</text></g>",
        escaped(hint),
        x + 10,
        y + 23,
        sign(colour),
        x + 30,
        y + 16,
        escaped(&shortened(title, fits)),
        x + 30,
        y + 29,
        escaped(&shortened(under, small)),
    ));
}

fn curve(body: &mut String, column: usize, from: u32, to: u32, colour: Colour) {
    link(body, column, from, to, colour);
}

fn link(body: &mut String, column: usize, from: u32, to: u32, colour: Colour) {
    let (x, width) = COLUMNS[column.min(2)];
    let (start, end) = (x + width, COLUMNS[column.min(2) + 1].0);
    let middle = (start + end) / 2;
    let (from, to) = (from + BOX / 2, to + BOX / 2);
    body.push_str(&format!(
        "<path class=\"l {}\" d=\"M{start} {from}C{middle} {from} {middle} {to} {end} {to}\"/>",
        class(colour)
    ));
}

pub(super) const fn class(colour: Colour) -> &'static str {
    match colour {
        Colour::Ok => "ok",
        Colour::Warn => "warn",
        Colour::Unknown => "unk",
        Colour::Broken => "bad",
    }
}

const fn sign(colour: Colour) -> &'static str {
    match colour {
        Colour::Ok => "✓",
        Colour::Warn => "!",
        Colour::Unknown => "?",
        Colour::Broken => "✕",
    }
}
