//! A database by name, and its id.

use serde::{Deserialize, Serialize};

use crate::domain::dependent::Kind;
use crate::domain::resource_id::ResourceId;

/// A database by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DatabaseRef {
    /// Its server.
    pub server: ResourceId,
    /// Its name.
    pub name: String,
}

impl DatabaseRef {
    /// Its own id, if it has one that can be made: a database with a key of its own stands in its server's place.
    #[must_use]
    pub fn id(&self) -> Option<ResourceId> {
        database_id(&self.server, &self.name)
    }
}

/// The id of a database by name on what holds it, or that itself where it is the database.
#[must_use]
pub fn database_id(host: &ResourceId, name: &str) -> Option<ResourceId> {
    match Kind::of(host) {
        Some(Kind::Database) => Some(host.clone()),
        Some(Kind::SynapseWorkspace) => host.child("sqlPools", name).ok(),
        _ => host.child("databases", name).ok(),
    }
}
