//! Sixth link: the databases; and what to conclude where the whole chain before them is right.

use crate::domain::diagnose::case::{Case, ServerCase, Standing};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::expiring;
use crate::domain::diagnose::geo;
use crate::domain::diagnose::identity::{finding, proof};
use crate::domain::diagnose::other_reason::{self, told_by_azure};
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{Database, Fact};

/// Looks at the databases' status.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    for server in case.servers.iter().filter(|server| server.standing != Standing::Elsewhere) {
        own_keys(server, draft);
        if !matches!(server.standing, Standing::Dependent | Standing::Unread) {
            continue;
        }
        match &server.seen.databases {
            Fact::Known(_) => {
                let down = server.down();
                match down.first() {
                    Some(first) => {
                        draft.down(format!("{first} on {}{} inaccessible", server.name(), and_more(down.len())))
                    }
                    None => {
                        let others = in_between(case, server);
                        let said = match others.first() {
                            Some((name, status)) => format!("{name} on {} is {status}", server.name()),
                            None => format!("the databases of {} are in service", server.name()),
                        };
                        draft.ok(Link::Database, said);
                    }
                }
            }
            fact => {
                let why = draft.why(fact, &format!("the databases of {}", server.name()));
                draft.unread(Link::Database, &[server.id().clone()], why);
            }
        }
    }
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(" and {} more are", count - 1) } else { " is".to_owned() }
}

/// Inaccessible databases that have a key of their own: the server's protector cannot help them.
fn own_keys(server: &ServerCase<'_>, draft: &mut Draft) {
    let databases = server.seen.databases.known().map(Vec::as_slice).unwrap_or_default();
    let mut theirs: Vec<_> = databases
        .iter()
        .filter(|database| database.is_inaccessible())
        .filter_map(|database| database.own_protector.as_ref().map(|key| (database.name.as_str(), key)))
        .collect();
    theirs.sort();
    if theirs.is_empty() {
        return;
    }
    let said = theirs
        .iter()
        .map(|(name, key)| proof("databases", format!("{name} is inaccessible and has its own key {key}")));
    let own = finding(Cause::DatabaseLevelKey, server.id(), vec![server.id().clone()], said.collect());
    draft.down(format!("{} on {} has its own key and is inaccessible", theirs[0].0, server.name()));
    draft.find("", own);
}

/// Databases of this incident that are neither inaccessible nor in service: recovering, for instance.
fn in_between<'a>(case: &Case<'a>, server: &ServerCase<'a>) -> Vec<(&'a str, &'a str)> {
    let Some(member) = case.incident.members.get(server.id().key()) else { return Vec::new() };
    let concerned = |name: &str| member.databases.iter().any(|known| known.eq_ignore_ascii_case(name));
    let mut all: Vec<_> = server
        .own_databases()
        .filter(|database| !database.is_in_service() && !database.is_inaccessible() && concerned(&database.name))
        .map(|database| (database.name.as_str(), database.status.as_str()))
        .collect();
    all.sort_unstable();
    all
}

/// Writes what follows from the links together: whole servers whose databases are not back, servers that could not be
/// told, and health if that is all there is.
pub(super) fn conclude(case: &Case<'_>, draft: &mut Draft) {
    for (server, why) in draft.undetermined() {
        let said = why.into_iter().map(|said| proof("not read", said)).collect();
        let unread = finding(Cause::Undetermined, &server, vec![server.clone()], said);
        draft.find("", unread);
    }
    let servers: Vec<ServerCase<'_>> = case.servers.clone();
    for server in &servers {
        if !matches!(server.standing, Standing::Dependent) || !draft.is_whole(server.id()) {
            continue;
        }
        let down = geo::down(case, server).into_iter().map(|name| (name, "Inaccessible"));
        let mut said: Vec<_> = down
            .chain(in_between(case, server))
            .map(|(name, status)| proof("databases", format!("{name} on {} is {status}", server.name())))
            .collect();
        if !said.is_empty() {
            let of_the_key =
                |database: &&Database| database.is_inaccessible() && !other_reason::is_why(server, database);
            said.extend(server.own_databases().filter(of_the_key).filter_map(told_by_azure));
            let still = finding(Cause::StillInaccessible, server.id(), vec![server.id().clone()], said);
            draft.find("", still);
        }
    }
    geo::check(case, draft);
    other_reason::check(case, draft);
    expiring::check(case, draft);
    if !draft.has_findings() {
        draft.find("", nothing_wrong(case, &servers));
    }
}

fn nothing_wrong(case: &Case<'_>, servers: &[ServerCase<'_>]) -> Finding {
    let whole: Vec<_> = case.dependents().map(|server| server.id().clone()).collect();
    // Servers that moved on to another vault are healthy as far as this vault goes, unless their databases are down.
    let moved: Vec<_> = servers.iter().filter(|server| server.standing == Standing::Elsewhere).collect();
    let elsewhere_down = moved.iter().any(|server| !server.down().is_empty());
    let resource = case.vault_id().map(ToString::to_string).unwrap_or_else(|| case.vault_name().to_owned());
    let (cause, said) = if whole.is_empty() && (moved.is_empty() || elsewhere_down) {
        (Cause::Undetermined, "no server was found that depends on this vault".to_owned())
    } else {
        (Cause::Healthy, "every link from identity to database was seen to be right".to_owned())
    };
    Finding {
        cause,
        resource,
        servers: whole,
        proof: vec![proof("chain", said)],
        changes: Vec::new(),
        purge_at: None,
        since: None,
    }
}
