//! Keys that Keymend cannot mend, or that are nobody's to lose: of another tenant, in a managed HSM, Microsoft's own.

use super::{End, Expect, People, Scenario, Setup, Step, Writes, minutes, policy};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::Preset;
use crate::drill::cloud::world::ProtectorSpec;
use crate::drill::cloud::{Break, What, World};

const AUTO: &[Preset] = &[Preset::Auto];

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: AUTO, setup };
    vec![
        make("cross-tenant-key", "A key of another tenant is lost: its owner is told exactly what to do", cross_tenant),
        make("managed-hsm-key", "A key in a managed HSM is lost: its administrator is called", managed_hsm),
        make(
            "service-managed",
            "An alert about a server under Microsoft's own key: no word to anybody",
            service_managed,
        ),
    ]
}

fn lost(preset: Preset, world: World, say: &str) -> Setup {
    let world = world.activity_log_minutes(3.0);
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, say, Break::new(What::RevokePermission { server: None }))],
        patrol: false,
        people: People::NotAsked,
        expect: Expect {
            end: End::WithPerson(NeedsPerson::NoRemedy),
            writes: Writes::None,
            online: false,
            ..Expect::repaired()
        },
        horizon: minutes(120),
    }
}

fn cross_tenant(preset: Preset) -> Setup {
    let mut world = World::standard().user_assigned();
    for vault in &mut world.vaults {
        vault.foreign_subscription = Some("66666666-2222-3333-4444-555555555555".to_owned());
    }
    for server in &mut world.servers {
        server.federated_client = Some("fede7a7e-0000-4000-8000-000000000001".to_owned());
    }
    lost(preset, world, "The other tenant takes the application's access to the key away")
}

fn managed_hsm(preset: Preset) -> Setup {
    let mut world = World::standard();
    for vault in &mut world.vaults {
        vault.managed_hsm = true;
        "contoso-hsm".clone_into(&mut vault.name);
    }
    for server in &mut world.servers {
        server.protector = Some(ProtectorSpec { vault: "contoso-hsm".to_owned(), ..ProtectorSpec::default() });
    }
    lost(preset, world, "The server's role inside the managed HSM is removed")
}

fn service_managed(preset: Preset) -> Setup {
    let mut world = World::standard();
    for server in &mut world.servers {
        server.protector = None;
    }
    let alert = Break::new(What::PostAlert { server: None, database: None });
    let mut setup = lost(preset, world, "");
    setup.script = vec![Step::at(2, "An alert says that database orders has lost access to its key", alert)];
    setup.expect = Expect { end: End::FalseAlarm, writes: Writes::None, silent: true, ..Expect::repaired() };
    setup
}
