//! Findings of many servers become one, in an order that does not depend on who answered first.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::diagnosis::{Finding, Proof};
use crate::domain::remedy::{Change, GrantTo};

/// The most servers whose proof is spelled out in one finding.
const PROOFS: usize = 5;

/// Two findings of the same cause and resource become one.
pub(super) fn merge(into: &mut Finding, other: Finding) {
    into.resource = into.resource.clone().min(other.resource);
    into.servers.extend(other.servers);
    into.proof.extend(other.proof);
    for change in other.changes {
        add_change(&mut into.changes, change);
    }
    into.purge_at = earliest(into.purge_at, other.purge_at);
    into.since = earliest(into.since, other.since);
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Adds a change; grants of one vault's access policies become one change, a principal is granted once.
fn add_change(changes: &mut Vec<Change>, change: Change) {
    if let Change::AddAccessPolicy { grants: new, vault: of, .. } = &change {
        for present in changes.iter_mut() {
            if let Change::AddAccessPolicy { grants, vault, .. } = present
                && vault == of
            {
                for grant in new {
                    if !grants.iter().any(|known| same_principal(known, grant)) {
                        grants.push(grant.clone());
                    }
                }
                return;
            }
        }
    }
    if !changes.iter().any(|known| known.subjects() == change.subjects()) {
        changes.push(change);
    }
}

fn same_principal(a: &GrantTo, b: &GrantTo) -> bool {
    a.principal_id.eq_ignore_ascii_case(&b.principal_id)
}

/// Puts a finding's lists in an order that does not depend on who answered first.
pub(super) fn tidy(mut finding: Finding) -> Finding {
    finding.servers.sort();
    finding.servers.dedup();
    for change in &mut finding.changes {
        if let Change::AddAccessPolicy { grants, .. } = change {
            grants.sort_by(|a, b| (&a.server, &a.principal_id).cmp(&(&b.server, &b.principal_id)));
        }
    }
    finding.changes.sort_by_key(Change::subjects);
    let mut seen = BTreeSet::new();
    finding.proof.retain(|proof| seen.insert((proof.probe.clone(), proof.said.clone())));
    if finding.proof.len() > PROOFS + 1 {
        let more = finding.proof.len() - PROOFS;
        finding.proof.truncate(PROOFS);
        finding.proof.push(Proof { probe: "more".to_owned(), said: format!("and {more} more of the same") });
    }
    finding
}
