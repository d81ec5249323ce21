//! Geo-secondaries. One that was inaccessible past the self-heal window is lost: "the control plane breaks the link and
//! makes the database standalone", and it "can't be" brought back, since it has no full backups (Microsoft, overview of
//! customer-managed TDE). It is told, never touched, and never taken for a sign that the key still cannot be used.

use crate::domain::diagnose::case::{Case, ServerCase, Standing};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::identity::{finding, proof};
use crate::domain::diagnose::{other_reason, partner};
use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{Database, is_geo_secondary};
use crate::domain::incident::Incident;
use crate::domain::resource_id::ResourceId;

/// Whether a database is a secondary that nothing will revive: inaccessible, no secondary any more, and known from
/// earlier in this incident to have been one.
pub(in crate::domain) fn is_dead_secondary(incident: &Incident, server: &ResourceId, database: &Database) -> bool {
    let before = incident.members.get(server.key()).and_then(|member| member.settings.get(&database.name));
    database.is_inaccessible() && !is_geo_secondary(&database.settings) && before.is_some_and(is_geo_secondary)
}

/// The names of a server's databases that are inaccessible because of their key and can come back, in order.
pub(super) fn down<'a>(case: &Case<'a>, server: &ServerCase<'a>) -> Vec<&'a str> {
    let can_come_back = |database: &&Database| {
        !other_reason::is_why(server, database) && !is_dead_secondary(case.incident, server.id(), database)
    };
    let down = server.own_databases().filter(|database| database.is_inaccessible()).filter(can_come_back);
    let mut names: Vec<&str> = down.map(|database| database.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn dead<'a>(case: &Case<'a>, server: &ServerCase<'a>) -> Vec<&'a str> {
    let all = server.own_databases().filter(|database| is_dead_secondary(case.incident, server.id(), database));
    let mut names: Vec<&str> = all.map(|database| database.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Names the dead secondaries of servers whose chain is whole: as a finding once nothing else is wrong, so that everything
/// that can come back comes back first; until then as something to know.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let alone = !draft.has_findings();
    let own = case.servers.iter().filter(|server| matches!(server.standing, Standing::Dependent));
    let own = own.map(|server| (server.id().clone(), dead(case, server)));
    let all: Vec<(ResourceId, Vec<&str>)> = own.chain(partner::dead(case)).collect();
    for (server, names) in all.into_iter().filter(|(_, names)| !names.is_empty()) {
        let said = |name: &&str| {
            let name = *name;
            format!(
                "{name} on {} was a geo-secondary, was inaccessible for too long, and stands alone: nothing revives it",
                server.name()
            )
        };
        if alone {
            let proofs = names.iter().map(|name| proof("databases", said(name))).collect();
            draft.find(server.name(), finding(Cause::DeadSecondary, &server, vec![server.clone()], proofs));
        } else {
            names.iter().for_each(|name| draft.unknown(said(name)));
        }
    }
}
