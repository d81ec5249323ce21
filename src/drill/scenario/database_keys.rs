//! Databases with keys of their own: found by their own key, mended by their own identity.

use super::{BOTH, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::{IdentitySpec, OwnKeySpec, VaultSpec};
use crate::drill::cloud::{Actor, Break, What, World};

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make(
            "database-level-key",
            "The vault of one database's own key is deleted; its server's key is fine",
            BOTH,
            own_vault_deleted,
        ),
        make(
            "database-level-key-caught-by-patrol",
            "The identity of one database's own key loses its role and every alert is lost: back before SQL looks",
            &[Preset::Auto],
            caught_by_patrol,
        ),
        make(
            "database-level-key-too-late",
            "Two databases share an identity that lost its role: granted once, each re-validated by its own path",
            &[Preset::Auto],
            too_late,
        ),
    ]
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

fn too_late(preset: Preset) -> Setup {
    let mut world = world().activity_log_minutes(45.0);
    if let Some(server) = world.servers.first_mut() {
        let own = server.databases.first().and_then(|orders| orders.own_key.clone());
        if let Some(billing) = server.databases.get_mut(1) {
            billing.own_key = own;
        }
    }
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let what = Break::new(What::RevokeIdentity { identity: Some("id-orders".to_owned()) }).by(pipeline);
    let mut setup = own_vault_deleted(preset);
    setup.policy = policy(preset, &world);
    setup.world = world;
    setup.script = vec![Step::at(2, "A pipeline removes the role of id-orders on the vault contoso-db-kv", what)];
    setup.people = People::NotAsked;
    setup.expect.writes = Writes::Just(vec![(Remedy::AssignRole, 1), (Remedy::Revalidate, 2)]);
    setup.expect.world = vec![Fact { says: "orders and billing alone were lost", holds: |world| world["losses"] == 2 }];
    setup.horizon = minutes(360);
    setup
}

fn caught_by_patrol(preset: Preset) -> Setup {
    let mut setup = too_late(preset);
    let say = "A pipeline removes the role of id-orders on the vault contoso-db-kv";
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let what = Break::new(What::RevokeIdentity { identity: Some("id-orders".to_owned()) }).by(pipeline);
    setup.world = world();
    setup.world.alerts.webhooks = false;
    // Right after a look of SQL's: as much time as there ever is.
    setup.script = vec![Step::at(11, say, what)];
    setup.patrol = true;
    setup.expect.writes = Writes::Just(vec![(Remedy::AssignRole, 1)]);
    setup.expect.world = vec![then::never_down()];
    setup.horizon = minutes(120);
    setup
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
    setup.expect.world.push(Fact {
        says: "no other database than orders was ever inaccessible",
        // None at all, where the patrol sees it before SQL does.
        holds: |world| world["losses"].as_i64().is_some_and(|losses| losses <= 1),
    });
    setup
}
