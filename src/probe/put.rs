//! Puts a request of a wave to Azure, and its answer on the board.

use futures::future::BoxFuture;

use crate::azure::Azure;
use crate::azure::error::fact;
use crate::clock::add;
use crate::probe::Question;
use crate::probe::ask::Ask;
use crate::probe::board::Board;

/// Puts an answer on the board.
pub(super) type Note = Box<dyn FnOnce(&mut Board<'_>) + Send>;

impl Ask {
    /// Asks, and answers with a note for the board.
    pub fn put<'a>(self, azure: &'a Azure, question: &'a Question) -> BoxFuture<'a, Note> {
        Box::pin(async move {
            match self {
                Self::Server(id) => {
                    let answer = fact(azure.server(&id).await);
                    note(move |board| drop(board.servers.insert(id, answer)))
                }
                Self::Servers(subscription) => {
                    let answer = fact(azure.servers_in(&subscription).await);
                    note(move |board| drop(board.server_lists.insert(subscription, answer)))
                }
                Self::Protector(id) => {
                    let answer = fact(azure.protector(&id).await);
                    note(move |board| drop(board.protectors.insert(id, answer)))
                }
                Self::LinkedKeys(id) => {
                    let answer = fact(azure.linked_keys(&id).await);
                    note(move |board| drop(board.linked_keys.insert(id, answer)))
                }
                Self::Databases(id) => {
                    let answer = fact(azure.databases(&id).await);
                    note(move |board| drop(board.databases.insert(id, answer)))
                }
                Self::Links(id) => {
                    let answer = fact(azure.replication_links(&id).await);
                    note(move |board| drop(board.links.insert(id, answer)))
                }
                Self::Identity(id) => {
                    let answer = fact(azure.user_assigned_identity(&id).await);
                    note(move |board| drop(board.identities.insert(id, answer)))
                }
                Self::Locks(subscription) => {
                    let answer = fact(azure.locks(&subscription).await);
                    note(move |board| drop(board.locks.insert(subscription, answer)))
                }
                Self::Changes(subscription, group) => {
                    let from = add(question.now, -question.look_back);
                    let answer = fact(azure.changes(&subscription, &group, from, question.now).await);
                    note(move |board| drop(board.changes.insert((subscription, group), answer)))
                }
                of_a_vault => of_a_vault.put_to_vault(azure).await,
            }
        })
    }

    async fn put_to_vault(self, azure: &Azure) -> Note {
        match self {
            Self::FindVault(host) => {
                let answer = fact(azure.find_vault(&host).await);
                note(move |board| board.found = Some(answer))
            }
            Self::Vault(id) => {
                let answer = fact(azure.vault(&id).await);
                note(move |board| drop(board.vaults.insert(id, answer)))
            }
            Self::Vaults(subscription) => {
                let answer = fact(azure.vaults_in(&subscription).await);
                note(move |board| drop(board.vault_lists.insert(subscription, answer)))
            }
            Self::DeletedVaults(subscription) => {
                let answer = fact(azure.deleted_vaults(&subscription).await);
                note(move |board| drop(board.deleted_vaults.insert(subscription, answer)))
            }
            Self::Knock(host) => {
                let answer = fact(azure.vault_answers(&host).await);
                note(move |board| board.reachable = Some(answer))
            }
            Self::Key(vault, uri, version) => {
                let answer = fact(azure.key_version(&vault, &uri.key, version.as_deref()).await);
                note(move |board| drop(board.key_versions.insert(uri, answer)))
            }
            Self::Versions(vault, uri) => {
                let answer = fact(azure.key_versions(&vault, &uri.key).await);
                note(move |board| drop(board.version_lists.insert(uri, answer)))
            }
            Self::KeyAtVault(uri) => {
                let answer = fact(azure.key_at_vault(&uri).await);
                note(move |board| drop(board.keys_at_vault.insert(uri, answer)))
            }
            Self::DeletedKey(uri) => {
                let answer = fact(azure.deleted_key(&uri).await);
                note(move |board| drop(board.deleted_keys.insert(uri, answer)))
            }
            Self::Assignments(vault, principal) => {
                let answer = fact(azure.role_assignments(&vault, principal.as_deref()).await);
                note(move |board| drop(board.assignments.insert(principal, answer)))
            }
            Self::Role(vault, role) => {
                let answer = fact(azure.role(&vault, &role).await);
                note(move |board| drop(board.roles.insert(role, answer)))
            }
            Self::Denials(vault) => {
                let answer = fact(azure.deny_assignments(&vault).await);
                note(move |board| board.denials = Some(answer))
            }
            _ => note(|_| ()),
        }
    }
}

fn note(put: impl FnOnce(&mut Board<'_>) + Send + 'static) -> Note {
    Box::new(put)
}
