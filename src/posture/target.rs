//! Which chains a named resource has: its own, its server's, or those of everything that depends on it.

use std::collections::BTreeSet;

use crate::azure::{Azure, dependent};
use crate::domain::dependent::Kind;
use crate::domain::evidence::{Fact, Protector};
use crate::domain::key_uri::VaultHost;
use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;
use crate::probe;

/// At most so many servers are asked whether they depend on a vault.
pub const MOST_SERVERS: usize = 200;

/// What a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Something with a protector of its own.
    Dependent(ResourceId),
    /// A database, by the server, instance or workspace whose protector it uses.
    Database {
        /// Whose protector it uses.
        host: ResourceId,
        /// Its name.
        name: String,
    },
    /// A key vault: everything that depends on it.
    Vault(ResourceId),
}

impl Target {
    /// What the id names.
    ///
    /// # Errors
    /// In words, where its key is nothing that can be read.
    pub fn of(id: &ResourceId) -> Result<Self, String> {
        if let Some(vault) = id.key_vault() {
            return Ok(Self::Vault(vault));
        }
        let readable = |id: &ResourceId| dependent::of(id).is_some();
        match id.database_host() {
            Some(host) if host == *id && readable(id) => Ok(Self::Dependent(id.clone())),
            Some(host) if readable(&host) => match id.sql_database() {
                Some(name) => Ok(Self::Database { host, name: name.to_owned() }),
                None => Ok(Self::Dependent(host)),
            },
            Some(host) => {
                let kind = Kind::of(&host).map_or("resource", Kind::noun);
                Err(format!("the key of a {kind} cannot be read by this version of Keymend"))
            }
            None => Err(format!(
                "{} is no SQL server, managed instance, database, Synapse workspace or key vault",
                if id.resource_type().is_empty() {
                    "a subscription or resource group".to_owned()
                } else {
                    id.resource_type()
                }
            )),
        }
    }
}

/// What depends on a vault, as far as could be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependents {
    /// Their ids.
    pub ids: Vec<ResourceId>,
    /// What could not be looked at, in words.
    pub unread: Vec<String>,
}

/// Finds what depends on a vault: those `remembered`, those that Resource Graph names, and every server of the vault's
/// own subscription and of those in scope that says so. One request a subscription and one a server not remembered.
pub async fn dependents(
    azure: &Azure,
    scope: &Scope,
    host: &VaultHost,
    vault: &ResourceId,
    remembered: &[ResourceId],
) -> Dependents {
    let mut found: BTreeSet<ResourceId> = remembered.iter().cloned().collect();
    let mut unread = Vec::new();
    let mut subscriptions: BTreeSet<String> = scope.subscriptions.iter().map(|id| id.to_ascii_lowercase()).collect();
    subscriptions.extend(scope.resources.iter().map(|id| id.subscription().to_ascii_lowercase()));
    subscriptions.insert(vault.subscription().to_ascii_lowercase());
    let subscriptions: Vec<String> = subscriptions.into_iter().collect();
    let mut candidates = BTreeSet::new();
    if let Fact::Known(named) = probe::servers_of_vault(azure, host, &subscriptions).await {
        candidates.extend(named);
    }
    for subscription in &subscriptions {
        match azure.servers_in(subscription).await {
            Ok(servers) => candidates.extend(servers.into_keys()),
            Err(error) => {
                unread.push(format!("the servers of subscription {subscription} could not be listed: {error}"))
            }
        }
    }
    let asked: Vec<ResourceId> = candidates.into_iter().filter(|id| !found.contains(id)).collect();
    if asked.len() > MOST_SERVERS {
        unread.push(format!(
            "{} servers were not asked for their key: more than {MOST_SERVERS}",
            asked.len() - MOST_SERVERS
        ));
    }
    let asked: Vec<ResourceId> = asked.into_iter().take(MOST_SERVERS).collect();
    for (id, protector) in probe::protectors(azure, &asked).await {
        match protector {
            Fact::Known(Protector { uri: Some(uri), .. }) if uri.vault == *host => drop(found.insert(id)),
            Fact::Known(_) | Fact::Absent => {}
            Fact::Denied(right) => {
                unread.push(format!("the protector of {} may not be read: {}", id.name(), right.action))
            }
            Fact::Unknown(why) => unread.push(format!("the protector of {} could not be read: {why}", id.name())),
        }
    }
    Dependents { ids: found.into_iter().collect(), unread }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(&format!("/subscriptions/s/resourceGroups/rg/providers/{text}")).unwrap()
    }

    #[test]
    fn a_resource_is_known_by_its_type() {
        let server = id("Microsoft.Sql/servers/contoso-sql");
        assert_eq!(Target::of(&server), Ok(Target::Dependent(server.clone())));
        let database = id("Microsoft.Sql/servers/contoso-sql/databases/orders");
        assert_eq!(Target::of(&database), Ok(Target::Database { host: server.clone(), name: "orders".to_owned() }));
        let protector = id("Microsoft.Sql/servers/contoso-sql/encryptionProtector/current");
        assert_eq!(Target::of(&protector), Ok(Target::Dependent(server)));
        let vault = id("Microsoft.KeyVault/vaults/contoso-kv");
        assert_eq!(Target::of(&id("Microsoft.KeyVault/vaults/contoso-kv/keys/k")), Ok(Target::Vault(vault)));
        assert!(Target::of(&id("Microsoft.Web/sites/shop")).unwrap_err().contains("microsoft.web/sites"));
    }
}
