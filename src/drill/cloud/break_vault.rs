//! Breaks of vaults and keys, locks and tags.

use serde_json::{Value, json};

use super::actor::Actor;
use super::arm::vaults::{changed_properties, vault_json};
use super::break_it::{Missing, write};
use super::resources::{Deleted, KeyVersion, Lock, Vault};
use super::state::{Event, State, after_minutes};
use crate::domain::resource_id::ResourceId;

const DAY_MINUTES: f64 = 1440.0;

impl State {
    pub(super) fn purge_vault(&mut self, at: usize, by: Option<&Actor>) {
        if self.vaults[at].deleted.is_none() {
            self.log_vault(at, "delete", "DELETE", by, Value::Null);
            self.delete_vault(at);
        }
        let vault = self.vaults.remove(at);
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
            self.world.subscription,
            vault.location,
            vault.name()
        );
        if let Ok(target) = ResourceId::parse(&path) {
            let operation = "Microsoft.KeyVault/locations/deletedVaults/purge/action";
            self.record(&write(by, operation, &target, "POST"), Value::Null);
        }
        self.something_changed();
    }

    pub(super) fn log_vault(&mut self, at: usize, verb: &str, method: &str, by: Option<&Actor>, what: Value) {
        let id = self.vaults[at].id.clone();
        self.record(&write(by, &format!("Microsoft.KeyVault/vaults/{verb}"), &id, method), what);
    }

    pub(super) fn change_vault(
        &mut self,
        name: &Option<String>,
        by: Option<&Actor>,
        change: impl Fn(&mut Vault),
    ) -> Result<(), Missing> {
        self.each_vault(name, |state, at| {
            let before = vault_json(state, &state.vaults[at]);
            change(&mut state.vaults[at]);
            let what = changed_properties(&before, &vault_json(state, &state.vaults[at]));
            state.log_vault(at, "write", "PATCH", by, what);
            state.something_changed();
        })
    }

    pub(super) fn fail_until(&mut self, at: usize, until: jiff::Timestamp) {
        self.vaults[at].failing_until = until;
        self.schedule(until, Event::Touch);
        self.something_changed();
    }

    pub(super) fn delete_key(&mut self, vault: usize, at: usize) {
        let days = f64::from(self.vaults[vault].soft_delete_days);
        let purge_at = after_minutes(self.now, days * DAY_MINUTES);
        self.vaults[vault].keys[at].deleted = Some(Deleted { at: self.now, purge_at });
        self.keys_changed();
    }

    /// New material under the old name: beside the old versions, or instead of them.
    pub(super) fn replace_key(&mut self, vault: usize, at: usize, keep: bool) {
        let label = format!("replaced|{}|{}", self.vaults[vault].keys[at].name, self.now);
        let (id, thumbprint) = (self.guid(&label).replace('-', ""), self.thumbprint(&label));
        let now = self.now;
        let key = &mut self.vaults[vault].keys[at];
        let Some(newest) = key.versions.last().cloned() else { return };
        if !keep {
            key.versions.clear();
        }
        key.versions.push(KeyVersion { id, thumbprint, created: now, updated: now, tags: None, ..newest });
        key.deleted = None;
        if keep {
            super::rotation::announce(self, vault, at);
        }
        self.keys_changed();
    }

    pub(super) fn scope_or_vault(&self, scope: Option<&str>) -> Result<ResourceId, Missing> {
        match scope {
            Some(text) => ResourceId::parse(text).map_err(|error| format!("'{text}': {error}")),
            None => self.vaults.first().map(|vault| vault.id.clone()).ok_or_else(|| "there is no vault".to_owned()),
        }
    }

    pub(super) fn add_lock(
        &mut self,
        scope: Option<&str>,
        level: Option<&str>,
        by: Option<&Actor>,
    ) -> Result<(), Missing> {
        let scope = self.scope_or_vault(scope)?;
        let lock = Lock { name: "do-not-touch".to_owned(), level: level.unwrap_or("ReadOnly").to_owned(), scope };
        let path = format!("{}/providers/Microsoft.Authorization/locks/{}", lock.scope, lock.name);
        let what = json!({ "properties.level": lock.level });
        self.locks.push(lock);
        if let Ok(target) = ResourceId::parse(&path) {
            self.record(&write(by, "Microsoft.Authorization/locks/write", &target, "PUT"), what);
        }
        self.something_changed();
        Ok(())
    }

    pub(super) fn remove_lock(&mut self, scope: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
        let scope = self.scope_or_vault(scope)?;
        let before = self.locks.len();
        self.locks.retain(|lock| lock.scope != scope);
        if self.locks.len() == before {
            return Err(format!("there is no lock at '{scope}'"));
        }
        self.record(&write(by, "Microsoft.Authorization/locks/delete", &scope, "DELETE"), json!({}));
        self.something_changed();
        Ok(())
    }

    pub(super) fn set_tag(
        &mut self,
        target: Option<&str>,
        name: &str,
        value: Option<&str>,
        by: Option<&Actor>,
    ) -> Result<(), Missing> {
        let target = self.scope_or_vault(target)?;
        let key = target.as_str().to_ascii_lowercase().find("/keys/").map(|at| target.as_str()[at + 6..].to_owned());
        let vault = target.key_vault().and_then(|id| self.vault_at(&id));
        if let (Some(vault), Some(key)) = (vault, &key) {
            let found = self.vaults[vault].keys.iter_mut().find(|one| one.name.eq_ignore_ascii_case(key));
            let newest = found.and_then(|key| key.versions.last_mut()).ok_or_else(|| format!("no key '{target}'"))?;
            let tags = newest.tags.get_or_insert_with(|| json!({}));
            match (value, tags.as_object_mut()) {
                (Some(value), Some(tags)) => drop(tags.insert(name.to_owned(), json!(value))),
                (None, Some(tags)) => drop(tags.remove(name)),
                _ => {}
            }
            self.something_changed();
            return Ok(());
        }
        let server = self.server_at(&target);
        let database = self.servers.iter_mut().flat_map(|server| &mut server.databases).find(|one| one.id == target);
        let (tags, operation) = match (vault, database, server) {
            (Some(at), _, _) => (&mut self.vaults[at].tags, "Microsoft.KeyVault/vaults/write"),
            (None, Some(database), _) => (&mut database.settings.tags, "Microsoft.Sql/servers/databases/write"),
            (None, None, Some(at)) => (&mut self.servers[at].tags, "Microsoft.Sql/servers/write"),
            (None, None, None) => return Err(format!("there is no server, database, vault or key '{target}'")),
        };
        match value {
            Some(value) => drop(tags.insert(name.to_owned(), value.to_owned())),
            None => drop(tags.remove(name)),
        }
        self.record(&write(by, operation, &target, "PATCH"), json!({ format!("tags.{name}"): { "newValue": value } }));
        self.something_changed();
        Ok(())
    }
}
