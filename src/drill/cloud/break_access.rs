//! Breaks of identities, grants, denials and the responder's rights.

use serde_json::{Value, json};

use super::actor::Actor;
use super::arm::vaults::{changed_properties, vault_json};
use super::break_it::{Missing, select, write};
use super::resources::{Deny, Role};
use super::state::{Event, State};
use super::world::PermissionModel;
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

impl State {
    pub(super) fn set_identity(&mut self, at: usize, assigned: bool, by: Option<&Actor>) {
        let body = json!({ "identity": { "type": if assigned { "SystemAssigned" } else { "None" } } });
        super::arm::server_change::apply(self, at, &body);
        let id = self.servers[at].id.clone();
        let operation = if self.servers[at].is_workspace() {
            "Microsoft.Synapse/workspaces/write"
        } else if self.servers[at].is_instance() {
            "Microsoft.Sql/managedInstances/write"
        } else {
            "Microsoft.Sql/servers/write"
        };
        self.record(&write(by, operation, &id, "PATCH"), body);
        self.something_changed();
    }

    pub(super) fn revoke(&mut self, at: usize, by: Option<&Actor>) {
        let server = &self.servers[at];
        let Some(((principal, _), protector)) = server.effective_principal().zip(server.protector.clone()) else {
            return;
        };
        let Some(vault) = self.vault_named(&protector.vault) else { return };
        self.revoke_on(vault, &principal, by);
        self.something_changed();
    }

    pub(super) fn revoke_identity(&mut self, name: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
        let names: Vec<&str> = self.identities.iter().map(|identity| identity.id.name()).collect();
        for at in select(&names, name, "user-assigned identity")? {
            let principal = self.identities[at].principal.clone();
            for vault in 0..self.vaults.len() {
                self.revoke_on(vault, &principal, by);
            }
        }
        self.something_changed();
        Ok(())
    }

    /// Takes a principal's access to a vault's keys away, by the vault's model.
    fn revoke_on(&mut self, vault: usize, principal: &str, by: Option<&Actor>) {
        let id = self.vaults[vault].id.clone();
        if self.vaults[vault].model == PermissionModel::Policy {
            if self.vaults[vault].policies.iter().all(|policy| !policy.object_id.eq_ignore_ascii_case(principal)) {
                return;
            }
            let before = vault_json(self, &self.vaults[vault]);
            self.vaults[vault].policies.retain(|policy| !policy.object_id.eq_ignore_ascii_case(principal));
            let what = changed_properties(&before, &vault_json(self, &self.vaults[vault]));
            if let Ok(target) = id.child("accessPolicies", "remove") {
                self.record(&write(by, "Microsoft.KeyVault/vaults/accessPolicies/write", &target, "PUT"), what);
            }
        } else {
            let on_keys = |scope: &ResourceId| scope.contains(&id) || id.contains(scope);
            let lost: Vec<_> = self.assignments.of(principal).filter(|one| on_keys(&one.scope)).cloned().collect();
            for one in &lost {
                let path = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", one.scope, one.name);
                if let Ok(target) = ResourceId::parse(&path) {
                    let what = json!({ "principalId": one.principal, "roleDefinitionId": one.role });
                    // What is done inside a managed HSM, or in another tenant, is in no log of this subscription.
                    if self.vaults[vault].is_hsm() || id.subscription() != self.world.subscription {
                        continue;
                    }
                    self.record(&write(by, "Microsoft.Authorization/roleAssignments/delete", &target, "DELETE"), what);
                }
            }
            self.assignments.retain(|one| lost.iter().all(|gone| gone.name != one.name));
        }
    }

    pub(super) fn grant(&mut self, at: usize, by: Option<&Actor>) {
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

    pub(super) fn deny(&mut self, at: usize, by: Option<&Actor>) {
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

    pub(super) fn undeny(&mut self, at: usize) {
        if let Some((principal, _)) = self.servers[at].effective_principal() {
            self.denies.retain(|deny| deny.principals.iter().all(|bound| !bound.eq_ignore_ascii_case(&principal)));
        }
        self.something_changed();
    }

    pub(super) fn delete_identity(&mut self, name: Option<&str>, by: Option<&Actor>) -> Result<(), Missing> {
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

    pub(super) fn fail_replication(&mut self, server: Option<&str>, database: Option<&str>) -> Result<(), Missing> {
        let names: Vec<&str> = self.servers.iter().map(|server| server.id.name()).collect();
        for server in select(&names, server, "server")? {
            let names: Vec<&str> = self.servers[server].databases.iter().map(|database| database.id.name()).collect();
            for database in select(&names, database, "database")? {
                self.servers[server].databases[database].replication_failed = true;
                self.log_health(server, database, false);
            }
        }
        self.something_changed();
        Ok(())
    }

    pub(super) fn revoke_right(&mut self, action: &str) -> Result<(), Missing> {
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

    pub(super) fn grant_right(&mut self, action: &str) {
        let on_keys = action.to_ascii_lowercase().starts_with("microsoft.keyvault/vaults/keys/")
            && !action.eq_ignore_ascii_case("microsoft.keyvault/vaults/keys/versions/read");
        let id = self.guid(&format!("role|granted|{action}"));
        let list = vec![action.to_owned()];
        let (actions, data_actions) = if on_keys { (list.clone(), list) } else { (list, Vec::new()) };
        self.roles.push(Role {
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
}
