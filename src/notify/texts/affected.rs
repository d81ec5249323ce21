//! Whom it hits: databases and servers in few words, however many they are.

use std::collections::BTreeMap;

use crate::domain::database_ref::DatabaseRef;
use crate::domain::diagnosis::Cause;
use crate::domain::incident::Phase;
use crate::domain::notice::Notice;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::words::{Line, clean, count, list};

/// Up to so many databases of one server are named; of more, only the number is told.
const NAMED: usize = 3;

/// Somebody or something that a sentence is about, with its number for the verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name: `orders on contoso-sql`, `12 databases on contoso-sql`, `400 databases on 40 servers`.
    pub line: Line,
    /// It stands for more than one.
    pub many: bool,
}

impl Subject {
    /// The verb or pronoun that fits.
    #[must_use]
    pub const fn pick<'a>(&self, one: &'a str, many: &'a str) -> &'a str {
        if self.many { many } else { one }
    }
}

/// One server by name, or how many.
#[must_use]
pub fn servers(servers: &[ResourceId]) -> Line {
    match servers {
        [one] => Line::default().name(one.name()),
        [one, two] => Line::default().name(one.name()).say(" and ").name(two.name()),
        _ => Line::of(count(servers.len(), "server", "servers")),
    }
}

/// The databases, and the servers they are on.
#[must_use]
pub fn databases(databases: &[DatabaseRef]) -> Subject {
    // A database that has a key of its own is its own server here.
    let host = |database: &DatabaseRef| database.server.sql_server().unwrap_or_else(|| database.server.clone());
    let mut hosts: Vec<ResourceId> = databases.iter().map(host).collect();
    hosts.sort();
    hosts.dedup();
    let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
    let what = if names.len() <= NAMED && hosts.len() == 1 {
        list(&names, NAMED)
    } else {
        Line::of(count(names.len(), "database", "databases"))
    };
    Subject { line: what.say(" on ").join(servers(&hosts)), many: names.len() != 1 }
}

/// What the whole incident is about: its databases, else its servers, else whatever uses the vault.
#[must_use]
pub fn subject(notice: &Notice) -> Subject {
    let all = if notice.databases.is_empty() { &notice.down } else { &notice.databases };
    if !all.is_empty() {
        return databases(all);
    }
    if is_about_nothing(notice) {
        return Subject { line: Line::of("Keymend"), many: false };
    }
    if notice.servers.is_empty() {
        let vault = notice.vault.as_deref().map_or("", |host| host.split('.').next().unwrap_or_default());
        return Subject { line: Line::of("the servers that use key vault ").name(vault), many: true };
    }
    Subject { line: servers(&notice.servers), many: notice.servers.len() != 1 }
}

/// Whether a notice is about Keymend's own work alone, and no loss.
#[must_use]
pub fn is_about_nothing(notice: &Notice) -> bool {
    notice.servers.is_empty() && notice.vault.is_none() && notice.down.is_empty() && notice.databases.is_empty()
}

/// What the users of the databases feel now.
#[must_use]
pub fn impact(notice: &Notice) -> Line {
    let (down, all) = (notice.down.len(), notice.databases.len().max(notice.down.len()));
    if down == 0 {
        if notice.cause == Some(Cause::KeyExpiring) && notice.lost_at > notice.at {
            let at = date_and_clock(notice.lost_at);
            return Line::of(format!(
                "No database is down. When the key expires at {at}, Azure SQL refuses connections within about 10 minutes."
            ));
        }
        return Line::of(match (notice.phase, notice.cause) {
            (_, Some(Cause::VaultUnreachable)) => {
                "No database is down yet. Azure SQL bears a vault that does not answer for up to 24 hours."
            }
            (phase, _) if notice.at_risk || phase == Phase::AtRisk => {
                "No database is down yet. Azure SQL refuses connections within about 10 minutes of losing the key."
            }
            (_, _) if all == 0 => "No database is known to be down.",
            _ => "Azure reported the loss. Connections are refused now, or will be within minutes.",
        });
    }
    let which = match (down, all) {
        (1, 1) => "this database".to_owned(),
        (down, all) if down == all => format!("these {down} databases"),
        (down, all) => format!("{down} of these {all} databases"),
    };
    Line::of(format!("Azure is refusing every connection to {which}."))
}

/// The databases, where the subject only counts them: by name and down ones first on one server, else how many on each.
#[must_use]
pub fn names(notice: &Notice, most: usize) -> Option<Line> {
    let several_servers = notice.servers.len() > 1;
    if notice.databases.is_empty() || (notice.databases.len() <= NAMED && !several_servers) {
        return None;
    }
    if several_servers {
        let mut by_server: BTreeMap<&ResourceId, usize> = BTreeMap::new();
        notice.databases.iter().for_each(|database| *by_server.entry(&database.server).or_default() += 1);
        let counts: Vec<String> =
            by_server.iter().map(|(server, number)| format!("{number} on {}", clean(server.name(), 40))).collect();
        let more = counts.len() > most;
        return Some(list(&counts, most).say(if more { " servers" } else { "" }));
    }
    let rest = notice.databases.iter().filter(|database| !notice.down.contains(database));
    let names: Vec<&str> = notice.down.iter().chain(rest).map(|database| database.name.as_str()).collect();
    Some(list(&names, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(server: &str, name: &str) -> DatabaseRef {
        let id = format!("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/{server}");
        DatabaseRef { server: ResourceId::parse(&id).unwrap(), name: name.to_owned() }
    }

    #[test]
    fn names_few_and_counts_many() {
        let words = |all: &[DatabaseRef]| databases(all).line.to_string();
        assert_eq!(words(&[reference("a", "x")]), "x on a");
        assert_eq!(words(&[reference("a", "x"), reference("a", "y")]), "x and y on a");
        assert_eq!(words(&[reference("a", "x"), reference("b", "x")]), "2 databases on a and b");
        let many: Vec<_> =
            (0..40).flat_map(|s| (0..10).map(move |d| reference(&format!("s{s}"), &format!("d{d}")))).collect();
        assert_eq!(words(&many), "400 databases on 40 servers");
    }
}
