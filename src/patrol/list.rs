//! What there is: every kind of thing that depends on a key, by one list a kind and subscription or resource group.

use std::collections::BTreeSet;

use super::beat::Beat;
use super::estate::{Estate, Known};
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Fact, Server, ServerEvidence};
use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;

/// Lists everything in scope. What is named by itself is read by itself: we may not be allowed to list more.
pub(super) async fn all(beat: &mut Beat<'_>, estate: &mut Estate) {
    some(beat, estate, |_| true).await;
}

/// The same for the kinds of which there are some: another kind can wait for the next round.
pub(super) async fn known_kinds(beat: &mut Beat<'_>, estate: &mut Estate) {
    let known: Vec<Kind> = estate.servers.values().filter_map(|known| known.kind).collect();
    some(beat, estate, |kind| known.contains(&kind)).await;
}

async fn some(beat: &mut Beat<'_>, estate: &mut Estate, wanted: impl Fn(Kind) -> bool) {
    let policy = beat.responder.policy.clone();
    for scope in lists(&policy.scope) {
        for (kind, listed) in beat.responder.azure.some_below(&scope, &wanted).await {
            match listed {
                Ok(listed) => {
                    // Databases with a key of their own are found by the walk, with their servers.
                    let gone = |id: &ResourceId, known: &Known| {
                        known.kind == Some(kind)
                            && kind != Kind::Database
                            && scope.contains(id)
                            && !listed.contains_key(id)
                    };
                    estate.servers.retain(|id, known| !gone(id, known));
                    for (id, server) in listed {
                        if policy.scope.covers(&id) {
                            know(estate, id, server);
                        }
                    }
                }
                Err(error) => beat.round.unread.push(format!("every {} in {scope}: {error}", kind.noun())),
            }
        }
    }
    let named = policy.scope.resources.iter().filter(|id| Kind::of(id).is_some() && policy.scope.covers(id));
    let within = lists(&policy.scope);
    for id in named.filter(|id| !within.iter().any(|scope| scope.contains(id))) {
        match beat.responder.azure.server(id).await {
            Ok(server) => know(estate, id.clone(), server),
            Err(error) => beat.round.unread.push(format!("{}: {error}", id.name())),
        }
    }
}

/// The subscriptions and resource groups that are in scope as a whole.
fn lists(scope: &Scope) -> BTreeSet<ResourceId> {
    let subscriptions = scope.subscriptions.iter();
    let mut lists: BTreeSet<ResourceId> =
        subscriptions.filter_map(|id| ResourceId::parse(&format!("/subscriptions/{id}")).ok()).collect();
    let groups = scope.resources.iter().filter(|id| Kind::of(id).is_none() && id.key_vault().is_none());
    let groups: Vec<ResourceId> = groups.filter(|id| !lists.iter().any(|all| all.contains(id))).cloned().collect();
    lists.extend(groups);
    lists
}

fn know(estate: &mut Estate, id: ResourceId, server: Server) {
    let known = estate.servers.entry(id.clone()).or_insert_with(|| Known::new(ServerEvidence::unread(id)));
    known.seen.server = Fact::Known(server);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).expect("a resource id")
    }

    #[test]
    fn what_is_in_scope_as_a_whole_is_listed_once() {
        let scope = Scope {
            subscriptions: vec!["11111111-2222-3333-4444-555555555555".to_owned()],
            resources: vec![
                id("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-data"),
                id("/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg-data"),
                id(
                    "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Sql/servers/s",
                ),
                id(
                    "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v",
                ),
            ],
            except: Vec::new(),
        };
        let listed: Vec<String> = lists(&scope).iter().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            [
                "/subscriptions/11111111-2222-3333-4444-555555555555",
                "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg-data"
            ]
        );
        assert!(lists(&Scope::default()).is_empty(), "an empty scope is nothing, not everything");
    }
}
