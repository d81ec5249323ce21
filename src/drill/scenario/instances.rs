//! Stories about managed instances and Synapse workspaces.

use super::{End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::{Actor, Break, What, World};

const AUTO: &[Preset] = &[Preset::Auto];

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: AUTO, setup };
    vec![
        make("managed-instance-permission", "A managed instance loses its role on the vault: repaired", permission),
        make(
            "synapse-workspace",
            "A Synapse workspace loses its role on the vault: repaired; its paused pool is no pool that is down",
            workspace,
        ),
        make(
            "synapse-workspace-too-late",
            "The same, told of after the window: granted again; re-validating needs a right that a person has",
            workspace_too_late,
        ),
        make(
            "managed-instance-replication",
            "A database of an instance is down because replication failed: a person's work, not re-validated",
            replication,
        ),
        make("managed-instance-too-late", "The same after the window: repaired and re-validated", too_late),
    ]
}

fn permission(preset: Preset) -> Setup {
    story(preset, World::instance().activity_log_minutes(3.0), vec![(Remedy::AssignRole, 1)])
}

fn too_late(preset: Preset) -> Setup {
    let writes = vec![(Remedy::AssignRole, 1), (Remedy::Revalidate, 1)];
    story(preset, World::instance().activity_log_minutes(45.0), writes)
}

fn workspace(preset: Preset) -> Setup {
    of_workspace(preset, 3.0, vec![(Remedy::AssignRole, 1)])
}

fn workspace_too_late(preset: Preset) -> Setup {
    let mut setup = of_workspace(preset, 45.0, vec![(Remedy::AssignRole, 1)]);
    setup.expect.end = End::WithPerson(NeedsPerson::MissingRight);
    setup.expect.world = vec![then::granted()];
    setup
}

fn of_workspace(preset: Preset, told_after: f64, writes: Vec<(Remedy, usize)>) -> Setup {
    let mut world = World::workspace().activity_log_minutes(told_after);
    // What its pools tell when they lose the key has not been published: the change that took it away is told.
    world.alerts.cause_alerts = true;
    let mut setup = story(preset, world, writes);
    for step in &mut setup.script {
        step.say = step.say.replace("contoso-mi", "contoso-syn");
    }
    setup.expect.online = false;
    setup.expect.world.push(Fact {
        says: "the pool in use is online, the paused one is left paused",
        holds: |world| {
            let pools = &world["servers"][0]["databases"];
            pools[0]["access"] == "online" && pools[1]["settings"]["paused"] == true
        },
    });
    setup
}

fn replication(preset: Preset) -> Setup {
    let mut world = World::instance().activity_log_minutes(3.0);
    world.alerts.resource_health = true;
    let mut setup = story(preset, world, Vec::new());
    let what = Break::new(What::FailReplication { server: None, database: Some("ledger".to_owned()) });
    setup.script = vec![Step::at(2, "Replicating database ledger fails; its key is in order", what)];
    setup.expect = Expect {
        end: End::WithPerson(NeedsPerson::NoRemedy),
        writes: Writes::None,
        online: false,
        world: vec![then::granted(), then::never_down()],
        ..Expect::repaired()
    };
    setup
}

fn story(preset: Preset, world: World, writes: Vec<(Remedy, usize)>) -> Setup {
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let what = Break::new(What::RevokePermission { server: None }).by(pipeline);
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, "A pipeline removes contoso-mi's role assignment on the vault", what)],
        patrol: false,
        people: People::NotAsked,
        expect: Expect { writes: Writes::Just(writes), world: vec![then::granted()], ..Expect::repaired() },
        horizon: minutes(360),
    }
}
