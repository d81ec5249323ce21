//! What can be asked of Azure: each one request, or one a page for a list.

use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

/// A thing to ask of Azure: one request, or one a page for a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    Server(ResourceId),
    Servers(String),
    Protector(ResourceId),
    LinkedKeys(ResourceId),
    Databases(ResourceId),
    Links(ResourceId),
    Identity(ResourceId),
    Locks(String),
    FindVault(VaultHost),
    Vault(ResourceId),
    Vaults(String),
    DeletedVaults(String),
    Knock(VaultHost),
    /// The key as SQL names it, and the version that is meant.
    Key(ResourceId, KeyUri, Option<String>),
    Versions(ResourceId, KeyUri),
    /// The key with its version, as the vault itself tells it.
    KeyAtVault(KeyUri),
    DeletedKey(KeyUri),
    Assignments(ResourceId, Option<String>),
    Role(ResourceId, String),
    Denials(ResourceId),
    Changes(String, String),
}
