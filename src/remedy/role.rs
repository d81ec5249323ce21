//! Assign role: servers' identities may use the key of a vault with Azure RBAC.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::azure::authorization::RoleAssignment;
use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::clock;
use crate::domain::remedy::{Change, GrantTo};
use crate::domain::resource_id::ResourceId;
use crate::remedy::grant::Wanted;
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::{refused, unread};
use crate::remedy::send::{Sent, try_send};
use crate::remedy::{Applied, batch};

/// How long to wait for Entra to hear of a new identity, all changes of a batch together.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Between two tries: what the az CLI waits.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// The write; `None` if the key's name could not stand in a resource id.
pub(super) fn write(vault: &ResourceId, key: &str, grant: &GrantTo, role: &str) -> Option<PreparedWrite> {
    Wanted::new(vault, key, grant, role).map(|wanted| wanted.write())
}

/// Each vault's assignments are listed once before and once after, however many are made.
pub(super) async fn apply(azure: &Azure, changes: &[Change]) -> Vec<Applied> {
    let all: Vec<(&ResourceId, Option<Wanted<'_>>)> = changes
        .iter()
        .filter_map(|change| match change {
            Change::AssignRole { vault, key, grant, role } => Some((vault, Wanted::new(vault, key, grant, role))),
            _ => None,
        })
        .collect();
    let mut by_vault: BTreeMap<&ResourceId, Vec<usize>> = BTreeMap::new();
    for (index, (vault, _)) in all.iter().enumerate() {
        by_vault.entry(vault).or_default().push(index);
    }
    let mut results: Vec<Option<Applied>> = vec![None; all.len()];
    let mut halt: Option<Applied> = None;
    for (vault, indexes) in by_vault {
        let wanted: Vec<Option<&Wanted<'_>>> = indexes.iter().map(|index| all[*index].1.as_ref()).collect();
        let applied = match &halt {
            Some(halt) => wanted.iter().map(|_| batch::not_sent(Some(halt))).collect(),
            None => {
                let (applied, stopped) = in_vault(azure, vault, &wanted).await;
                halt = stopped;
                applied
            }
        };
        for (index, applied) in indexes.into_iter().zip(applied) {
            results[index] = Some(applied);
        }
    }
    results.into_iter().map(|result| result.unwrap_or_else(|| batch::not_sent(None))).collect()
}

/// What becomes of the grants in one vault, and what stopped them if something did.
async fn in_vault(
    azure: &Azure,
    vault: &ResourceId,
    wanted: &[Option<&Wanted<'_>>],
) -> (Vec<Applied>, Option<Applied>) {
    let list = List::for_all(vault, wanted);
    let before = match precondition(azure, vault, &list).await {
        Ok(before) => before,
        Err(outcome) => {
            let halt = outcome.stops.then(|| outcome.applied.clone());
            return (vec![outcome.applied; wanted.len()], halt);
        }
    };
    let mut lacking: Vec<&Wanted<'_>> = Vec::new();
    for wanted in wanted.iter().flatten() {
        // Servers may share a user-assigned identity.
        if !wanted.is_listed(&before) && !lacking.iter().any(|other| other.name == wanted.name) {
            lacking.push(wanted);
        }
    }
    let (sent, halt) = make(azure, &list, &lacking).await;
    let applied = wanted.iter().map(|wanted| match wanted {
        None => differs("the key's name is not one that Azure allows").applied,
        Some(wanted) => sent.get(&wanted.name).cloned().unwrap_or_else(|| {
            already(format!("{} has {} or more on the key", wanted.grant.server.name(), wanted.role_name())).applied
        }),
    });
    (applied.collect(), halt)
}

/// Sends the assignments and looks for them once, all together.
async fn make(azure: &Azure, list: &List<'_>, lacking: &[&Wanted<'_>]) -> (BTreeMap<Uuid, Applied>, Option<Applied>) {
    let deadline = clock::add(azure.clock().now(), PATIENCE);
    let (sent, halt) = batch::run(lacking.to_vec(), |wanted| put(azure, wanted, deadline)).await;
    let look = sent.iter().any(Result::is_ok);
    let after = if look { list.read(azure).await.unwrap_or_default() } else { Vec::new() };
    let mut sent = sent.into_iter();
    let applied = lacking.iter().map(|wanted| {
        let applied = match sent.next() {
            Some(Ok(sent)) if wanted.is_listed(&after) => sent.made().applied,
            Some(Ok(sent)) => sent.not_seen().applied,
            Some(Err(outcome)) => outcome.applied,
            None => batch::not_sent(halt.as_ref()),
        };
        (wanted.name, applied)
    });
    (applied.collect(), halt)
}

/// One list of assignments that tells of all that is wanted, and of as little else as possible.
struct List<'a> {
    scope: &'a ResourceId,
    principal: Option<&'a str>,
}

impl<'a> List<'a> {
    /// At and above the key, if it is one; else at, above and below the vault. If it is one principal, then its own.
    fn for_all(vault: &'a ResourceId, wanted: &[Option<&'a Wanted<'a>>]) -> Self {
        let all = || wanted.iter().flatten();
        let first = all().next();
        let scope = first.map(|wanted| &wanted.scope).filter(|scope| all().all(|wanted| wanted.scope == **scope));
        let principal = first.map(|wanted| wanted.grant.principal_id.as_str());
        let principal = principal.filter(|one| all().all(|wanted| wanted.grant.principal_id.eq_ignore_ascii_case(one)));
        Self { scope: scope.unwrap_or(vault), principal }
    }

    async fn read(&self, azure: &Azure) -> Result<Vec<RoleAssignment>, AzureError> {
        azure.role_assignments(self.scope, self.principal).await
    }
}

/// The assignments that there are, if the vault is one whose keys are given by role.
async fn precondition(azure: &Azure, vault: &ResourceId, list: &List<'_>) -> Way<Vec<RoleAssignment>> {
    let (found, listed) = futures::join!(azure.vault(vault), list.read(azure));
    if !found.map_err(|error| unread(&error))?.rbac {
        return Err(differs(
            "the vault uses access policies now: role assignments have no effect on its keys, a policy is needed",
        ));
    }
    listed.map_err(|error| unread(&error))
}

/// Sends one assignment. A principal that Entra is yet to hear of everywhere is tried again until the deadline.
async fn put(azure: &Azure, wanted: &Wanted<'_>, deadline: Timestamp) -> Way<Sent> {
    loop {
        let error = match try_send(azure, &wanted.write(), wanted.in_words()).await {
            Ok(sent) => return Ok(sent),
            Err(error) => error,
        };
        if error.is("RoleAssignmentExists") {
            return Err(already(format!("{} has the role on the key", wanted.grant.server.name())));
        }
        if !error.is("PrincipalNotFound") {
            return Err(refused(&error));
        }
        if azure.clock().now() >= deadline {
            let why =
                format!("Entra does not know the identity {} everywhere yet ({error})", wanted.grant.principal_id);
            return Err(Outcome::of(Applied::Later { after: Some(PATIENCE), why }));
        }
        azure.clock().pause(PAUSE).await;
    }
}
