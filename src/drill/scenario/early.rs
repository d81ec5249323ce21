//! Told in seconds by Event Grid: repaired before SQL looks at its key, or not worth a word.

use super::{BOTH, End, Expect, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, What, World};

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make(
            "revoked-but-caught-early",
            "A role assignment is removed; Event Grid tells, and it is back before SQL looks",
            &[Preset::Auto],
            revoked_rbac as fn(Preset) -> Setup,
        ),
        make(
            "policy-removed-caught-early",
            "An access policy is removed; Event Grid tells, and it is back before SQL looks",
            &[Preset::Auto],
            revoked_policy,
        ),
        make(
            "firewalled-caught-early",
            "The vault's firewall shuts Azure SQL out; Event Grid tells",
            &[Preset::Auto],
            firewalled,
        ),
        make("harmless-change", "The vault gets a tag: nobody is told of anything", BOTH, harmless),
    ]
}

fn bob() -> Actor {
    Actor::person("bob@contoso.example")
}

/// Every Action Group alert is lost: what is heard comes from Event Grid.
fn story(preset: Preset, mut world: World, say: &str, what: Break, remedy: Remedy) -> Setup {
    world.alerts.event_grid = true;
    world.alerts.webhooks = false;
    let mut expect = Expect { writes: Writes::Just(vec![(remedy, 1)]), ..Expect::repaired() };
    expect.world.push(then::granted());
    expect.world.push(then::never_down());
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, say, what.by(bob()))],
        patrol: false,
        people: People::NotAsked,
        expect,
        horizon: minutes(120),
    }
}

fn revoked_rbac(preset: Preset) -> Setup {
    let what = Break::new(What::RevokePermission { server: None });
    let say = "Bob removes contoso-sql's role assignment on the vault";
    story(preset, World::standard(), say, what, Remedy::AssignRole)
}

fn revoked_policy(preset: Preset) -> Setup {
    let what = Break::new(What::RevokePermission { server: None });
    let say = "Bob removes contoso-sql's entry from the vault's access policies";
    story(preset, World::standard().model(PermissionModel::Policy), say, what, Remedy::AddAccessPolicy)
}

fn firewalled(preset: Preset) -> Setup {
    let what = Break::new(What::FirewallVault { vault: None, ip_rules: None });
    let say = "Bob turns the vault's firewall on and forgets the exception for trusted services";
    story(preset, World::standard(), say, what, Remedy::TrustedServicesBypass)
}

fn harmless(preset: Preset) -> Setup {
    let what = What::SetTag { target: None, name: "owner".to_owned(), value: Some("ada".to_owned()) };
    let mut setup =
        story(preset, World::standard(), "Bob puts a tag on the vault", Break::new(what), Remedy::AssignRole);
    setup.expect = Expect {
        end: End::FalseAlarm,
        writes: Writes::None,
        online: true,
        world: vec![then::never_down()],
        silent: true,
        warned: 0,
    };
    setup.horizon = minutes(40);
    setup
}
