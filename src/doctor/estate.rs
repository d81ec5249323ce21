//! What there is to look after: the servers in scope, their protectors, and the vaults that these name.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;

use super::report::{Check, Fix, Section};
use super::{Patient, SIDE_BY_SIDE};
use crate::azure::{Azure, error::fact};
use crate::domain::evidence::{Fact, Protector, Server, Vault};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;
use crate::probe;

/// So many servers are asked for their protector.
const MOST_SERVERS: usize = 200;
/// So many vaults are looked at.
const MOST_VAULTS: usize = 25;

/// A server whose TDE protector is a customer's key.
#[derive(Debug, Clone)]
pub struct Protected {
    /// Which.
    pub id: ResourceId,
    /// Its user-assigned identities.
    pub identities: Vec<ResourceId>,
}

/// A vault that a protector names.
#[derive(Debug, Clone)]
pub struct FoundVault {
    /// Its host.
    pub host: VaultHost,
    /// One of the keys in it.
    pub key: KeyUri,
    /// How many of the servers that were looked at use it.
    pub servers: usize,
    /// Itself.
    pub vault: Fact<Vault>,
    /// Whether policy lets it be repaired.
    pub in_scope: bool,
}

impl FoundVault {
    /// Its resource, if it could be read.
    #[must_use]
    pub fn known(&self) -> Option<&Vault> {
        self.vault.known()
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// What the scope names: subscriptions, resource groups, servers, vaults.
    pub roots: Vec<ResourceId>,
    /// Subscriptions that hold any of it.
    pub subscriptions: BTreeSet<String>,
    /// Protected servers in scope.
    pub protected: Vec<Protected>,
    /// Vaults they depend on.
    pub vaults: Vec<FoundVault>,
    /// How many servers are in scope.
    servers: usize,
    /// How many were asked for their protector.
    asked: usize,
    /// How many vaults there are beyond those looked at.
    more_vaults: usize,
    /// What could not be read.
    unread: Vec<String>,
}

/// The subscriptions that a scope names, or that hold what it names.
#[must_use]
pub fn subscriptions(scope: &Scope) -> BTreeSet<String> {
    let named = scope.subscriptions.iter().map(|id| id.to_ascii_lowercase());
    named.chain(scope.resources.iter().map(|id| id.subscription().to_ascii_lowercase())).collect()
}

fn roots(scope: &Scope) -> Vec<ResourceId> {
    let subscriptions =
        scope.subscriptions.iter().filter_map(|id| ResourceId::parse(&format!("/subscriptions/{id}")).ok());
    let mut roots: Vec<ResourceId> = subscriptions.collect();
    for resource in &scope.resources {
        if !roots.iter().any(|root| root.contains(resource)) {
            roots.push(resource.clone());
        }
    }
    roots
}

/// Whether servers may lie at or below a root.
#[must_use]
pub fn may_hold_servers(root: &ResourceId) -> bool {
    matches!(
        root.resource_type().as_str(),
        "" | "microsoft.sql/servers" | "microsoft.sql/managedinstances" | "microsoft.synapse/workspaces"
    )
}

/// Whether vaults may lie at or below a root.
#[must_use]
pub fn may_hold_vaults(root: &ResourceId) -> bool {
    matches!(root.resource_type().as_str(), "" | "microsoft.keyvault/vaults")
}

impl Estate {
    /// What the scope says, when nothing could be read.
    #[must_use]
    pub fn unread(scope: &Scope) -> Self {
        Self { roots: roots(scope), subscriptions: subscriptions(scope), ..Self::default() }
    }

    /// What was found, in checks.
    pub(super) fn section(&self) -> Section {
        let mut checks = vec![self.servers_check()];
        checks.extend(self.unread.iter().map(|why| Check::unknown("inventory", why.clone())));
        for vault in self.vaults.iter().filter(|vault| vault.known().is_some() && !vault.in_scope) {
            let said = format!("{} protects servers in scope and is not in scope itself", vault.host);
            let id = vault.known().map(|vault| vault.id.to_string()).unwrap_or_default();
            let fix = Fix::words(format!("Add {id} to scope.resources if Keymend may repair it"));
            checks.push(Check::warning("vault out of scope", said).fix(fix));
        }
        Section { name: "what is looked after", checks }
    }

