//! Stories about time: too late, the old rule, false and late alarms.

use super::{End, Expect, People, Scenario, Setup, Step, Writes, minutes, policy};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, What, World};

const AUTO: &[Preset] = &[Preset::Auto];
const GUARDED: &[Preset] = &[Preset::Guarded];

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make("late-alert", "The alert comes after the window: repaired, re-validated, losses listed", AUTO, late_alert),
        make("old-eight-hour-window", "Eight hours by the 2019 rule: heals without re-validation", GUARDED, old_window),
        make("false-alarm", "An alert with nothing behind it: a few reads, no message", GUARDED, false_alarm),
        make("already-fixed", "Somebody was faster: nothing is changed", AUTO, already_fixed),
    ]
}

fn late_alert(preset: Preset) -> Setup {
    let world = World::standard().activity_log_minutes(45.0);
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let what = Break::new(What::RevokePermission { server: None }).by(pipeline);
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, "A pipeline removes the server's role assignment on the vault", what)],
        patrol: false,
        people: People::NotAsked,
        expect: Expect {
            writes: Writes::Just(vec![(Remedy::AssignRole, 1), (Remedy::Revalidate, 1)]),
            ..Expect::repaired()
        },
        horizon: minutes(360),
    }
}

fn old_window(preset: Preset) -> Setup {
    let world = World::standard().model(PermissionModel::Policy).old_rule().activity_log_minutes(5.0);
    let mut policy = policy(preset, &world);
    policy.window_minutes = 480;
    let what = Break::new(What::RevokePermission { server: None }).by(Actor::person("bob@contoso.example"));
    Setup {
        policy,
        world,
        script: vec![Step::at(2, "Bob removes contoso-sql's entry from the vault's access policies", what)],
        patrol: false,
        people: People::Approve(minutes(150)),
        expect: Expect { writes: Writes::Just(vec![(Remedy::AddAccessPolicy, 1)]), ..Expect::repaired() },
        horizon: minutes(460),
    }
}

fn false_alarm(preset: Preset) -> Setup {
    let world = World::standard();
    let alert = Break::new(What::PostAlert { server: None, database: None });
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, "An alert says that database orders has lost access to its key; it has not", alert)],
        patrol: false,
        people: People::NotAsked,
        expect: Expect { end: End::FalseAlarm, writes: Writes::None, silent: true, ..Expect::repaired() },
        horizon: minutes(90),
    }
}

fn already_fixed(preset: Preset) -> Setup {
    let world = World::standard().activity_log_minutes(12.0);
    let bob = || Actor::person("bob@contoso.example");
    let broken = Break::new(What::RevokePermission { server: None }).by(bob());
    let mended = Break::new(What::GrantPermission { server: None }).by(bob());
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![
            Step::at(2, "Bob removes contoso-sql's role assignment on the vault", broken),
            Step::at(14, "Bob sees what he did and assigns the role again", mended),
        ],
        patrol: false,
        people: People::NotAsked,
        expect: Expect { end: End::CameBack, writes: Writes::None, ..Expect::repaired() },
        horizon: minutes(240),
    }
}
