//! What the patrol needs of the responder's memory.

use super::{Responder, inventory};
use crate::domain::evidence::{Evidence, Protector, ServerEvidence};
use crate::domain::incident::Incident;
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::store::StoreError;

impl Responder {
    /// Every server that is remembered, as it was read last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn servers_seen(&self) -> Result<Vec<ServerEvidence>, StoreError> {
        let facts = self.store.facts(super::glance::SERVER_SEEN).await?;
        Ok(facts.into_iter().filter_map(|(_, value, _)| serde_json::from_value(value).ok()).collect())
    }

    /// The vault's resource id, from what is remembered of these servers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn vault_id_of(
        &self,
        vault: &VaultHost,
        servers: &[ResourceId],
    ) -> Result<Option<ResourceId>, StoreError> {
        let Some(first) = servers.first() else { return Ok(None) };
        let known = self.store.fact(inventory::SERVER_KEY, first.key()).await?;
        let known: Option<inventory::ServerKey> = known.and_then(|(value, _)| serde_json::from_value(value).ok());
        Ok(known.filter(|known| known.key.vault == *vault).and_then(|known| known.vault_id))
    }

    /// The walk read a server: which key it needs, and how it stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn patrol_saw(&self, seen: &ServerEvidence, protector: &Protector) -> Result<(), StoreError> {
        if let Some(uri) = protector.uri.as_ref().filter(|_| protector.customer_managed) {
            self.remember(&seen.id, uri).await.map_err(store_error)?;
        }
        self.keep_server_seen(seen).await
    }

    /// A glance told where the vault is: remembered once, for the glances to come.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn patrol_found_vault(&self, draft: &Incident, evidence: &Evidence) -> Result<(), StoreError> {
        let Some(host) = &draft.vault else { return Ok(()) };
        let servers: Vec<ResourceId> = draft.servers().cloned().collect();
        if self.vault_id_of(host, &servers).await?.is_some() {
            return Ok(());
        }
        self.remember_vault(&mut draft.clone(), evidence).await.map_err(store_error)
    }
}

fn store_error(error: super::JobError) -> StoreError {
    match error {
        super::JobError::Store(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}
