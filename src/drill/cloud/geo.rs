//! Geo-replication: who holds whose secondaries, and by which key. A secondary's data stays encrypted under the key of its
//! primary, so the server that holds it needs that key whatever its own protector is ("both servers" must have access:
//! Microsoft, overview of customer-managed TDE).

use serde_json::{Value, json};

use super::actor::Actor;
use super::break_it::write;
use super::chain::NoAccess;
use super::resources::{Access, Database, Protector};
use super::state::State;
use super::world::ServerSpec;
use crate::domain::resource_id::ResourceId;

impl State {
    /// The primary's server of a geo-secondary.
    fn primary_of(&self, database: &Database) -> Option<usize> {
        let name = database.settings.geo_secondary_of.as_ref()?;
        self.servers.iter().position(|server| server.id.name().eq_ignore_ascii_case(name))
    }

    /// The keys of other servers that a server needs for the geo-secondaries it holds.
    fn keys_of_primaries(&self, server: usize) -> Vec<Protector> {
        let databases = self.servers[server].databases.iter();
        let primaries = databases.filter_map(|database| self.primary_of(database));
        primaries.filter_map(|primary| self.servers[primary].protector.clone()).collect()
    }

    /// Whether a geo-secondary can use the key of its primary. Any other database needs none.
    pub(super) fn access_of_secondary(&self, server: usize, database: usize) -> Result<(), NoAccess> {
        let primary = self.primary_of(&self.servers[server].databases[database]);
        let Some(protector) = primary.and_then(|primary| self.servers[primary].protector.as_ref()) else {
            return Ok(());
        };
        let holder = &self.servers[server];
        self.access_by(holder.id.name(), protector, holder.effective_principal())
    }

    /// The grants that partners have when the story begins.
    pub(super) fn grant_partners(&mut self, specs: &[ServerSpec]) {
        for server in 0..self.servers.len() {
            let name = self.servers[server].id.name();
            let granted = specs.iter().any(|spec| spec.name == name && spec.granted);
            let Some((principal, _)) = self.servers[server].effective_principal().filter(|_| granted) else { continue };
            let own = self.servers[server].protector.as_ref().map(|own| (own.vault.clone(), own.key.clone()));
            for protector in self.keys_of_primaries(server) {
                let other = own.as_ref() != Some(&(protector.vault.clone(), protector.key.clone()));
                if let Some(vault) = self.vault_named(&protector.vault).filter(|_| other) {
                    self.give_access(vault, &principal, &protector.key, self.now);
                }
            }
        }
    }

    /// Takes what a server's identity may do in a vault, or in those of the primaries whose secondaries it holds.
    pub(super) fn revoke_from_primaries(&mut self, server: usize, vault: Option<&str>, by: Option<&Actor>) {
        let Some((principal, _)) = self.servers[server].effective_principal() else { return };
        let of_primaries = || self.keys_of_primaries(server).into_iter().map(|protector| protector.vault).collect();
        let vaults: Vec<String> = vault.map_or_else(of_primaries, |vault| vec![vault.to_owned()]);
        for vault in vaults {
            if let Some(vault) = self.vault_named(&vault) {
                self.revoke_on(vault, &principal, by);
            }
        }
        self.something_changed();
    }

    /// Makes the geo-secondaries of a server databases of their own, under its own key.
    pub(super) fn end_replication(&mut self, server: usize, by: Option<&Actor>) {
        let links = self.replication_links(server).into_iter().filter(|link| link["properties"]["role"] == "Secondary");
        let ended: Vec<ResourceId> =
            links.filter_map(|link| ResourceId::parse(link["id"].as_str().unwrap_or_default()).ok()).collect();
        for database in &mut self.servers[server].databases {
            database.settings.geo_secondary_of = None;
            database.settings.failover_group = None;
        }
        for link in ended {
            let operation = "Microsoft.Sql/servers/databases/replicationLinks/delete";
            self.record(&write(by, operation, &link, "DELETE"), Value::Null);
        }
        self.something_changed();
    }

    /// The links of a server's databases, as each of their ends tells them (`ReplicationLink`, 2025-01-01).
    pub(super) fn replication_links(&self, server: usize) -> Vec<Value> {
        let own = &self.servers[server];
        let mut links = Vec::new();
        for holder in &self.servers {
            for secondary in &holder.databases {
                let broken = matches!(secondary.access, Access::Lost { .. });
                let Some(primary) = self.primary_of(secondary).filter(|_| !broken) else { continue };
                let name = secondary.id.name();
                let Ok(there) = self.servers[primary].id.child("databases", name) else { continue };
                if primary == server {
                    links.push(self.link(&there, &secondary.id, &holder.location, true));
                } else if holder.id == own.id {
                    links.push(self.link(&secondary.id, &there, &self.servers[primary].location, false));
                }
            }
        }
        links
    }

    fn link(&self, here: &ResourceId, there: &ResourceId, location: &str, primary: bool) -> Value {
        let mut ends = [here.key(), there.key()];
        ends.sort_unstable();
        let name = self.guid(&format!("link|{}", ends.join("|")));
        let role = |primary| if primary { "Primary" } else { "Secondary" };
        let partner = there.database_host();
        json!({
            "id": format!("{here}/replicationLinks/{name}"),
            "name": name,
            "type": "Microsoft.Sql/servers/databases/replicationLinks",
            "properties": {
                "partnerServer": partner.as_ref().map(ResourceId::name),
                "partnerDatabase": there.name(),
                "partnerDatabaseId": there,
                "partnerLocation": location,
                "role": role(primary),
                "partnerRole": role(!primary),
                "replicationMode": "ASYNC",
                "startTime": self.servers[0].created,
                "percentComplete": 100,
                "replicationState": "CATCH_UP",
                "isTerminationAllowed": true,
                "linkType": "GEO",
            },
        })
    }
}
