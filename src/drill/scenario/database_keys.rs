//! Databases with keys of their own: found by their own key, mended by their own identity.

use super::{BOTH, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::{IdentitySpec, OwnKeySpec, VaultSpec};
use crate::drill::cloud::{Actor, Break, What, World};

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "database-level-key",
        title: "The vault of one database's own key is deleted; its server's key is fine",
        presets: BOTH,
        setup: own_vault_deleted,
    }]
}

/// The standard world, whose database `orders` has a key of its own in the vault `contoso-db-kv`.
fn world() -> World {
    let mut world = World::standard();
    let own = OwnKeySpec { vault: "contoso-db-kv".into(), key: "tde-key".into(), identity: "id-orders".into() };
    world.vaults.push(VaultSpec { name: own.vault.clone(), ..VaultSpec::default() });
    world.identities.push(IdentitySpec { name: own.identity.clone(), ..IdentitySpec::default() });
    if let Some(orders) = world.servers.first_mut().and_then(|server| server.databases.first_mut()) {
        orders.own_key = Some(own);
    }
    world.activity_log_minutes(3.0)
}

fn own_vault_deleted(preset: Preset) -> Setup {
    let world = world();
    let what = Break::new(What::DeleteVault { vault: Some("contoso-db-kv".to_owned()) })
        .by(Actor::person("bob@contoso.example"));
    let say = "Bob deletes the vault contoso-db-kv, which holds the own key of database orders";
    let writes = vec![(Remedy::RecoverVault, 1), (Remedy::AssignRole, 1)];
    let mut setup = Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, say, what)],
        patrol: false,
        people: People::Approve(minutes(3)),
        expect: Expect { writes: Writes::Just(writes), ..Expect::repaired() },
        horizon: minutes(180),
    };
    setup.expect.world.push(Fact { says: "orders alone was ever inaccessible", holds: |world| world["losses"] == 1 });
    setup
}
