//! After the outage: what Azure dropped is put back, as it was, and nothing else.

use serde_json::Value;

use super::{BOTH, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::{Actor, Break, What, World};

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "late-recovery-restores-settings",
        title: "Databases come back after the window without their settings, and get them back",
        presets: BOTH,
        setup: late_recovery,
    }]
}

/// The patrol has recorded the settings; the log is so slow that the window is over before anybody is rung for.
fn late_recovery(preset: Preset) -> Setup {
    let mut world = World::standard().activity_log_minutes(45.0);
    world.alerts.event_grid = false;
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let what = Break::new(What::RevokePermission { server: None }).by(pipeline);
    let settings = || Fact { says: "every database has the settings that it had", holds: settings_are_back };
    let mut setup = Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(65, "A pipeline removes the server's role assignment on the vault", what)],
        patrol: true,
        people: People::Approve(minutes(10)),
        expect: Expect {
            writes: Writes::Just(vec![
                (Remedy::AssignRole, 1),
                (Remedy::Revalidate, 1),
                // Pool, read scale, auto-pause, tags of two databases, both retentions, failover group.
                (Remedy::RestoreSettings, 8),
            ]),
            world: vec![then::granted(), settings()],
            ..Expect::repaired()
        },
        horizon: minutes(420),
    };
    late(&mut setup);
    setup
}

/// The way to Azure is cut until the window is over: neither patrol nor alert can help in time.
fn late(setup: &mut Setup) {
    setup.script.push(Step {
        after: minutes(64),
        say: "The way to Azure is cut for fifty minutes".to_owned(),
        act: super::Act::Fault(crate::drill::cloud::Fault {
            method: None,
            path: "/subscriptions/".to_owned(),
            kind: crate::drill::cloud::FaultKind::Status { status: 503, code: "ServiceUnavailable".to_owned() },
            times: None,
            for_seconds: Some(3000),
            after_effect: false,
        }),
    });
}

/// What the standard world's databases had when the story began, seen on the cloud's side.
fn settings_are_back(world: &Value) -> bool {
    let wanted = &World::standard().servers[0].databases;
    let Some(all) = world["servers"][0]["databases"].as_array() else { return false };
    all.len() == wanted.len()
        && wanted.iter().all(|spec| {
            let before = serde_json::to_value(spec).unwrap_or_default();
            all.iter().any(|one| one["name"] == spec.name.as_str() && one["settings"] == before)
        })
}
