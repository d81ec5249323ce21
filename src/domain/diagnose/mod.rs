//! From evidence to diagnosis: the decision table. Pure.
//!
//! The chain is walked link by link, each in its own file: identity, vault and firewall, key, permission, database.
//! Every link writes what it found into a draft; findings are then put in the order of the decision table, where
//! whatever comes first explains what comes after it. What could not be read never becomes a cause: a server all of
//! whose links were seen to be right is whole, one with a broken link is broken, and any other is
//! [`Cause::Undetermined`].
//!
//! [`Cause::Undetermined`]: crate::domain::diagnosis::Cause::Undetermined

mod case;
mod culprit;
mod database;
mod draft;
mod expiring;
mod geo;
mod identity;
mod key;
mod key_problem;
mod key_version;
mod latent;
mod merge;
mod other_reason;
mod partner;
mod permission;
mod protective;
mod vault;

#[cfg(test)]
mod tests;

use crate::domain::diagnosis::{Culprit, Diagnosis, Finding, Link};
use crate::domain::evidence::{Evidence, Fact};
use crate::domain::incident::Incident;
use crate::domain::policy::Policy;

pub(in crate::domain) use case::effective_identity;
pub(in crate::domain) use culprit::{can_lead_to, is_logged};
pub(in crate::domain) use draft::{Unread, sentence};
pub(in crate::domain) use geo::is_dead_secondary;
pub use partner::geo_partners;

use case::Case;
use draft::Draft;

/// What the evidence says: the first match wins, in the order of the decision table.
#[must_use]
pub fn diagnose(evidence: &Evidence, incident: &Incident, policy: &Policy) -> Diagnosis {
    let case = Case::new(evidence, incident, policy);
    let mut draft = walk(&case);
    let findings = draft.findings();
    let culprit = findings.first().and_then(|first| culprit::name(&case, first, &mut draft));
    if let Fact::Denied(right) = &evidence.locks {
        draft.right(right);
        draft.unknown("the locks may not be read");
    }
    let protective_changes = protective::find(&case, &findings);
    let (checks, unknowns, missing_rights) = draft.finish();
    Diagnosis {
        at: evidence.taken_at,
        findings,
        checks,
        culprit,
        protective_changes,
        unknowns,
        missing_rights,
        inaccessible: case.inaccessible(),
    }
}

fn walk(case: &Case<'_>) -> Draft {
    let mut draft = Draft::default();
    if !identity::concerns_us(case, &mut draft) {
        database::check(case, &mut draft);
        return draft;
    }
    identity::check(case, &mut draft);
    let keys_can_be_seen = vault::check(case, &mut draft);
    if keys_can_be_seen {
        key::check(case, &mut draft);
        permission::check(case, &mut draft);
        partner::check(case, &mut draft);
    } else {
        draft.hidden(Link::Key, "cannot be seen while the vault is gone or unread");
        draft.hidden(Link::Permission, "cannot be seen while the vault is gone or unread");
    }
    database::check(case, &mut draft);
    latent::check(case, &mut draft);
    database::conclude(case, &mut draft);
    draft
}

/// What could not be read of each server's chain, whether or not something else is known to be broken.
pub(in crate::domain) fn unread(evidence: &Evidence, incident: &Incident, policy: &Policy) -> Unread {
    walk(&Case::new(evidence, incident, policy)).into_unread()
}

/// The logged change that explains a finding, if it is not our own.
pub(in crate::domain) fn culprit_of(
    finding: &Finding,
    evidence: &Evidence,
    incident: &Incident,
    policy: &Policy,
) -> Option<Culprit> {
    culprit::find(&Case::new(evidence, incident, policy), finding)
}
