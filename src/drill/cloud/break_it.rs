//! Carries out what a [`Break`] says, and writes to the Activity Log what Azure would.

use serde_json::{Value, json};

use super::activity_log::Write;
use super::actor::Actor;
use super::breaks::{Break, KeyRef, What};
use super::resources::KeyVersion;
use super::state::{Event, State, after_minutes};
use super::world::PermissionModel;
use crate::domain::resource_id::ResourceId;

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
            What::RevokeGeoPermission { server, vault } => {
                self.each_server(server, |state, at| state.revoke_from_primaries(at, vault.as_deref(), by))
            }
            What::EndReplication { server } => self.each_server(server, |state, at| state.end_replication(at, by)),
            What::RevokeIdentity { identity } => self.revoke_identity(identity.as_deref(), by),
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
            What::DateKey { key, hours } => {
                let at = after_minutes(self.now, hours * 60.0).as_second();
                self.each_version(key, |version, _| version.expires = Some(at))
            }
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
            What::FailReplication { server, database } => self.fail_replication(server.as_deref(), database.as_deref()),
            What::PostAlert { server, database } => self.post_alert(server.as_deref(), database.as_deref()),
        }
    }

    pub(super) fn each_server(&mut self, name: &Option<String>, act: impl Fn(&mut Self, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.servers.iter().map(|server| server.id.name()).collect();
        for at in select(&names, name.as_deref(), "server")? {
            act(self, at);
        }
        Ok(())
    }

    pub(super) fn each_vault(&mut self, name: &Option<String>, act: impl Fn(&mut Self, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.vaults.iter().map(|vault| vault.name()).collect();
        // From the last, since a purged one is taken out of the list.
        for at in select(&names, name.as_deref(), "vault")?.into_iter().rev() {
            act(self, at);
        }
        Ok(())
    }

    pub(super) fn each_key(&mut self, key: &KeyRef, act: impl Fn(&mut Self, usize, usize)) -> Result<(), Missing> {
        let names: Vec<&str> = self.vaults.iter().map(|vault| vault.name()).collect();
        for vault in select(&names, key.vault.as_deref(), "vault")? {
            let names: Vec<&str> = self.vaults[vault].keys.iter().map(|key| key.name.as_str()).collect();
            for at in select(&names, key.key.as_deref(), "key")?.into_iter().rev() {
                act(self, vault, at);
            }
        }
        Ok(())
    }

    pub(super) fn each_version(&mut self, key: &KeyRef, act: impl Fn(&mut KeyVersion, i64)) -> Result<(), Missing> {
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
    pub(super) fn keys_changed(&mut self) {
        self.queue_key_dates();
        self.something_changed();
    }

    pub(super) fn something_changed(&mut self) {
        self.changed += 1;
        self.touch();
    }

    pub(super) fn post_alert(&mut self, server: Option<&str>, database: Option<&str>) -> Result<(), Missing> {
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
pub(super) fn select(names: &[&str], wanted: Option<&str>, kind: &str) -> Result<Vec<usize>, Missing> {
    let found: Vec<usize> = match wanted {
        None => (0..names.len().min(1)).collect(),
        Some("*") => (0..names.len()).collect(),
        Some(name) => (0..names.len()).filter(|at| names[*at].eq_ignore_ascii_case(name)).collect(),
    };
    if found.is_empty() { Err(format!("there is no {kind} '{}'", wanted.unwrap_or("at all"))) } else { Ok(found) }
}

pub(super) fn write<'a>(
    by: Option<&'a Actor>,
    operation: &'a str,
    resource: &'a ResourceId,
    method: &'a str,
) -> Write<'a> {
    Write { actor: by, operation, resource, method, client_request_id: None, correlation: None }
}
