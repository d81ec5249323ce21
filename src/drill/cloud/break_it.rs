//! Carries out what a [`Break`] says, and writes to the Activity Log what Azure would.

use serde_json::{Value, json};

use super::activity_log::{Actor, Write};
use super::arm::vaults::{changed_properties, vault_json};
use super::breaks::{Break, KeyRef, What};
use super::state::{Deleted, Deny, Event, KeyVersion, Lock, State, after_minutes};
use super::world::PermissionModel;
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

const DAY_MINUTES: f64 = 1440.0;

/// Why something cannot be done: there is nothing of that name.
pub(crate) type Missing = String;

impl State {
    /// Does it.
    pub(crate) fn break_it(&mut self, what: &Break) -> Result<(), Missing> {
        let by = what.by.as_ref();
        match &what.what {
            What::RemoveIdentity { server } => self.each_server(server, |state, at| state.set_identity(at, false, by)),
            What::AssignIdentity { server } => self.each_server(server, |state, at| state.set_identity(at, true, by)),
            What::RevokePermission { server } => self.each_server(server, |state, at| state.revoke(at, by)),
            What::GrantPermission { server } => self.each_server(server, |state, at| state.grant(at, by)),
            What::AddDeny { server } => self.each_server(server, |state, at| state.deny(at, by)),
            What::RemoveDeny { server } => self.each_server(server, |state, at| state.undeny(at)),
            What::DeleteVault { vault } => self.each_vault(vault, |state, at| {
                state.log_vault(at, "delete", "DELETE", by, Value::Null);
                state.delete_vault(at);
            }),
            What::PurgeVault { vault } => self.each_vault(vault, |state, at| state.purge_vault(at, by)),
            What::RecoverVault { vault } => self.each_vault(vault, |state, at| {
                state.recover_vault(at);
                state.log_vault(at, "write", "PUT", by, json!({}));
            }),
            What::FirewallVault { vault, ip_rules } => {
                let rules = ip_rules.clone().unwrap_or_else(|| vec!["203.0.113.0/24".to_owned()]);
                self.change_vault(vault, by, |vault| {
                    "None".clone_into(&mut vault.network.bypass);
                    "Deny".clone_into(&mut vault.network.default_action);
                    vault.network.ip_rules.clone_from(&rules);
                })
            }
            What::PerimeterVault { vault } => self.change_vault(vault, by, |vault| {
                "SecuredByPerimeter".clone_into(&mut vault.network.public_network_access);
            }),
            What::OpenFirewall { vault } => self.change_vault(vault, by, |vault| {
                "AzureServices".clone_into(&mut vault.network.bypass);
                if vault.network.public_network_access.eq_ignore_ascii_case("SecuredByPerimeter") {
                    "Enabled".clone_into(&mut vault.network.public_network_access);
                }
            }),
            What::SwitchPermissionModel { vault } => self.change_vault(vault, by, |vault| {
                vault.model = match vault.model {
                    PermissionModel::Rbac => PermissionModel::Policy,
                    PermissionModel::Policy => PermissionModel::Rbac,
                };
            }),
            What::VaultOutage { vault, minutes } => {
                let until = after_minutes(self.now, minutes.unwrap_or(60.0));
                self.each_vault(vault, |state, at| state.fail_until(at, until))
            }
            What::EndOutage { vault } => self.each_vault(vault, |state, at| state.fail_until(at, state.now)),
            What::DeleteKey(key) => self.each_key(key, State::delete_key),
            What::PurgeKey(key) => self.each_key(key, |state, vault, at| {
                state.vaults[vault].keys.remove(at);
                state.keys_changed();
            }),
            What::RecoverKey(key) => self.each_key(key, State::recover_key),
            What::DisableKey(key) => self.each_version(key, |version, _| version.enabled = false),
            What::EnableKey(key) => self.each_version(key, |version, _| version.enabled = true),
            What::ExpireKey(key) => self.each_version(key, |version, now| version.expires = Some(now - 60)),
            What::ExtendKey(key) => self.each_version(key, |version, now| version.expires = Some(now + 365 * 86_400)),
            What::ReplaceKey { key, new_version_only } => {
                let keep = *new_version_only;
                self.each_key(key, |state, vault, at| state.replace_key(vault, at, keep))
            }
            What::AddLock { scope, level } => self.add_lock(scope.as_deref(), level.as_deref(), by),
            What::RemoveLock { scope } => self.remove_lock(scope.as_deref(), by),
            What::SetTag { target, name, value } => self.set_tag(target.as_deref(), name, value.as_deref(), by),
            What::DeleteUami { identity } => self.delete_identity(identity.as_deref(), by),
            What::RevokeResponderRight { action } => self.revoke_right(action),
            What::GrantResponderRight { action } => {
                self.grant_right(action);
                Ok(())
            }
            What::PostAlert { server, database } => self.post_alert(server.as_deref(), database.as_deref()),
        }
    }

