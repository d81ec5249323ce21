//! One cause each: found, repaired with or without asking, and verified.

use super::{BOTH, End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: BOTH, setup };
    vec![
        make("missing-identity", "Somebody removes the server's managed identity", missing_identity),
        make("vault-deleted", "The key vault is deleted, and with it every role on it", vault_deleted),
        make("vault-firewalled", "The vault's firewall shuts Azure SQL out", vault_firewalled),
        make("vault-outage", "The vault answers 503 for a while: nothing to repair, only to wait", vault_outage),
        make("key-deleted", "The TDE key is deleted", key_deleted),
        make("key-disabled", "The key version is disabled", key_disabled),
        make("key-expired", "The key version has expired", key_expired),
        make("permission-revoked-policy", "The server's access policy is removed", revoked_policy),
        make("permission-revoked-rbac", "The server's role assignment is removed", revoked_rbac),
        make("permission-model-switched", "The vault is switched to another permission model", model_switched),
    ]
}

/// The person who breaks things, without meaning to.
fn bob() -> Actor {
    Actor::person("bob@contoso.example")
}

/// A story of one break at minute 2, answered by a person 3 minutes after being asked, where the policy asks.
fn story(preset: Preset, world: World, say: &str, what: Break, writes: &[(Remedy, usize)]) -> Setup {
    Setup {
        policy: policy(preset, &world),
        world: world.activity_log_minutes(3.0),
        script: vec![Step::at(2, say, what)],
        patrol: false,
        people: People::Approve(minutes(3)),
        expect: Expect { writes: Writes::Just(writes.to_vec()), ..Expect::repaired() },
        horizon: minutes(180),
    }
}

fn missing_identity(preset: Preset) -> Setup {
    let what = Break::new(What::RemoveIdentity { server: None }).by(bob());
    let writes = [(Remedy::AssignIdentity, 1), (Remedy::AssignRole, 1)];
    story(preset, World::standard(), "Bob removes the managed identity of server contoso-sql", what, &writes)
}

fn vault_deleted(preset: Preset) -> Setup {
    let what = Break::new(What::DeleteVault { vault: None }).by(bob());
    let writes = [(Remedy::RecoverVault, 1), (Remedy::AssignRole, 1)];
    story(preset, World::standard(), "Bob deletes the key vault contoso-kv in a clean-up", what, &writes)
}

fn vault_firewalled(preset: Preset) -> Setup {
    let what = Break::new(What::FirewallVault { vault: None, ip_rules: None }).by(bob());
    let say = "Bob turns the vault's firewall on and forgets the exception for trusted services";
    let mut setup = story(preset, World::standard(), say, what, &[(Remedy::TrustedServicesBypass, 1)]);
    setup.expect.world.push(Fact {
        says: "the firewall still denies by default and keeps its address rules",
        holds: |world| {
            let acls = &world["vaults"][0]["network_acls"];
            acls["defaultAction"] == "Deny" && acls["ipRules"].as_array().is_some_and(|rules| !rules.is_empty())
        },
    });
    setup
}

fn vault_outage(preset: Preset) -> Setup {
    let what = Break::new(What::VaultOutage { vault: None, minutes: Some(40.0) });
    let mut setup = story(preset, World::standard(), "The vault contoso-kv begins to answer 503", what, &[]);
    // SQL says nothing within its 24-hour buffer; somebody's alert on failing logins wakes Keymend.
    let alert = Break::new(What::PostAlert { server: None, database: None });
    setup.script.push(Step::at(6, "An alert says that database orders has lost access to its key", alert));
    setup.people = People::NotAsked;
    setup.expect = Expect { end: End::CameBack, writes: Writes::None, ..Expect::repaired() };
    setup
}

fn key_deleted(preset: Preset) -> Setup {
    let what = Break::new(What::DeleteKey(KeyRef::default())).by(bob());
    story(preset, World::standard(), "Bob deletes the key tde-key", what, &[(Remedy::RecoverKey, 1)])
}

fn key_disabled(preset: Preset) -> Setup {
    let what = Break::new(What::DisableKey(KeyRef::default())).by(bob());
    story(preset, World::standard(), "Bob disables the current version of tde-key", what, &[(Remedy::EnableKey, 1)])
}

fn key_expired(preset: Preset) -> Setup {
    let what = Break::new(What::ExpireKey(KeyRef::default()));
    let say = "The current version of tde-key reaches its expiry date";
    story(preset, World::standard(), say, what, &[(Remedy::ExtendExpiry, 1)])
}

fn revoked_policy(preset: Preset) -> Setup {
    let world = World::standard().model(PermissionModel::Policy);
    let what = Break::new(What::RevokePermission { server: None }).by(bob());
    let say = "Bob removes contoso-sql's entry from the vault's access policies";
    story(preset, world, say, what, &[(Remedy::AddAccessPolicy, 1)])
}

fn revoked_rbac(preset: Preset) -> Setup {
    let what = Break::new(What::RevokePermission { server: None }).by(bob());
    let say = "Bob removes contoso-sql's role assignment on the vault";
    story(preset, World::standard(), say, what, &[(Remedy::AssignRole, 1)])
}

fn model_switched(preset: Preset) -> Setup {
    let world = World::standard().model(PermissionModel::Policy);
    let what = Break::new(What::SwitchPermissionModel { vault: None }).by(bob());
    let say = "Bob switches the vault from access policies to Azure RBAC, which voids every access policy";
    let mut setup = story(preset, world, say, what, &[(Remedy::AssignRole, 1)]);
    setup.expect.world.push(Fact {
        says: "the vault keeps its new permission model",
        holds: |world| world["vaults"][0]["model"] == "rbac",
    });
    setup.expect.world.push(then::granted());
    setup
}
