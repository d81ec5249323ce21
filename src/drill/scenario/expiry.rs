//! A key whose expiry lies ahead: warned of, and extended before anything is lost.

use super::{BOTH, End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::{Break, KeyRef, What, World};

/// Hours ahead at which a key is extended, by default.
const AHEAD: f64 = 24.0;
/// Six days after the beginning of every story: 2026-11-30T02:00:00Z.
const DAYS_LATER: i64 = 1_796_004_000;

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make(
            "expiring-key",
            "The key expires tomorrow and nobody rings: extended ahead of it, as far as policy allows",
            &[Preset::Observe, Preset::Guarded, Preset::Auto],
            found_by_patrol as fn(Preset) -> Setup,
        ),
        make(
            "expiring-key-told",
            "Event Grid tells that the key expires soon; no patrol walks, and it is extended all the same",
            BOTH,
            told_by_event_grid,
        ),
    ]
}

fn is_extended() -> Fact {
    Fact {
        says: "the key expires days later than it would have",
        holds: |world| world["vaults"][0]["keys"][0]["versions"][0]["expires"].as_i64() > Some(DAYS_LATER),
    }
}

fn story(preset: Preset, mut world: World) -> Setup {
    world.alerts.webhooks = false;
    let mut expect = Expect {
        writes: Writes::Just(vec![(Remedy::ExtendExpiry, 1)]),
        // Three days ahead, when it is first seen. One day ahead the incident tells.
        warned: 1,
        ..Expect::repaired()
    };
    expect.world.extend([then::never_down(), is_extended()]);
    if preset == Preset::Observe {
        let world = vec![then::never_down()];
        expect = Expect { end: End::FalseAlarm, writes: Writes::None, warned: 2, world, ..Expect::repaired() };
    }
    Setup {
        policy: policy(preset, &world),
        world,
        script: Vec::new(),
        patrol: false,
        people: People::Approve(minutes(40)),
        expect,
        horizon: minutes(180),
    }
}

fn found_by_patrol(preset: Preset) -> Setup {
    let mut world = World::standard();
    for version in world.vaults.iter_mut().flat_map(|vault| &mut vault.keys).flat_map(|key| &mut key.versions) {
        version.expires_in_days = Some((AHEAD + 0.5) / 24.0);
    }
    Setup { patrol: true, ..story(preset, world) }
}

fn told_by_event_grid(preset: Preset) -> Setup {
    let mut world = World::standard();
    world.alerts.event_grid = true;
    let what = Break::new(What::DateKey { key: KeyRef::default(), hours: AHEAD + 1.0 });
    let say = "The key's expiry is set to tomorrow, an hour later than now: a policy on keys wants a date";
    Setup { script: vec![Step::at(2, say, what)], ..story(preset, world) }
}
