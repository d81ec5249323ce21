//! The world in a form that people and scenarios read.

use serde_json::{Value, json};

use super::arm::vaults::network_json;
use super::arm::vaults::policy_json;
use super::resources::{Access, Key};
use super::state::State;

impl State {
    /// What there is now. Databases carry both Azure's `status` and where they stand on the time line (`access`).
    pub(crate) fn snapshot(&self) -> Value {
        json!({
            "now": self.now,
            "servers": self.servers.iter().enumerate().map(|(at, server)| json!({
                "id": server.id,
                "name": server.id.name(),
                "tags": server.tags,
                "identity": {
                    "system_assigned": server.system_identity,
                    "user_assigned": server.user_identities.iter().map(|(id, ..)| id).collect::<Vec<_>>(),
                    "primary": server.primary,
                },
                "protector": server.protector.as_ref().map(|protector| json!({
                    "uri": protector.uri(protector.version.as_deref()),
                    "linked": protector.linked.iter().map(|one| one.version.clone()).collect::<Vec<_>>(),
                })),
                "key_access": self.key_access(at).map_or_else(|why| why.code, |()| "ok"),
                "looks_next": self.next_turn(at),
                "databases": server.databases.iter().map(|database| json!({
                    "id": database.id,
                    "name": database.id.name(),
                    "status": self.status(database),
                    "access": access_word(database.access),
                    "settings": database.settings,
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "vaults": self.vaults.iter().map(|vault| json!({
                "id": vault.id,
                "name": vault.name(),
                "tags": vault.tags,
                "model": vault.model,
                "state": if vault.deleted.is_some() { "deleted" } else if vault.resolves_at > self.now { "registering-dns" } else { "live" },
                "scheduled_purge": vault.deleted.map(|deleted| deleted.purge_at),
                "failing": vault.failing_until > self.now,
                "public_network_access": vault.network.public_network_access,
                "network_acls": network_json(&vault.network),
                "policies": vault.policies.iter().map(policy_json).collect::<Vec<_>>(),
                "keys": vault.keys.iter().map(|key| self.key_snapshot(key)).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "identities": self.identities.iter().map(|one| json!({ "id": one.id, "principal": one.principal })).collect::<Vec<_>>(),
            "grants": self.assignments.iter().map(|one| json!({
                "name": one.name,
                "scope": one.scope,
                "role": self.roles.iter().find(|role| role.id.eq_ignore_ascii_case(&one.role)).map(|role| role.name.clone()),
                "role_id": one.role,
                "principal": one.principal,
                "works_from": one.effective,
            })).collect::<Vec<_>>(),
            "locks": self.locks.iter().map(|lock| json!({ "name": lock.name, "level": lock.level, "scope": lock.scope })).collect::<Vec<_>>(),
            "denies": self.denies.iter().map(|deny| json!({
                "name": deny.name, "scope": deny.scope, "principals": deny.principals, "data_actions": deny.data_actions,
            })).collect::<Vec<_>>(),
            "unknown_requests": self.unknown_requests,
            "losses": self.losses,
        })
    }

    fn key_snapshot(&self, key: &Key) -> Value {
        let state = if key.deleted.is_some() {
            "deleted"
        } else if key.usable_at > self.now {
            "recovering"
        } else {
            "live"
        };
        json!({
            "name": key.name,
            "state": state,
            "scheduled_purge": key.deleted.map(|deleted| deleted.purge_at),
            "versions": key.versions.iter().map(|version| json!({
                "id": version.id,
                "enabled": version.enabled,
                "not_before": version.not_before,
                "expires": version.expires,
                "thumbprint": version.thumbprint,
                "tags": version.tags,
            })).collect::<Vec<_>>(),
        })
    }
}

fn access_word(access: Access) -> &'static str {
    match access {
        Access::Online => "online",
        Access::Losing { unreachable: false, .. } => "losing",
        Access::Losing { unreachable: true, .. } => "vault-unreachable",
        Access::Healing { .. } => "healing",
        Access::ComingBack { .. } => "coming-back",
        Access::Lost { .. } => "lost",
    }
}
