//! Which server depends on which key: remembered from every look, and completed when an incident opens.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::concern::Concerned;
use super::{JobResult, Responder};
use crate::clock::add;
use crate::domain::evidence::{Fact, Protector};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;
use crate::probe;

/// The kind of fact that remembers which key a server's protector names.
pub const SERVER_KEY: &str = "server_key";

/// How long a key that was read counts as read.
const FRESH: SignedDuration = SignedDuration::from_mins(60);
/// At most so many servers are asked for their key when an incident opens.
const DISCOVER: usize = 200;

/// What is remembered of a server between incidents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerKey {
    /// Which server.
    pub server: ResourceId,
    /// Its protector's key.
    pub key: KeyUri,
    /// The vault's resource id, once seen.
    pub vault_id: Option<ResourceId>,
    /// User-assigned identities it has.
    pub identities: Vec<ResourceId>,
}

/// The kind of fact that keeps a protector as it was read when an incident opened.
const PROTECTOR: &str = "protector";
/// How long it is taken for what the first look at the incident would read.
pub(super) const JUST_READ: SignedDuration = SignedDuration::from_secs(30);

impl Responder {
    /// Keeps a protector that was just read for the look that follows, and its key for longer.
    pub(super) async fn keep_protector(&self, server: &ResourceId, protector: &Protector) -> JobResult {
        let Some(uri) = &protector.uri else { return Ok(()) };
        self.remember(server, uri).await?;
        let value = serde_json::to_value(protector).unwrap_or_default();
        Ok(self.store.keep_fact(PROTECTOR, server.key(), &value, self.clock.now()).await?)
    }

    /// The protectors of these servers that were read moments ago.
    pub(super) async fn just_read(&self, servers: &[ResourceId]) -> JobResult<BTreeMap<ResourceId, Protector>> {
        let since = add(self.clock.now(), -JUST_READ);
        let mut read = BTreeMap::new();
        for server in servers {
            if let Some((value, kept)) = self.store.fact(PROTECTOR, server.key()).await?
                && kept >= since
                && let Ok(protector) = serde_json::from_value(value)
            {
                read.insert(server.clone(), protector);
            }
        }
        Ok(read)
    }

    /// Servers that Azure's inventory knows to use the vault. It is not complete, and being without it is no error.
    pub(super) async fn add_from_resource_graph(&self, vault: &ResourceId, concerned: &mut Vec<Concerned>) {
        let Some(host) = self.azure.endpoints().vault_host(vault.name()) else { return };
        let subscriptions = self.policy.scope.subscriptions.clone();
        if let Fact::Known(servers) = probe::servers_of_vault(&self.azure, &host, &subscriptions).await {
            for server in servers {
                if !concerned.iter().any(|one| one.server == server) {
                    let key = match probe::protector(&self.azure, &server).await {
                        Fact::Known(Protector { uri: Some(uri), .. }) if uri.vault == host => uri,
                        _ => continue,
                    };
                    concerned.push(Concerned { server, key: Some(key) });
                }
            }
        }
    }

    /// The server's key, if it was read moments ago: one of many alerts of one loss.
    pub(super) async fn freshly_known(&self, server: &ResourceId) -> JobResult<Option<ServerKey>> {
        let Some((value, kept)) = self.store.fact(SERVER_KEY, server.key()).await? else { return Ok(None) };
        let fresh = self.clock.now() < add(kept, FRESH);
        Ok(serde_json::from_value(value).ok().filter(|_| fresh))
    }

    /// Remembers which key a server needs, for the day when it cannot be asked.
    pub(super) async fn remember(&self, server: &ResourceId, key: &KeyUri) -> JobResult {
        let known = ServerKey { server: server.clone(), key: key.clone(), vault_id: None, identities: Vec::new() };
        let before = self.store.fact(SERVER_KEY, server.key()).await?;
        let before: Option<ServerKey> = before.and_then(|(value, _)| serde_json::from_value(value).ok());
        let known = before.filter(|before| before.key == known.key).unwrap_or(known);
        let value = serde_json::to_value(&known).unwrap_or_default();
        Ok(self.store.keep_fact(SERVER_KEY, server.key(), &value, self.clock.now()).await?)
    }

    pub(super) async fn known_servers(&self) -> JobResult<Vec<ServerKey>> {
        let facts = self.store.facts(SERVER_KEY).await?;
        Ok(facts.into_iter().filter_map(|(_, value, _)| serde_json::from_value(value).ok()).collect())
    }

    /// Everything in the subscription that may depend on a key, as far as it could be listed.
    async fn dependents_in(&self, subscription: &str) -> Vec<ResourceId> {
        let mut all = Vec::new();
        let Ok(scope) = ResourceId::parse(&format!("/subscriptions/{subscription}")) else { return all };
        for (kind, listed) in self.azure.dependents_below(&scope).await {
            match listed {
                Ok(listed) => all.extend(listed.into_keys()),
                Err(error) => {
                    let kind = kind.noun();
                    tracing::info!(%error, kind, "the subscription's could not be listed; their own alerts will name them");
                }
            }
        }
        all
    }

    /// Whatever else in the subscription depends on the vault (servers, managed instances, Synapse workspaces): what takes
    /// the key from one takes it from all, and waiting for each one's alert would mean repairing them one by one.
    pub(super) async fn others_of(&self, vault: &VaultHost, first: &ResourceId) -> JobResult<Vec<Concerned>> {
        let known = self.known_servers().await?;
        let mut all = self.dependents_in(first.subscription()).await;
        all.retain(|server: &ResourceId| server != first && self.policy.scope.covers(server));
        let (told, unknown): (Vec<ResourceId>, Vec<ResourceId>) =
            all.into_iter().partition(|server| known.iter().any(|one| one.server == *server));
        if unknown.len() > DISCOVER {
            tracing::info!(servers = unknown.len(), "too many servers to ask each for its key now");
        }
        let asked: Vec<ResourceId> = unknown.into_iter().take(DISCOVER).collect();
        for (server, protector) in probe::protectors(&self.azure, &asked).await {
            if let Fact::Known(protector @ Protector { customer_managed: true, .. }) = protector {
                self.keep_protector(&server, &protector).await?;
            }
        }
        let known = if asked.is_empty() { known } else { self.known_servers().await? };
        let depends =
            |one: &ServerKey| one.key.vault == *vault && (told.contains(&one.server) || asked.contains(&one.server));
        Ok(known.into_iter().filter(depends).map(|one| Concerned { server: one.server, key: Some(one.key) }).collect())
    }
}
