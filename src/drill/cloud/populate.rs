//! From a world's description to what exists.

use jiff::{SignedDuration, Timestamp};

use super::resources::{
    Access, Assignment, Database, Deny, Key, KeyVersion, LinkedKey, Lock, Policy, Principal, Protector, Role, Server,
    UserIdentity, Vault,
};
use super::roles;
use super::state::{State, after_minutes};
use super::world::{
    GrantScope, IdentityKind, KeySpec, OwnKeySpec, PermissionModel, ProtectorSpec, ServerKind, ServerSpec, VaultSpec,
    World,
};
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

const DAY_MINUTES: f64 = 1440.0;

impl State {
    /// The world as it is when the story begins. What a description names wrongly (an id that is none) is left out.
    pub(crate) fn new(world: World, now: Timestamp) -> Self {
        let mut state = Self::empty(world, now);
        let world = state.world.clone();
        state.add_roles(&world);
        for spec in &world.identities {
            let label = format!("identity|{}", spec.name);
            let (principal, client) = (state.guid(&label), state.guid(&format!("{label}|client")));
            let path = format!("Microsoft.ManagedIdentity/userAssignedIdentities/{}", spec.name);
            if let Some(id) = state.id_in(&spec.resource_group, &path) {
                state.know(&principal, &client, now);
                state.identities.push(UserIdentity { id, location: spec.location.clone(), principal, client });
            }
        }
        for spec in &world.vaults {
            state.add_vault(spec);
        }
        for spec in &world.servers {
            state.add_server(spec);
        }
        for spec in &world.locks {
            if let Ok(scope) = ResourceId::parse(&spec.scope) {
                state.locks.push(Lock { name: spec.name.clone(), level: spec.level.clone(), scope });
            }
        }
        for spec in &world.denies {
            if let Ok(scope) = ResourceId::parse(&spec.scope) {
                let id = state.guid(&format!("deny|{}", spec.name));
                state.denies.push(Deny {
                    id,
                    name: spec.name.clone(),
                    scope,
                    principals: spec.principals.clone(),
                    actions: spec.actions.clone(),
                    data_actions: spec.data_actions.clone(),
                });
            }
        }
        state.queue_key_dates();
        state.touch();
        state.changed = 0;
        state
    }

