//! Assign identity: the server gets a system-assigned identity and keeps its user-assigned ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::evidence::{Identity, Server};
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::unread;
use crate::remedy::send::{Sent, send};
use crate::remedy::{Applied, batch};

type Servers = BTreeMap<ResourceId, Result<Server, AzureError>>;

/// The write; none for what gets no identity from us. The block is replaced whole, so every user-assigned identity is named in it.
pub(super) fn write(server: &ResourceId, keep: &[ResourceId]) -> Option<PreparedWrite> {
    let identity = if keep.is_empty() {
        json!({"type": "SystemAssigned"})
    } else {
        let kept: BTreeSet<&str> = keep.iter().map(ResourceId::as_str).collect();
        let kept: Map<String, Value> = kept.into_iter().map(|id| (id.to_owned(), json!({}))).collect();
        json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": kept})
    };
    PreparedWrite::patch_identity(server, json!({"identity": identity}))
}

/// Servers of one subscription are read together, before and after.
pub(super) async fn apply(azure: &Azure, changes: &[Change]) -> Vec<Applied> {
    let wanted: Vec<(&ResourceId, &[ResourceId])> = changes
        .iter()
        .filter_map(|change| match change {
            Change::AssignIdentity { server, keep } => Some((server, keep.as_slice())),
            _ => None,
        })
        .collect();
    let before = read(azure, wanted.iter().map(|(server, _)| *server).collect()).await;
    let checked: Vec<Way<PreparedWrite>> =
        wanted.iter().map(|(server, keep)| precondition(&before, server, keep)).collect();

    let writes: Vec<(&ResourceId, &PreparedWrite)> =
        wanted.iter().zip(&checked).filter_map(|((server, _), write)| Some((*server, write.as_ref().ok()?))).collect();
    let (results, halt) =
        batch::run(writes.clone(), |(server, write)| send(azure, write, in_words(&before, server))).await;

    let look_at = writes.iter().zip(&results).filter(|(_, result)| result.as_ref().is_ok_and(|sent| !sent.goes_on()));
    let after = read(azure, look_at.map(|((server, _), _)| *server).collect()).await;
    let mut results = results.into_iter();
    let outcomes = wanted.iter().zip(&checked).map(|((server, _), checked)| match checked {
        Err(outcome) => outcome.applied.clone(),
        Ok(_) => match results.next() {
            Some(Ok(sent)) => read_back(&after, server, sent).applied,
            Some(Err(outcome)) => outcome.applied,
            None => batch::not_sent(halt.as_ref()),
        },
    });
    outcomes.collect()
}

fn precondition(before: &Servers, server: &ResourceId, keep: &[ResourceId]) -> Way<PreparedWrite> {
    let identity = match before.get(server) {
        Some(Ok(found)) => &found.identity,
        Some(Err(error)) => return Err(unread(error)),
        None => return Err(differs("the server was not found")),
    };
    if let Some(principal) = &identity.system_principal_id {
        return Err(already(format!("the server has a system-assigned identity ({principal})")));
    }
    let has: Vec<ResourceId> = identity.user_assigned.iter().map(|assigned| assigned.id.clone()).collect();
    if has.iter().collect::<BTreeSet<_>>() != keep.iter().collect::<BTreeSet<_>>() {
        return Err(differs(format!(
            "the server's user-assigned identities were changed since the diagnosis: now {}",
            named(identity).unwrap_or_else(|| "none".to_owned())
        )));
    }
    write(server, &has).ok_or_else(|| differs("Keymend does not assign identities to this kind of resource"))
}

fn in_words(before: &Servers, server: &ResourceId) -> Vec<(String, String, String)> {
    let kept = before.get(server).and_then(|found| named(&found.as_ref().ok()?.identity));
    let after = kept.as_ref().map_or_else(|| "system-assigned".to_owned(), |kept| format!("system-assigned, {kept}"));
    vec![(format!("identity of server {}", server.name()), kept.unwrap_or_else(|| "none".to_owned()), after)]
}

fn named(identity: &Identity) -> Option<String> {
    let names: Vec<&str> = identity.user_assigned.iter().map(|assigned| assigned.id.name()).collect();
    (!names.is_empty()).then(|| format!("user-assigned {}", names.join(", ")))
}

fn read_back(after: &Servers, server: &ResourceId, sent: Sent) -> Outcome {
    let principal = match after.get(server) {
        Some(Ok(found)) => found.identity.system_principal_id.as_deref(),
        _ => None,
    };
    match principal {
        Some(principal) => sent.telling("object id of the new identity", "none", principal).made(),
        None => sent.not_seen(),
    }
}

/// The servers as they are now: one alone by itself, several with their subscription's list.
async fn read(azure: &Azure, servers: Vec<&ResourceId>) -> Servers {
    let mut lists = BTreeMap::new();
    let mut found = Servers::new();
    for server in &servers {
        let subscription = server.subscription();
        let alone = servers.iter().filter(|other| other.subscription() == subscription).count() == 1;
        if !alone && !lists.contains_key(subscription) {
            lists.insert(subscription, azure.servers_in(subscription).await);
        }
        let read = match lists.get(subscription) {
            Some(Ok(list)) if list.contains_key(*server) => list.get(*server).cloned().map(Ok),
            // Whoever may read only some of a subscription's servers may be refused the list of all.
            Some(Ok(_) | Err(AzureError::Forbidden { .. })) | None => None,
            Some(Err(error)) => Some(Err(error.clone())),
        };
        let read = match read {
            Some(read) => read,
            None => azure.server(server).await,
        };
        found.insert((*server).clone(), read);
    }
    found
}
