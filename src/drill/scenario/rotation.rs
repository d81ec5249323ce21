//! Older and newer versions of a key: rotation, and what it leaves behind.

use super::{BOTH, End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::VersionSpec;
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

/// The version that the stories' databases were once encrypted under.
const OLD: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: BOTH, setup };
    let told = Scenario {
        name: "rotation-told",
        title: "Event Grid tells of a new key version, and the server moves on within the day: nobody hears of it",
        presets: &[Preset::Auto],
        setup: told_of_rotation,
    };
    vec![
        told,
        make("latent-key-disabled", "An older key version that databases still need is disabled", latent_key),
        make("rotation", "The key is rotated, as it should be: nothing is wrong", rotation),
        make("rotation-too-early", "The key is rotated and its old version disabled the same day", too_early),
    ]
}

fn bob() -> Actor {
    Actor::person("bob@contoso.example")
}

fn old_version() -> KeyRef {
    KeyRef { version: Some(OLD.to_owned()), ..KeyRef::default() }
}

fn is_enabled_again() -> Fact {
    Fact {
        says: "exactly the old version is enabled again",
        holds: |world| {
            let versions = world["vaults"][0]["keys"][0]["versions"].as_array();
            versions.is_some_and(|all| all.iter().any(|one| one["id"] == OLD && one["enabled"] == true))
        },
    }
}

fn latent_key(preset: Preset) -> Setup {
    let mut world = World::standard().older_versions(1).activity_log_minutes(3.0);
    world.vaults[0].keys[0].versions[0].id = Some(OLD.to_owned());
    let what = Break::new(What::DisableKey(old_version())).by(bob());
    let say = "Bob disables the version of tde-key from before the last rotation: \"nobody uses it\"";
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, say, what)],
        patrol: false,
        people: People::Approve(minutes(3)),
        expect: Expect {
            writes: Writes::Just(vec![(Remedy::EnableKey, 1)]),
            world: vec![then::granted(), is_enabled_again()],
            ..Expect::repaired()
        },
        horizon: minutes(240),
    }
}

/// The standard world with a protector that rotates by itself.
fn rotating() -> World {
    let mut world = World::standard().activity_log_minutes(3.0);
    world.vaults[0].keys[0].versions = vec![VersionSpec { id: Some(OLD.to_owned()), ..VersionSpec::default() }];
    if let Some(protector) = &mut world.servers[0].protector {
        protector.auto_rotation = true;
    }
    world
}

fn rotate() -> Step {
    let what = What::ReplaceKey { key: KeyRef::default(), new_version_only: true };
    Step::at(2, "The rotation policy makes a new version of tde-key", Break::new(what))
}

fn rotation(preset: Preset) -> Setup {
    let world = rotating();
    // The server still uses the old version now: a look at this moment must not take that for a loss.
    let alert = Break::new(What::PostAlert { server: None, database: None });
    let script = vec![rotate(), Step::at(6, "An alert says that database orders has lost access to its key", alert)];
    Setup {
        policy: policy(preset, &world),
        world,
        script,
        patrol: false,
        people: People::NotAsked,
        expect: Expect { end: End::FalseAlarm, silent: true, ..Expect::repaired() },
        horizon: minutes(180),
    }
}

/// A protector that names no version. Nothing but the event reaches us.
fn told_of_rotation(preset: Preset) -> Setup {
    let mut world = rotating();
    (world.alerts.event_grid, world.alerts.webhooks) = (true, false);
    if let Some(protector) = &mut world.servers[0].protector {
        protector.versionless = true;
    }
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![rotate()],
        patrol: false,
        people: People::NotAsked,
        expect: Expect { end: End::FalseAlarm, silent: true, world: vec![then::never_down()], ..Expect::repaired() },
        horizon: minutes(26 * 60),
    }
}

fn too_early(preset: Preset) -> Setup {
    let world = rotating();
    let disable = Break::new(What::DisableKey(old_version())).by(bob());
    let script = vec![rotate(), Step::at(10, "Bob disables the old version before the server has moved on", disable)];
    Setup {
        policy: policy(preset, &world),
        world,
        script,
        patrol: false,
        people: People::NotAsked,
        // A version made within the day may be the answer to a compromise: nobody switches the old one on but a person.
        expect: Expect {
            end: End::WithPerson(NeedsPerson::Gate),
            writes: Writes::None,
            online: false,
            ..Expect::repaired()
        },
        horizon: minutes(90),
    }
}