    fn servers_check(&self) -> Check {
        let (all, asked, protected) = (self.servers, self.asked, self.protected.len());
        let bound = if asked < all { format!(" of the first {asked}") } else { String::new() };
        let vaults = self.vaults.len() + self.more_vaults;
        let bound_vaults =
            if self.more_vaults > 0 { format!(" (the first {} looked at)", self.vaults.len()) } else { String::new() };
        let servers = if all == 1 { "1 server".to_owned() } else { format!("{all} servers") };
        if protected == 0 && self.unread.is_empty() {
            let said = format!("{servers} in scope, and none{bound} is protected by a customer-managed key");
            return Check::warning("servers", said).fix(Fix::words("Check [scope]: it names where the servers are"));
        }
        let vaults = if vaults == 1 { "1 vault".to_owned() } else { format!("{vaults} vaults") };
        let said = format!("{servers}, {protected}{bound} under customer-managed keys of {vaults}{bound_vaults}");
        Check::ok("servers", said)
    }
}

pub(super) async fn look(patient: &Patient<'_>) -> Estate {
    let (azure, scope) = (&patient.azure, &patient.settings.policy.scope);
    let mut estate = Estate::unread(scope);
    let mut servers = BTreeMap::new();
    for (root, found) in listed(azure, &estate.roots).await {
        match found {
            Ok(found) => servers.extend(found),
            Err(error) => estate.unread.push(format!("servers of {root} could not be listed: {error}")),
        }
    }
    servers.retain(|id, _| scope.covers(id));
    estate.servers = servers.len();
    let asked: Vec<ResourceId> = servers.keys().take(MOST_SERVERS).cloned().collect();
    estate.asked = asked.len();
    let mut keys: BTreeMap<VaultHost, (KeyUri, usize)> = BTreeMap::new();
    let mut failed = Vec::new();
    for (id, protector) in probe::protectors(azure, &asked).await {
        match protector {
            Fact::Known(Protector { customer_managed: true, uri, .. }) => {
                if let Some(uri) = uri {
                    keys.entry(uri.vault.clone()).or_insert((uri, 0)).1 += 1;
                }
                let identities = servers.get(&id).map(user_assigned).unwrap_or_default();
                estate.protected.push(Protected { id, identities });
            }
            Fact::Known(_) | Fact::Absent => {}
            Fact::Denied(right) => failed.push(format!("we lack {} on {}", right.action, right.scope)),
            Fact::Unknown(why) => failed.push(why),
        }
    }
    if let Some(why) = failed.first() {
        estate.unread.push(format!("{} protectors could not be read; the first: {why}", failed.len()));
    }
    estate.more_vaults = keys.len().saturating_sub(MOST_VAULTS);
    let find = keys.into_iter().take(MOST_VAULTS).map(|(host, (key, servers))| async move {
        let vault = find_vault(azure, &host).await;
        let in_scope = vault.known().is_some_and(|vault: &Vault| scope.covers(&vault.id));
        FoundVault { host, key, servers, vault, in_scope }
    });
    estate.vaults = futures::stream::iter(find.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE).collect().await;
    estate.subscriptions.extend(
        estate
            .vaults
            .iter()
            .filter(|vault| vault.in_scope)
            .filter_map(|vault| Some(vault.known()?.id.subscription().to_ascii_lowercase())),
    );
    estate
}

type Listed = Result<BTreeMap<ResourceId, Server>, crate::azure::AzureError>;

async fn listed(azure: &Azure, roots: &[ResourceId]) -> Vec<(ResourceId, Listed)> {
    let list = roots.iter().filter(|root| may_hold_servers(root)).map(|root| async move {
        let found = if root.resource_type().is_empty() {
            azure.servers_below(root).await
        } else {
            azure.server(root).await.map(|server| BTreeMap::from([(root.clone(), server)]))
        };
        (root.clone(), found)
    });
    futures::stream::iter(list.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE).collect().await
}

fn user_assigned(server: &Server) -> Vec<ResourceId> {
    server.identity.user_assigned.iter().map(|identity| identity.id.clone()).collect()
}

async fn find_vault(azure: &Azure, host: &VaultHost) -> Fact<Vault> {
    if host.is_managed_hsm() {
        return Fact::Unknown("it is a managed HSM, which is not read: a person repairs it".to_owned());
    }
    match azure.find_vault(host).await {
        Ok(Some(found)) => fact(azure.vault(&found.id).await),
        Ok(None) => Fact::Absent,
        Err(error) => error.into_fact(),
    }
}