    fn each_server(&mut self, name: &Option<String>, act: impl Fn(&mut Self, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.servers.iter().map(|server| server.id.name()).collect();
        for at in select(&names, name.as_deref(), "server")? {
            act(self, at);
        }
        Ok(())
    }

    fn each_vault(&mut self, name: &Option<String>, act: impl Fn(&mut Self, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.vaults.iter().map(|vault| vault.name()).collect();
        // From the last, since a purged one is taken out of the list.
        for at in select(&names, name.as_deref(), "vault")?.into_iter().rev() {
            act(self, at);
        }
        Ok(())
    }

    fn each_key(&mut self, key: &KeyRef, act: impl Fn(&mut Self, usize, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.vaults.iter().map(|vault| vault.name()).collect();
        for vault in select(&names, key.vault.as_deref(), "vault")? {
            let names: Vec<&str> = self.vaults[vault].keys.iter().map(|key| key.name.as_str()).collect();
            for at in select(&names, key.key.as_deref(), "key")?.into_iter().rev() {
                act(self, vault, at);
            }
        }
        Ok(())
    }

    fn each_version(&mut self, key: &KeyRef, act: impl Fn(&mut KeyVersion, i64)) -> Result<(), Missing> {
        self.each_key(key, |state, vault, at| {
            let now = state.now;
            let versions = &mut state.vaults[vault].keys[at].versions;
            let newest = versions.last().map(|version| version.id.clone()).unwrap_or_default();
            let wanted = key.version.clone().unwrap_or(newest);
            for version in versions.iter_mut().filter(|one| wanted == "*" || one.id.eq_ignore_ascii_case(&wanted)) {
                act(version, now.as_second());
                version.updated = now;
            }
            state.keys_changed();
        })
    }

    /// Data-plane changes are in no Activity Log.
    fn keys_changed(&mut self) {
        self.queue_key_dates();
        self.something_changed();
    }

    fn something_changed(&mut self) {
        self.changed += 1;
        self.touch();
    }

    fn set_identity(&mut self, at: usize, assigned: bool, by: Option<&Actor>) {
        let body = json!({ "identity": { "type": if assigned { "SystemAssigned" } else { "None" } } });
        super::arm::server_change::apply(self, at, &body);
        let id = self.servers[at].id.clone();
        self.record(&write(by, "Microsoft.Sql/servers/write", &id, "PATCH"), body);
        self.something_changed();
    }

    fn revoke(&mut self, at: usize, by: Option<&Actor>) {
        let server = &self.servers[at];
        let Some(((principal, _), protector)) = server.effective_principal().zip(server.protector.clone()) else {
            return;
        };
        let Some(vault) = self.vault_named(&protector.vault) else { return };
        let id = self.vaults[vault].id.clone();
        if self.vaults[vault].model == PermissionModel::Policy {
            let before = vault_json(self, &self.vaults[vault]);
            self.vaults[vault].policies.retain(|policy| !policy.object_id.eq_ignore_ascii_case(&principal));
            let what = changed_properties(&before, &vault_json(self, &self.vaults[vault]));
            if let Ok(target) = id.child("accessPolicies", "remove") {
                self.record(&write(by, "Microsoft.KeyVault/vaults/accessPolicies/write", &target, "PUT"), what);
            }
        } else {
            let on_keys = |scope: &ResourceId| scope.contains(&id) || id.contains(scope);
            let lost = self
                .assignments
                .iter()
                .filter(|one| one.principal.eq_ignore_ascii_case(&principal) && on_keys(&one.scope));
            let lost: Vec<_> = lost.cloned().collect();
            for one in &lost {
                let path = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", one.scope, one.name);
                if let Ok(target) = ResourceId::parse(&path) {
                    let what = json!({ "principalId": one.principal, "roleDefinitionId": one.role });
                    self.record(&write(by, "Microsoft.Authorization/roleAssignments/delete", &target, "DELETE"), what);
                }
            }
            self.assignments.retain(|one| lost.iter().all(|gone| gone.name != one.name));
        }
        self.something_changed();
    }

    fn grant(&mut self, at: usize, by: Option<&Actor>) {
        let server = &self.servers[at];
        let Some(((principal, _), protector)) = server.effective_principal().zip(server.protector.clone()) else {
            return;
        };
        let Some(vault) = self.vault_named(&protector.vault) else { return };
        let label = format!("grant|{principal}|{}", self.now);
        let effective = add(self.now, self.draw_minutes(self.world.timing.propagation, &label));
        self.give_access(vault, &principal, &protector.key, effective);
        self.schedule(effective, Event::Touch);
        let id = self.vaults[vault].id.clone();
        let operation = if self.vaults[vault].model == PermissionModel::Policy {
            "Microsoft.KeyVault/vaults/accessPolicies/write"
        } else {
            "Microsoft.Authorization/roleAssignments/write"
        };
        self.record(&write(by, operation, &id, "PUT"), json!({ "principalId": principal }));
        self.something_changed();
    }

    fn deny(&mut self, at: usize, by: Option<&Actor>) {
        let server = &self.servers[at];
        let Some(((principal, _), protector)) = server.effective_principal().zip(server.protector.clone()) else {
            return;
        };
        let Some(vault) = self.vault_named(&protector.vault) else { return };
        let scope = self.vaults[vault].id.clone();
        let id = self.new_guid(&format!("deny|{principal}"));
        self.denies.push(Deny {
            id,
            name: format!("Deny keys to {}", self.servers[at].id.name()),
            scope: scope.clone(),
            principals: vec![principal],
            actions: Vec::new(),
            data_actions: vec!["Microsoft.KeyVault/vaults/keys/*".to_owned()],
        });
        self.record(&write(by, "Microsoft.Authorization/denyAssignments/write", &scope, "PUT"), json!({}));
        self.something_changed();
    }

    fn undeny(&mut self, at: usize) {
        if let Some((principal, _)) = self.servers[at].effective_principal() {
            self.denies.retain(|deny| deny.principals.iter().all(|bound| !bound.eq_ignore_ascii_case(&principal)));
        }
        self.something_changed();
    }

    fn purge_vault(&mut self, at: usize, by: Option<&Actor>) {
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

    fn log_vault(&mut self, at: usize, verb: &str, method: &str, by: Option<&Actor>, what: Value) {
        let id = self.vaults[at].id.clone();
        self.record(&write(by, &format!("Microsoft.KeyVault/vaults/{verb}"), &id, method), what);
    }

    fn change_vault(
        &mut self,
        name: &Option<String>,
        by: Option<&Actor>,
        change: impl Fn(&mut super::state::Vault),
    ) -> Result<(), Missing> {
        self.each_vault(name, |state, at| {
            let before = vault_json(state, &state.vaults[at]);
            change(&mut state.vaults[at]);
            let what = changed_properties(&before, &vault_json(state, &state.vaults[at]));
            state.log_vault(at, "write", "PATCH", by, what);
            state.something_changed();
        })
    }

    fn fail_until(&mut self, at: usize, until: jiff::Timestamp) {
        self.vaults[at].failing_until = until;
        self.schedule(until, Event::Touch);
        self.something_changed();
    }

    fn delete_key(&mut self, vault: usize, at: usize) {
        let days = f64::from(self.vaults[vault].soft_delete_days);
        let purge_at = after_minutes(self.now, days * DAY_MINUTES);
        self.vaults[vault].keys[at].deleted = Some(Deleted { at: self.now, purge_at });
        self.keys_changed();
    }

    /// New material under the old name: beside the old versions, or instead of them.
    fn replace_key(&mut self, vault: usize, at: usize, keep: bool) {
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
        self.keys_changed();
    }

    fn scope_or_vault(&self, scope: Option<&str>) -> Result<ResourceId, Missing> {
        match scope {
            Some(text) => ResourceId::parse(text).map_err(|error| format!("'{text}': {error}")),
            None => self.vaults.first().map(|vault| vault.id.clone()).ok_or_else(|| "there is no vault".to_owned()),
        }
    }

    fn add_lock(&mut self, scope: Option<&str>, level: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
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

    fn remove_lock(&mut self, scope: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
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

    fn set_tag(
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
        let (tags, operation) = match (vault, server) {
            (Some(at), _) => (&mut self.vaults[at].tags, "Microsoft.KeyVault/vaults/write"),
            (None, Some(at)) => (&mut self.servers[at].tags, "Microsoft.Sql/servers/write"),
            (None, None) => return Err(format!("there is no server, vault or key '{target}'")),
        };
        match value {
            Some(value) => drop(tags.insert(name.to_owned(), value.to_owned())),
            None => drop(tags.remove(name)),
        }
        self.record(&write(by, operation, &target, "PATCH"), json!({ format!("tags.{name}"): { "newValue": value } }));
        self.something_changed();
        Ok(())
    }

    fn delete_identity(&mut self, name: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
        let names: Vec<&str> = self.identities.iter().map(|identity| identity.id.name()).collect();
        for at in select(&names, name, "user-assigned identity")?.into_iter().rev() {
            let gone = self.identities.remove(at);
            self.principals.remove(&gone.principal.to_ascii_lowercase());
            let operation = "Microsoft.ManagedIdentity/userAssignedIdentities/delete";
            self.record(&write(by, operation, &gone.id, "DELETE"), Value::Null);
        }
        self.something_changed();
        Ok(())
    }

    fn revoke_right(&mut self, action: &str) -> Result<(), Missing> {
        let mut found = false;
        for role in self.roles.iter_mut().filter(|role| !role.built_in) {
            for list in [&mut role.actions, &mut role.data_actions] {
                let before = list.len();
                list.retain(|held| !held.eq_ignore_ascii_case(action));
                found |= list.len() < before;
            }
        }
        self.changed += 1;
        if found { Ok(()) } else { Err(format!("the responder has no right '{action}'")) }
    }

    fn grant_right(&mut self, action: &str) {
        let on_keys = action.to_ascii_lowercase().starts_with("microsoft.keyvault/vaults/keys/")
            && !action.eq_ignore_ascii_case("microsoft.keyvault/vaults/keys/versions/read");
        let id = self.guid(&format!("role|granted|{action}"));
        let list = vec![action.to_owned()];
        let (actions, data_actions) = if on_keys { (list.clone(), list) } else { (list, Vec::new()) };
        self.roles.push(super::state::Role {
            id: id.clone(),
            name: format!("Granted {action}"),
            built_in: false,
            actions,
            not_actions: Vec::new(),
            data_actions,
            not_data_actions: Vec::new(),
        });
        let scope = format!("/subscriptions/{}", self.world.subscription);
        if let Ok(scope) = ResourceId::parse(&scope) {
            let responder = self.world.responder.object_id.clone();
            self.assign(&scope, &id, &responder);
        }
        self.changed += 1;
    }

    fn post_alert(&mut self, server: Option<&str>, database: Option<&str>) -> Result<(), Missing> {
        let names: Vec<&str> = self.servers.iter().map(|server| server.id.name()).collect();
        for server in select(&names, server, "server")? {
            let names: Vec<&str> = self.servers[server].databases.iter().map(|database| database.id.name()).collect();
            for database in select(&names, database, "database")? {
                let body = self.false_alarm(server, database);
                self.schedule(self.now, Event::Post { body });
            }
        }
        Ok(())
    }
}

/// The places of the wanted names: the first if none is named, all for `*`.
fn select(names: &[&str], wanted: Option<&str>, kind: &str) -> Result<Vec<usize>, Missing> {
    let found: Vec<usize> = match wanted {
        None => (0..names.len().min(1)).collect(),
        Some("*") => (0..names.len()).collect(),
        Some(name) => (0..names.len()).filter(|at| names[*at].eq_ignore_ascii_case(name)).collect(),
    };
    if found.is_empty() { Err(format!("there is no {kind} '{}'", wanted.unwrap_or("at all"))) } else { Ok(found) }
}

fn write<'a>(by: Option<&'a Actor>, operation: &'a str, resource: &'a ResourceId, method: &'a str) -> Write<'a> {
    Write { actor: by, operation, resource, method, client_request_id: None, correlation: None }
}
