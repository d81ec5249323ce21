//! Many vaults lose a grant at the same moment, and the budget does not suffice for all.

use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Actor, Break, What, World};
use keymend::drill::scenario::{Act, End, Writes};

use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, Task, on_a_thread};

/// `vaults` vaults with one server each, under a budget.
pub fn many_vaults(vaults: usize, budget: u32, seed: u64) -> Plan {
    let mut plan = Plan::of("permission-revoked-rbac", Preset::Auto, seed);
    let setup = &mut plan.setup;
    setup.world = World::large_estate(vaults, 1).activity_log_minutes(3.0);
    (setup.world.seed, setup.world.keep_reads) = (seed, true);
    setup.policy.scope.subscriptions = vec![setup.world.subscription.clone()];
    setup.policy.gates.writes_per_hour = budget;
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let revoke = Break::new(What::RevokePermission { server: Some("*".to_owned()) }).by(pipeline);
    for step in &mut setup.script {
        step.act = Act::Break(revoke.clone());
    }
    setup.policy.gates.pipelines = vec!["5ba4de00-0000-4000-8000-000000000007".to_owned()];
    (setup.expect.end, setup.expect.writes) = (End::Repaired, Writes::RefusedOnly);
    plan
}

pub fn tasks(seed: u64, count: usize) -> Vec<Task> {
    let story = |n: usize| {
        let (vaults, budget) = (3 + n % 6, 1 + (n / 2 % 3) as u32);
        let seed = seed.wrapping_add(n as u64);
        let label = format!("{vaults} vaults at once, {budget} writes an hour, seed {seed}");
        Task::new("budget", label, move || {
            on_a_thread(async move {
                let played = Stage::open(many_vaults(vaults, budget, seed)).await.play(async |_, _| ()).await;
                Outcome::of(&played, 1)
            })
        })
    };
    (0..count).map(story).collect()
}