    /// The id of a resource in a group of the subscription: `id_in("rg-data", "Microsoft.Sql/servers/x")`.
    pub(crate) fn id_in(&self, group: &str, path: &str) -> Option<ResourceId> {
        ResourceId::parse(&format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/{path}",
            self.world.subscription
        ))
        .ok()
    }

    /// Makes a principal known to Entra, everywhere from `replicated_at`.
    pub(crate) fn know(&mut self, object_id: &str, app_id: &str, replicated_at: Timestamp) {
        let principal = Principal { app_id: app_id.to_owned(), replicated_at };
        self.principals.insert(object_id.to_ascii_lowercase(), principal);
    }

    fn add_roles(&mut self, world: &World) {
        for role in roles::BUILT_IN {
            let owned = |list: &[&str]| list.iter().map(|action| (*action).to_owned()).collect::<Vec<_>>();
            self.roles.push(Role {
                id: role.id.to_owned(),
                name: role.name.to_owned(),
                built_in: true,
                actions: owned(role.actions),
                not_actions: Vec::new(),
                data_actions: owned(role.data_actions),
                not_data_actions: Vec::new(),
            });
        }
        let responder = &world.responder;
        self.know(&responder.object_id, &responder.app_id, self.now);
        for grant in &responder.roles {
            let id = self.guid(&format!("role|{}", grant.name));
            self.roles.push(Role {
                id: id.clone(),
                name: grant.name.clone(),
                built_in: false,
                actions: grant.actions.clone(),
                not_actions: grant.not_actions.clone(),
                data_actions: grant.data_actions.clone(),
                not_data_actions: grant.not_data_actions.clone(),
            });
            let scope = grant.scope.clone().unwrap_or_else(|| format!("/subscriptions/{}", world.subscription));
            if let Ok(scope) = ResourceId::parse(&scope) {
                self.assign(&scope, &id, &responder.object_id);
                if let Some(condition) = &grant.condition {
                    let condition = (condition.clone(), "2.0".to_owned());
                    self.assignments.change_last(|assignment| assignment.condition = Some(condition));
                }
            }
        }
    }

    /// Assigns a role that has long taken effect.
    pub(crate) fn assign(&mut self, scope: &ResourceId, role: &str, principal: &str) {
        let name = self.guid(&format!("assignment|{}|{role}|{principal}", scope.key()));
        self.assignments.push(Assignment {
            name,
            scope: scope.clone(),
            role: role.to_owned(),
            principal: principal.to_owned(),
            principal_type: "ServicePrincipal".to_owned(),
            description: None,
            condition: None,
            created: after_minutes(self.now, -200.0 * DAY_MINUTES),
            created_by: String::new(),
            effective: self.now,
        });
    }

    fn add_vault(&mut self, spec: &VaultSpec) {
        let kind = if spec.managed_hsm { "managedHSMs" } else { "vaults" };
        let subscription = spec.foreign_subscription.as_ref().unwrap_or(&self.world.subscription);
        let group = format!("/subscriptions/{subscription}/resourceGroups/{}", spec.resource_group);
        let Ok(id) = ResourceId::parse(&format!("{group}/providers/Microsoft.KeyVault/{kind}/{}", spec.name)) else {
            return;
        };
        let keys = spec.keys.iter().map(|key| self.make_key(&spec.name, key)).collect();
        let responder = &self.world.responder;
        let policies = if spec.model == PermissionModel::Policy && !spec.responder_may.is_empty() {
            vec![Policy {
                tenant: self.world.tenant.clone(),
                object_id: responder.object_id.clone(),
                keys: spec.responder_may.iter().map(|permission| (permission.clone(), self.now)).collect(),
                others: serde_json::Map::new(),
            }]
        } else {
            Vec::new()
        };
        self.vaults.push(Vault {
            id,
            location: spec.location.clone(),
            tags: spec.tags.clone(),
            model: spec.model,
            policies,
            network: spec.network.clone(),
            soft_delete_days: spec.soft_delete_days,
            purge_protection: spec.purge_protection,
            keys,
            deleted: None,
            resolves_at: Timestamp::MIN,
            failing_until: Timestamp::MIN,
            created: after_minutes(self.now, -400.0 * DAY_MINUTES),
        });
    }

    fn make_key(&self, vault: &str, spec: &KeySpec) -> Key {
        let versions = spec.versions.iter().enumerate().map(|(n, version)| {
            let label = format!("key|{vault}|{}|{n}", spec.name);
            let created = after_minutes(self.now, -f64::from(version.age_days) * DAY_MINUTES);
            let in_days = |days: f64| after_minutes(self.now, days * DAY_MINUTES).as_second();
            KeyVersion {
                id: version.id.clone().unwrap_or_else(|| self.guid(&label).replace('-', "")),
                enabled: version.enabled,
                not_before: version.valid_in_days.map(in_days),
                expires: version.expires_in_days.map(in_days),
                created,
                updated: created,
                kty: version.kty.clone(),
                size: version.size,
                operations: version.operations.clone(),
                thumbprint: self.thumbprint(&label),
                tags: None,
            }
        });
        Key { name: spec.name.clone(), versions: versions.collect(), deleted: None, usable_at: Timestamp::MIN }
    }

    /// 40 hex digits, as SQL shows a key's material.
    pub(crate) fn thumbprint(&self, label: &str) -> String {
        let digits = format!("{}{}", self.guid(label), self.guid(&format!("{label}|more")));
        digits.replace('-', "").chars().take(40).collect::<String>().to_ascii_uppercase()
    }

    fn add_server(&mut self, spec: &ServerSpec) {
        let kind = match spec.kind {
            ServerKind::SqlServer => "Microsoft.Sql/servers",
            ServerKind::ManagedInstance => "Microsoft.Sql/managedInstances",
            ServerKind::SynapseWorkspace => "Microsoft.Synapse/workspaces",
        };
        let Some(id) = self.id_in(&spec.resource_group, &format!("{kind}/{}", spec.name)) else {
            return;
        };
        let mut server = Server {
            id,
            location: spec.location.clone(),
            tags: spec.tags.clone(),
            system_identity: None,
            user_identities: Vec::new(),
            primary: None,
            federated_client: spec.federated_client.clone(),
            protector: None,
            databases: Vec::new(),
            failover_groups: spec.failover_groups.clone(),
            first_check: add(self.now, self.check_phase(&spec.name)),
            watching: false,
            created: after_minutes(self.now, -300.0 * DAY_MINUTES),
        };
        match &spec.identity {
            IdentityKind::None => {}
            IdentityKind::SystemAssigned => {
                let principal = self.guid(&format!("server|{}|principal", spec.name));
                let client = self.guid(&format!("server|{}|client", spec.name));
                self.know(&principal, &client, self.now);
                server.system_identity = Some(principal);
            }
            IdentityKind::UserAssigned(name) => {
                if let Some(identity) = self.identities.iter().find(|identity| identity.id.name() == name) {
                    server.primary = Some(identity.id.clone());
                    server.user_identities =
                        vec![(identity.id.clone(), identity.principal.clone(), identity.client.clone())];
                }
            }
        }
        server.protector = spec.protector.as_ref().and_then(|wanted| self.make_protector(wanted));
        for database in &spec.databases {
            let below = if server.is_workspace() { "sqlPools" } else { "databases" };
            if let Ok(id) = server.id.child(below, &database.name) {
                let own = database.own_key.as_ref().and_then(|own| self.own_key(own));
                server.databases.push(Database {
                    id,
                    settings: database.clone(),
                    own,
                    access: Access::Online,
                    epoch: 0,
                    correlation: String::new(),
                    replication_failed: false,
                    created: server.created,
                });
            }
        }
        if spec.granted {
            self.grant_at_start(&server);
        }
        self.server_places.insert(server.id.key().to_owned(), self.servers.len());
        self.servers.push(server);
    }

    /// How long after the beginning a server first looks at its key.
    fn check_phase(&self, server: &str) -> SignedDuration {
        let period = f64::from(self.world.timing.key_check_minutes.max(1)) * 60.0;
        let seconds = (period * self.draw(&format!("phase|{server}"))).floor();
        SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO)
    }

    /// A database's own key, which its identity may use.
    fn own_key(&mut self, spec: &OwnKeySpec) -> Option<(Protector, (ResourceId, String, String))> {
        let wanted = ProtectorSpec { vault: spec.vault.clone(), key: spec.key.clone(), ..ProtectorSpec::default() };
        let protector = self.make_protector(&wanted)?;
        let found = self.identities.iter().find(|identity| identity.id.name() == spec.identity)?;
        let identity = (found.id.clone(), found.principal.clone(), found.client.clone());
        let vault = self.vault_named(&protector.vault)?;
        self.give_access(vault, &identity.1, &protector.key, self.now);
        Some((protector, identity))
    }

    fn make_protector(&self, wanted: &ProtectorSpec) -> Option<Protector> {
        let vault = &self.vaults[self.vault_named(&wanted.vault)?];
        let key = vault.keys.iter().find(|key| key.name == wanted.key)?;
        let newest = key.newest()?;
        let needed = wanted.latent.iter().filter_map(|n| key.versions.get(*n)).chain([newest]);
        let mut linked: Vec<LinkedKey> = Vec::new();
        for version in needed {
            if linked.iter().all(|known| known.version != version.id) {
                linked.push(LinkedKey {
                    version: version.id.clone(),
                    thumbprint: version.thumbprint.clone(),
                    created: add(version.created, SignedDuration::from_mins(5)),
                });
            }
        }
        Some(Protector {
            vault: vault.name().to_owned(),
            hsm: vault.is_hsm(),
            key: key.name.clone(),
            version: (!wanted.versionless).then(|| newest.id.clone()),
            auto_rotation: wanted.auto_rotation,
            linked,
        })
    }

    fn grant_at_start(&mut self, server: &Server) {
        let Some(((principal, _), protector)) = server.effective_principal().zip(server.protector.as_ref()) else {
            return;
        };
        let Some(at) = self.vault_named(&protector.vault) else { return };
        self.give_access(at, &principal, &protector.key, self.now);
    }

    /// Gives a principal what SQL needs on a key, by the vault's own model, to take effect at `effective`.
    pub(crate) fn give_access(&mut self, vault: usize, principal: &str, key: &str, effective: Timestamp) {
        let tenant = self.world.tenant.clone();
        let spec = self.world.vaults.iter().find(|spec| spec.name.eq_ignore_ascii_case(self.vaults[vault].name()));
        let grant_at = spec.map_or(GrantScope::Vault, |spec| spec.grant_at);
        let target = &mut self.vaults[vault];
        if target.model == PermissionModel::Policy {
            target.policies.retain(|policy| !policy.object_id.eq_ignore_ascii_case(principal));
            let keys = ["get", "wrapKey", "unwrapKey"].map(|permission| (permission.to_owned(), effective));
            target.policies.push(Policy {
                tenant,
                object_id: principal.to_owned(),
                keys: keys.to_vec(),
                others: serde_json::Map::new(),
            });
            return;
        }
        let scope = match grant_at {
            GrantScope::Vault => Some(target.id.clone()),
            GrantScope::Key => target.id.child("keys", key).ok(),
            GrantScope::ResourceGroup => target.id.ancestor("/resourcegroups/"),
        };
        if let Some(scope) = scope {
            self.assign(&scope, roles::CRYPTO_SERVICE_ENCRYPTION_USER, principal);
            self.assignments.change_last(|assignment| assignment.effective = effective);
        }
    }
}
