//! Databases that are down for another reason than their key. A managed instance says so itself: the kind of
//! `extendedAccessibilityInfo` is then `DatabaseReplication` or `Unknown` (Microsoft.Sql, api-version 2025-01-01), and
//! re-validation is no answer to it. Nor is it to an instance that is stopped. It is told, and left to a person.

use crate::domain::diagnose::case::{Case, ServerCase, Standing};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnose::identity::{finding, proof};
use crate::domain::diagnosis::{Cause, Proof};
use crate::domain::evidence::Database;

/// Whether a database of this server is inaccessible, and not because of its key.
pub(super) fn is_why(server: &ServerCase<'_>, database: &Database) -> bool {
    database.is_inaccessible() && (is_stopped(server) || database.is_down_for_another_reason())
}

fn is_stopped(server: &ServerCase<'_>) -> bool {
    server.seen.server.known().is_some_and(crate::domain::evidence::Server::is_stopped)
}

/// Names such databases of servers whose chain is whole: as a finding once nothing else is wrong, so that everything that
/// can come back comes back first; until then as something to know.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    let alone = !draft.has_findings();
    for server in case.servers.iter().filter(|server| matches!(server.standing, Standing::Dependent)) {
        let said = said(server);
        if said.is_empty() {
            continue;
        }
        if alone {
            draft.find(server.name(), finding(Cause::OtherReason, server.id(), vec![server.id().clone()], said));
        } else {
            said.into_iter().for_each(|proof| draft.unknown(proof.said));
        }
    }
}

fn said(server: &ServerCase<'_>) -> Vec<Proof> {
    let mut down: Vec<&Database> = server.own_databases().filter(|database| is_why(server, database)).collect();
    down.sort_by(|a, b| a.name.cmp(&b.name));
    if is_stopped(server) {
        let names: Vec<&str> = down.iter().map(|database| database.name.as_str()).collect();
        let said = format!("{} is stopped, so {} cannot be reached", server.name(), names.join(", "));
        return if names.is_empty() { Vec::new() } else { vec![proof("server", said)] };
    }
    down.into_iter().filter_map(told_by_azure).collect()
}

/// Azure's own reason, in its words.
pub(super) fn told_by_azure(database: &Database) -> Option<Proof> {
    let reason = database.reason.as_ref()?;
    let said = format!("{}: {} ({}): {}", database.name, reason.kind, reason.code, reason.description);
    Some(proof("Azure's own reason", said))
}
