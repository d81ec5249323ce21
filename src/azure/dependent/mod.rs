//! Things that depend on a key in a vault: whatever has a TDE protector of its own. One trait, one file a kind.
//!
//! No other room asks what kind of thing an id names: it calls [`Azure::server`], [`Azure::protector`] and so on with the
//! id, and the kind that claims the id knows which requests that takes. A new kind is one file and one line in [`KINDS`].

mod database;
mod managed_instance;
mod sql_server;
pub(in crate::azure) mod synapse_workspace;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Database, LinkedKey, Protector, Server};
use crate::domain::resource_id::ResourceId;

/// How one kind of thing is read, and how its protector is re-validated. The words of [`crate::domain::evidence`] are
/// those of a logical server; another kind answers in them as far as they fit.
#[async_trait]
pub trait Dependent: Sync + std::fmt::Debug {
    /// Which kind.
    fn kind(&self) -> Kind;

    /// The thing itself: region, tags, and the identities by which it may reach its key.
    async fn describe(&self, azure: &Azure, id: &ResourceId) -> Result<Server, AzureError>;

    /// All of its kind below a subscription or a resource group: one request a page. A list is whole or an error; a kind that
    /// is found in another way has none.
    async fn below(&self, _azure: &Azure, _scope: &ResourceId) -> Result<Vec<(ResourceId, Server)>, AzureError> {
        Ok(Vec::new())
    }

    /// Its TDE protector.
    async fn protector(&self, azure: &Azure, id: &ResourceId) -> Result<Protector, AzureError>;

    /// Every customer-managed key linked to it.
    async fn linked_keys(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError>;

    /// The databases that are encrypted through its protector, with their status and settings.
    async fn databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError>;

    /// Those of them that are inaccessible now.
    async fn inaccessible_databases(&self, azure: &Azure, id: &ResourceId) -> Result<Vec<Database>, AzureError>;

    /// Asks SQL to check the protector again and bring the databases back.
    fn revalidate(&self, id: &ResourceId) -> PreparedWrite;

    /// Gives it another `identity` block; `None` where Keymend does not assign identities to this kind.
    fn patch_identity(&self, id: &ResourceId, body: Value) -> Option<PreparedWrite>;
}

/// Every kind.
const KINDS: [&dyn Dependent; 4] = [
    &sql_server::SqlServer,
    &managed_instance::ManagedInstance,
    &database::OwnKeyDatabase,
    &synapse_workspace::SynapseWorkspace,
];

/// The kind that claims the id; none if it names no such thing.
#[must_use]
pub fn of(id: &ResourceId) -> Option<&'static dyn Dependent> {
    let kind = Kind::of(id)?;
    KINDS.into_iter().find(|known| known.kind() == kind)
}

fn known(id: &ResourceId) -> Result<&'static dyn Dependent, AzureError> {
    of(id).ok_or_else(|| AzureError::BadAnswer {
        what: format!("GET {id}"),
        why: "it is nothing whose key Keymend knows how to read".to_owned(),
    })
}

impl PreparedWrite {
    /// Asks SQL to check the protector of what depends on a key again, and bring its databases back; `None` if the id
    /// names no such thing.
    #[must_use]
    pub fn revalidate(id: &ResourceId) -> Option<Self> {
        of(id).map(|kind| kind.revalidate(id))
    }

    /// Gives what depends on a key another `identity` block, such as `{"identity": {"type": "SystemAssigned"}}`; `None`
    /// where Keymend does not assign identities to its kind.
    #[must_use]
    pub fn patch_identity(id: &ResourceId, body: Value) -> Option<Self> {
        of(id)?.patch_identity(id, body)
    }
}

impl Azure {
    /// All of every kind below a subscription or a resource group, by its id: one request a page and kind. A kind whose
    /// list could not be read is answered for by its error.
    pub async fn dependents_below(
        &self,
        scope: &ResourceId,
    ) -> Vec<(Kind, Result<BTreeMap<ResourceId, Server>, AzureError>)> {
        self.some_below(scope, |_| true).await
    }

    /// The same for the kinds that are wanted.
    pub async fn some_below(
        &self,
        scope: &ResourceId,
        wanted: impl Fn(Kind) -> bool,
    ) -> Vec<(Kind, Result<BTreeMap<ResourceId, Server>, AzureError>)> {
        let lists = KINDS.into_iter().filter(|kind| wanted(kind.kind())).map(|kind| async move {
            let listed = kind.below(self, scope).await;
            (kind.kind(), listed.map(|listed| listed.into_iter().collect()))
        });
        futures::future::join_all(lists).await
    }

    /// What depends on a key, by its id.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn server(&self, id: &ResourceId) -> Result<Server, AzureError> {
        known(id)?.describe(self, id).await
    }

    /// Its TDE protector.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn protector(&self, id: &ResourceId) -> Result<Protector, AzureError> {
        known(id)?.protector(self, id).await
    }

    /// Every key linked to it, the service-managed one left out.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn linked_keys(&self, id: &ResourceId) -> Result<Vec<LinkedKey>, AzureError> {
        known(id)?.linked_keys(self, id).await
    }

    /// Its databases with their settings, `master` left out.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn databases(&self, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        known(id)?.databases(self, id).await
    }

    /// The databases that SQL calls inaccessible, now.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn inaccessible_databases(&self, id: &ResourceId) -> Result<Vec<Database>, AzureError> {
        known(id)?.inaccessible_databases(self, id).await
    }
}
