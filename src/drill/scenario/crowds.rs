//! Many servers, and a cloud that is short of breath.

use serde_json::Value;

use super::{Act, BOTH, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, Fault, FaultKind, What, World};

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make(
            "shared-vault",
            "40 servers with 400 databases lose one vault: one incident, one repair",
            BOTH,
            shared_vault,
        ),
        make("throttled", "Azure answers 429 again and again: patience, and no more load", &[Preset::Auto], throttled),
    ]
}

fn pipeline() -> Actor {
    Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008")
}

fn shared_vault(preset: Preset) -> Setup {
    let world = World::shared_vault(40, 10).model(PermissionModel::Policy).activity_log_minutes(3.0);
    let what = Break::new(What::RevokePermission { server: Some("*".to_owned()) }).by(pipeline());
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(
            2,
            "A pipeline run empties the vault's access policies: 40 servers lose their key",
            what,
        )],
        patrol: false,
        people: People::NotAsked,
        expect: Expect {
            writes: Writes::Just(vec![(Remedy::AddAccessPolicy, 1)]),
            world: vec![Fact {
                says: "every server is granted again",
                holds: |world| {
                    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
                    count(&world["servers"]) > 0 && count(&world["vaults"][0]["policies"]) >= count(&world["servers"])
                },
            }],
            ..Expect::repaired()
        },
        horizon: minutes(180),
    }
}

fn throttled(preset: Preset) -> Setup {
    let world = World::standard().activity_log_minutes(3.0);
    let throttle = Fault {
        method: None,
        path: "/subscriptions/".to_owned(),
        kind: FaultKind::Throttle { retry_after: 20 },
        times: Some(12),
        for_seconds: None,
        after_effect: false,
    };
    let revoke = Break::new(What::RevokePermission { server: None }).by(pipeline());
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![
            Step {
                after: minutes(1),
                say: "Another tool uses up the subscription's request limit: Azure answers 429".to_owned(),
                act: Act::Fault(throttle),
            },
            Step::at(2, "A pipeline removes contoso-sql's role assignment on the vault", revoke),
        ],
        patrol: false,
        people: People::NotAsked,
        expect: Expect { writes: Writes::Just(vec![(Remedy::AssignRole, 1)]), ..Expect::repaired() },
        horizon: minutes(180),
    }
}
