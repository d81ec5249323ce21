//! Which storage account, how we sign in to it, and what in it is ours.

use url::{Host, Url};

use crate::azure::{CredentialConfig, Secret};

/// A storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageAccount {
    /// Address of the blob service, such as `https://ACCOUNT.blob.core.windows.net`.
    pub blob: Url,
    /// Address of the queue service.
    pub queue: Url,
    /// How we sign in.
    pub access: StorageAccess,
}

/// How we sign in to a storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageAccess {
    /// With a token of this identity. The rights are roles: Storage Blob Data Contributor and Storage Queue Data
    /// Contributor.
    Identity(CredentialConfig),
    /// With the account's key, which signs every request and never travels.
    Key {
        /// The account's name, as the signature needs it.
        account: String,
        /// The key, in base64.
        key: Secret,
    },
    /// With a shared access signature: the query that is added to every request.
    Sas(Secret),
}

impl StorageAccount {
    /// What people call it: the account's name where it can be told from the address, else the host.
    #[must_use]
    pub fn name(&self) -> &str {
        if let StorageAccess::Key { account, .. } = &self.access {
            return account;
        }
        match self.blob.host() {
            Some(Host::Domain(host)) if host.contains(".blob.") => host.split('.').next().unwrap_or(host),
            _ => {
                let first = self.blob.path_segments().and_then(|mut path| path.next()).filter(|name| !name.is_empty());
                first.or_else(|| self.blob.host_str()).unwrap_or_default()
            }
        }
    }
}

/// Where in Azure Storage we remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureStorageSettings {
    /// The account.
    pub account: StorageAccount,
    /// The blob container, ours alone.
    pub container: String,
    /// The queue of doorbells; the poison queue is called as this one with `-poison` behind it.
    pub queue: String,
}

impl AzureStorageSettings {
    /// The queue to which whatever was set aside is sent; the name is the Functions host's own rule.
    #[must_use]
    pub fn poison_queue(&self) -> String {
        format!("{}-poison", self.queue)
    }
}
