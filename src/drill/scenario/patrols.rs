//! Nobody rings: every alert and every event is lost, and the patrol finds what is broken.

use super::{End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

const AUTO: &[Preset] = &[Preset::Auto];

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: AUTO, setup };
    vec![
        make(
            "revoked-but-caught-by-patrol",
            "A role assignment is removed and every alert is lost: the patrol sees it within a minute",
            revoked as fn(Preset) -> Setup,
        ),
        make("lost-webhooks", "A key is disabled, which Azure announces to nobody; the patrol sees it", key_disabled),
        make(
            "found-too-late",
            "Keymend comes back after an outage of its own: databases are down, and no alert is left",
            found_too_late,
        ),
        make("quiet-patrol", "Nothing is wrong for two hours: nobody hears of the patrol", quiet),
        make(
            "two-thousand-servers",
            "2,000 servers in 40 vaults, every alert lost: one vault loses its grants",
            two_thousand,
        ),
    ]
}

fn pipeline() -> Actor {
    Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008")
}

fn story(preset: Preset, mut world: World, script: Vec<Step>, expect: Expect) -> Setup {
    world.alerts.webhooks = false;
    world.alerts.event_grid = false;
    Setup {
        policy: policy(preset, &world),
        world,
        script,
        patrol: true,
        people: People::NotAsked,
        expect,
        horizon: minutes(240),
    }
}

fn revoked(preset: Preset) -> Setup {
    let what = Break::new(What::RevokePermission { server: None }).by(pipeline());
    let say = "A pipeline removes contoso-sql's role assignment on the vault";
    let mut expect = Expect { writes: Writes::Just(vec![(Remedy::AssignRole, 1)]), ..Expect::repaired() };
    expect.world.push(then::granted());
    expect.world.push(then::never_down());
    // Right after a look of SQL's: as much time as there ever is.
    story(preset, World::standard(), vec![Step::at(11, say, what)], expect)
}

fn key_disabled(preset: Preset) -> Setup {
    let what = Break::new(What::DisableKey(KeyRef::default()));
    let expect = Expect { writes: Writes::Just(vec![(Remedy::EnableKey, 1)]), ..Expect::repaired() };
    story(preset, World::standard(), vec![Step::at(11, "The key version is disabled", what)], expect)
}

fn found_too_late(preset: Preset) -> Setup {
    let what = Break::new(What::RevokePermission { server: None }).by(pipeline());
    let say = "A pipeline removes contoso-sql's access policy; nobody is there to see it";
    let world = World::standard().model(PermissionModel::Policy);
    let mut setup = story(
        preset,
        world,
        vec![Step::at(2, say, what)],
        Expect {
            // What Azure dropped is put back as the patrol had seen it: pool, read scale, auto-pause, tags of two databases,
            // both retentions, failover group.
            writes: Writes::Just(vec![
                (Remedy::AddAccessPolicy, 1),
                (Remedy::Revalidate, 1),
                (Remedy::RestoreSettings, 8),
            ]),
            ..Expect::repaired()
        },
    );
    // The window is over before the patrol may look: its first reads fail.
    setup.script.push(Step {
        after: minutes(1),
        say: "The way to Azure is cut for an hour".to_owned(),
        act: super::Act::Fault(crate::drill::cloud::Fault {
            method: None,
            path: "/subscriptions/".to_owned(),
            kind: crate::drill::cloud::FaultKind::Status { status: 503, code: "ServiceUnavailable".to_owned() },
            times: None,
            for_seconds: Some(3600),
            after_effect: false,
        }),
    });
    setup.horizon = minutes(360);
    setup
}

fn quiet(preset: Preset) -> Setup {
    let mut setup = story(
        preset,
        World::standard(),
        Vec::new(),
        Expect { end: End::FalseAlarm, writes: Writes::None, silent: true, ..Expect::repaired() },
    );
    setup.horizon = minutes(120);
    setup
}

fn two_thousand(preset: Preset) -> Setup {
    let mut world = World::large_estate(40, 50);
    world.keep_reads = false;
    let what = Break::new(What::SwitchPermissionModel { vault: Some("kv-17".to_owned()) }).by(pipeline());
    let say = "A pipeline switches vault kv-17 to access policies: 50 servers lose their key";
    let expect = Expect {
        writes: Writes::Just(vec![(Remedy::AddAccessPolicy, 1)]),
        world: vec![
            Fact {
                says: "all 50 servers of the vault are granted again",
                holds: |world| {
                    let vaults = world["vaults"].as_array().into_iter().flatten();
                    let vault = vaults.into_iter().find(|vault| vault["name"] == "kv-17");
                    vault.is_some_and(|vault| vault["policies"].as_array().is_some_and(|all| all.len() >= 50))
                },
            },
            Fact {
                says: "every server is read within the hour, or little more, while an incident is open too",
                holds: |world| world["requests"]["longest_unread_minutes"].as_i64().is_some_and(|most| most <= 66),
            },
            Fact {
                says: "the patrol keeps to its share of Azure's reads",
                holds: |world| {
                    world["requests"]["most_reads_in_ten_minutes"].as_u64().is_some_and(|most| most <= 3_300)
                },
            },
        ],
        ..Expect::repaired()
    };
    story(preset, world, vec![Step::at(33, say, what)], expect)
}
